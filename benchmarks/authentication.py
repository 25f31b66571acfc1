#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a pre-shared key costs: bits, layers, quality without loss, time to join under loss, time of a processor.

    benchmarks/authentication.py --corpus FOLDER --json authentication.json

Sound goes through coder and decoder of a profile: plain, with tags in its blocks as they are, and with blocks that are
longer by what the tags take, at the same code rate. A receiver joins when packets, each lost by itself, have told it
where the numbers start.
"""

import os
import tempfile
import time
from collections.abc import Iterator

import common
import numpy as np
from soundspring.coding.seal import Opener, Refused, Sealer
from soundspring.link import Counts, Link, Models, decode, encode, joined
from soundspring.profile import LinkProfile, PacketPhy, Security, load, replace_profile

LOSSES = (0.0, 0.05, 0.1, 0.2, 0.3)
TRIALS = 1000


def variants(profile: LinkProfile, key: str, tags: list[int]) -> Iterator[tuple[str, LinkProfile]]:
    """What is compared, with a name for each."""
    yield "plain", profile
    for tag in tags:
        security = Security(tag_bytes=tag, key=key)
        yield f"{tag}-byte tags", replace_profile(profile, security=security)
        if profile.phy:
            grown = tuple(longer(p, security.cost_bits) for p in profile.phy.packets)
            phy = type(profile.phy)(**{**vars(profile.phy), "packets": grown})
            yield f"{tag}-byte tags, longer blocks", replace_profile(profile, security=security, phy=phy)


def longer(packet: PacketPhy, bits: int) -> PacketPhy:
    """A block with room for `bits` more, at the same code rate or a little below."""
    order, payload = packet.bits_per_symbol, packet.payload_bits + bits
    code = -(-payload * packet.code_bits // packet.payload_bits // order) * order
    return PacketPhy(payload, code, order)


def measure(link: Link, utterances: common.Utterances) -> dict:
    """Quality without loss, bits a second, mean layers of each packet, channel uses a second."""
    scores, layers, seconds, packets = [], [], 0.0, 0
    for _, x in utterances:
        counts = Counts()
        sent = list(encode(link, x, counts))
        scores.append(common.score(x, decode(link, sent, len(x), opener=joined(link, sent))))
        seconds, packets = seconds + len(x) / common.RATE, packets + counts.packets_sent
        coder = link.entropy_decoder()
        plain = sent if link.profile.security is None else unsealed(link, sent)
        layers += [coder.push(s, payloads).received.all(0).sum() for s, payloads in plain]
    security, per_second = link.profile.security, link.profile.superframes_per_second
    return common.means(scores) | {
        "authentication_bps": round(security.cost_bits * packets / seconds, 1) if security else 0.0,
        "layers": round(float(np.mean(layers)), 2),
        "channel_uses_per_s": round(link.burst_samples * per_second) if link.profile.phy else None,
    }


def unsealed(link: Link, sent) -> list:
    opener = joined(link, sent)
    return [(s, [opener.open(s, g, bits) for g, bits in enumerate(payloads)]) for s, payloads in sent]


def superframes_to_join(loss: float, packets: int, rng: np.random.Generator) -> int:
    """Superframes from the first one heard to the first one opened."""
    key, first = bytes(16), int(rng.integers(1 << 20))
    sealer, opener = Sealer(key), Opener(key)
    for sequence in range(first, first + 1000):
        for group in range(packets):
            bits = sealer.seal(sequence, group, np.zeros(8, np.uint8))
            try:
                if rng.random() >= loss:
                    opener.open(sequence, group, bits)
                    return sequence - first + 1
            except Refused:
                pass
    raise RuntimeError("did not join")


def joining(seed: int, trials: int) -> dict:
    """{packets a superframe: {loss: share that joins within ten superframes, and the 90th percentile of how many}}."""
    rng, out = np.random.default_rng(seed), {}
    for packets in (1, 2):
        taken = {p: np.array([superframes_to_join(p, packets, rng) for _ in range(trials)]) for p in LOSSES}
        out[packets] = {p: {"within_10": float((t <= 10).mean()), "p90": float(np.percentile(t, 90))}
                        for p, t in taken.items()}
    return out


def cpu_us(encrypt: bool) -> dict:
    """Microseconds of a processor to seal and to open an enhancement packet of `reference`."""
    key, n, bits = bytes(32), 2000, np.zeros(584, np.uint8)
    sealer, opener = Sealer(key, 4, encrypt), Opener(key, 4, encrypt)
    begin = time.process_time()
    sent = [(s, 1, sealer.seal(s, 1, bits)) for s in range(n)]
    sealed = time.process_time()
    opener.join(sent)
    for packet in sent:
        opener.open(*packet)
    opened = time.process_time()
    return {"seal_us": round((sealed - begin) / n * 1e6, 1), "open_us": round((opened - sealed) / n * 1e6, 1)}


def main(argv=None) -> dict:
    args = common.arguments(__doc__, argv, seconds=60, length=6.0, profile={"default": "reference"},
                            tags={"type": int, "nargs": "*", "default": [4, 8], "help": "bytes of the tags"})
    utterances, models = common.speech(args), Models()
    with tempfile.NamedTemporaryFile("w", suffix=".key") as file:
        file.write(os.urandom(16).hex())
        file.flush()
        compared = variants(load(args.profile), f"file:{file.name}", args.tags)
        rows = {name: measure(Link(p, models), utterances) for name, p in common.progress(compared, "variants")}
    figures = {
        "about": common.about(args, utterances), "profile": args.profile, "variants": rows,
        "joining": joining(args.seed, TRIALS // 20 if args.quick else TRIALS),
        "cpu": {"plain": cpu_us(False), "encrypted": cpu_us(True)}}
    common.write(args, figures)
    for name, row in rows.items():
        quality = "  ".join(f"{m} {common.show(row[m], 3)}" for m in ("pesq_wb", "stoi", "plcmos"))
        print(f"{name:28} {row['authentication_bps']:6.0f} bit/s  {row['layers']:5.2f} layers  {quality}  "
              f"{row['channel_uses_per_s']} channel uses/s")
    for packets, by_loss in figures["joining"].items():
        told = (f"{p:.0%} lost: {x['within_10']:.1%}, 90 % in {x['p90']:.0f}" for p, x in by_loss.items())
        print(f"{packets} packet(s) a superframe, joined within ten: {'; '.join(told)}")
    print("CPU per packet:", figures["cpu"])
    return figures


if __name__ == "__main__":
    main()
