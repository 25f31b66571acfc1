#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What entropy coding saves, on voices that no model was trained on: bits per second at 3, 6 and 12 kbps.

Raw tokens, a static histogram for each layer, and the model under each dependency policy, really coded: `model` is the
ideal length of the tokens under the model's integer PMFs, `payload` what the range coder made of it, token checks
included, `packets` that in bytes with the 9 of a packet, `burst` the payload with the header of a radio burst. Part of
it is decoded again and must give the same tokens. The last table is the reference profile as it goes on the air.
"""

from dataclasses import dataclass, field

import numpy as np
from common import RATE, about, arguments, mean, progress, show, speech, write
from soundspring.coding.packet import BURST_BITS, OVERHEAD
from soundspring.link import Link, Models
from soundspring.profile import FRAMES_PER_SECOND, POLICIES, LinkProfile, load, replace_profile

LAYERS = (6, 12, 24)
CHAIN_WINDOW = 4  # superframes, as in profiles/chained.yaml


@dataclass
class Coded:
    """One utterance, coded: bits in all, and of the tokens of the base and of the enhancement packets."""

    model: float = 0.0
    payload: int = 0
    packets: int = 0
    groups: np.ndarray = field(default_factory=lambda: np.zeros(2))
    fallbacks: int = 0
    layers: list[int] = field(default_factory=list)
    base_layers: list[int] = field(default_factory=list)
    exact: bool = True


def tokens_of(models: Models, profile: LinkProfile, x: np.ndarray) -> np.ndarray:
    """Sound -> tokens int16 [whole superframes, S, K]."""
    whole = len(x) // profile.superframe_samples * profile.superframe_samples
    tokens = Link(profile, models).codec_encoder().push(x[:whole])
    return tokens.reshape(-1, profile.superframe, profile.layers)


def code(link: Link, tokens: np.ndarray, check: int) -> Coded:
    """tokens [m, S, K]; the first `check` superframes are decoded again."""
    encoder, decoder, out = link.entropy_encoder(), link.entropy_decoder(), Coded()
    for i, block in enumerate(tokens):
        sequence, groups = encoder.push(block)
        for g, coded in enumerate(groups):
            out.model += coded.model_bits
            out.groups[g] += coded.model_bits
            out.payload += len(coded.bits)
            out.packets += 8 * (-(-len(coded.bits) // 8) + OVERHEAD)
            out.fallbacks += coded.fallback
        out.layers.append(sum(g.n_layers for g in groups))
        out.base_layers.append(groups[0].n_layers)
        if i < check:
            got = decoder.push(sequence, [g.bits for g in groups])
            sent = np.arange(block.shape[1]) < out.layers[-1]
            out.exact &= set(got.status) == {"ok"} and np.array_equal(got.tokens[:, sent], block[:, sent])
    return out


def summary(profile: LinkProfile, coded: list[Coded], frames: np.ndarray, static: np.ndarray) -> dict:
    """frames, static [utterances]: frames, and bits under the histogram."""
    seconds, raw = frames / FRAMES_PER_SECOND, frames * 10 * profile.layers
    model, payload, packets = (np.array([getattr(c, k) for c in coded]) for k in ("model", "payload", "packets"))
    burst = payload + BURST_BITS * frames / profile.superframe
    base = profile.groups[0]
    groups = sum(c.groups for c in coded) / frames.sum() / [base, max(profile.layers - base, 1)]
    return {
        "policy": profile.policy,
        "window": profile.window,
        "bps": {k: mean(v / seconds, 1) for k, v in
                (("model", model), ("payload", payload), ("packets", packets), ("burst", burst))},
        "saved_percent": mean(100 * (1 - model / raw), 2),
        "beyond_histogram_percent": mean(100 * (1 - model / static), 2),
        "overhead_above_fec_percent": mean(100 * (burst / model - 1), 2),
        "bits_per_token": {"base": round(groups[0], 3), "enhancement": round(groups[1], 3)},
        "packets_on_static_table": sum(c.fallbacks for c in coded),
        "decodes_to_the_same_tokens": all(c.exact for c in coded),
    }


def at_rate(models: Models, utterances, layers: int, check: int) -> dict:
    reference = load("reference").with_layers(layers)
    tokens = [tokens_of(models, reference, x) for _, x in utterances]
    frames = np.array([t.shape[0] * t.shape[1] for t in tokens])
    lengths = [models.static.code_length(t.reshape(-1, layers)) for t in tokens]
    static = np.array([one.sum() for one in lengths])
    out = {
        "raw_bps": reference.raw_bps,
        "static_bps": mean(static / frames * FRAMES_PER_SECOND, 1),
        "static_saved_percent": mean(100 * (1 - static / (frames * 10 * layers)), 2),
        "static_bits_per_layer": np.round(sum(lengths) / frames.sum(), 3).tolist(),
        "policies": {},
    }
    for policy in POLICIES:
        window = CHAIN_WINDOW if policy == "chained" else reference.window
        profile = replace_profile(reference, policy=policy, window=window)
        link = Link(profile, models)
        coded = [code(link, t, check * (i % 3 == 0)) for i, t in
                 enumerate(progress(tokens, f"{layers / 2:g} kbps {policy}"))]
        out["policies"][policy] = summary(profile, coded, frames, static)
    return out


def percent(flags: list[bool]) -> float:
    return round(100 * float(np.mean(flags)), 1)


def on_the_air(models: Models, utterances) -> dict:
    """The reference profile with its radio: a burst of fixed size, filled with as many layers as fit."""
    profile = load("reference")
    link, coded, frames = Link(profile, models), [], 0
    for _, x in progress(utterances, "reference burst"):
        tokens = tokens_of(models, profile, x)
        coded.append(code(link, tokens, 0))
        frames += tokens.shape[0] * tokens.shape[1]
    room = sum(p.payload_bits for p in profile.phy.packets) * profile.superframes_per_second
    seconds = frames / FRAMES_PER_SECOND
    return {
        "capacity_bps": room,
        "model_bps": round(sum(c.model for c in coded) / seconds, 1),
        "payload_bps": round(sum(c.payload for c in coded) / seconds, 1),
        "header_bps": BURST_BITS * profile.superframes_per_second,
        "mean_layers": round(float(np.mean([n for c in coded for n in c.layers])), 2),
        "all_layers_sent_percent": percent([n == profile.layers for c in coded for n in c.layers]),
        "whole_base_sent_percent": percent([n == profile.groups[0] for c in coded for n in c.base_layers]),
        "channel_uses_per_s": round(link.burst_samples * profile.superframes_per_second),
    }


def main(argv=None) -> dict:
    args = arguments(__doc__, argv, seconds=36, length=4)
    utterances, models = speech(args), Models()
    check = int(2 * RATE / load("reference").superframe_samples)
    figures = {"about": about(args, utterances),
               "layers": {k: at_rate(models, utterances, k, check) for k in LAYERS},
               "reference_burst": on_the_air(models, utterances)}
    for f in figures["layers"].values():
        print(f"raw {f['raw_bps']:.0f} bit/s; static histogram {show(f['static_bps'], 0)}, "
              f"saves {show(f['static_saved_percent'], 1)} %")
        for policy, p in f["policies"].items():
            bps = "  ".join(f"{k} {show(v, 0)}" for k, v in p["bps"].items())
            print(f"    {policy:12} {bps}  saves {show(p['saved_percent'], 1)} %, beyond the histogram "
                  f"{show(p['beyond_histogram_percent'], 1)} %; overhead above FEC "
                  f"{show(p['overhead_above_fec_percent'], 1)} %; decodes {p['decodes_to_the_same_tokens']}")
    print("reference burst: " + ", ".join(f"{k} {v}" for k, v in figures["reference_burst"].items()))
    write(args, figures)
    return figures


if __name__ == "__main__":
    main()
