#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What entropy coding saves, on voices that no model was trained on: bits per second at 3, 6 and 12 kbps.

The tokens that are sent under each dependency policy, raw (10 bits each), under a static histogram for each layer, and
really coded with the model: `model` is their ideal length under the model's integer PMFs, `payload` what the range
coder made of it, token checks included, `packets` that in bytes with the 9 of a packet, `burst` the payload with the
header of a radio burst. Part of it is decoded again and must give the same tokens. Beside the policies of the profile
stand `nearest`, the layered policy with the tokens that come nearest, whatever they cost in bits, and
how near the sent latents come. The last table is the reference profile as it goes on the air.
"""

from dataclasses import dataclass, field

import numpy as np
from common import RATE, about, arguments, mean, progress, show, speech, write
from soundspring.codec.api import latents as vectors
from soundspring.coding.packet import BURST_BITS, OVERHEAD
from soundspring.link import Link, Models
from soundspring.profile import FRAMES_PER_SECOND, POLICIES, LinkProfile, load, replace_profile

LAYERS = (6, 12, 24)
CHAIN_WINDOW = 4  # superframes, as in profiles/chained.yaml


@dataclass
class Coded:
    """One utterance, coded: bits in all, and of the tokens of the base and of the enhancement packets."""

    model: float = 0.0
    static: float = 0.0
    payload: int = 0
    packets: int = 0
    groups: np.ndarray = field(default_factory=lambda: np.zeros(2))
    fallbacks: int = 0
    layers: list[int] = field(default_factory=list)
    base_layers: list[int] = field(default_factory=list)
    energy: float = 0.0
    error: float = 0.0
    exact: bool = True


def latents_of(models: Models, profile: LinkProfile, x: np.ndarray) -> np.ndarray:
    """Sound -> latents float32 [whole superframes, S, latent]."""
    whole = len(x) // profile.superframe_samples * profile.superframe_samples
    latent = Link(profile, models).codec_encoder().analyse(x[:whole])
    return latent.reshape(-1, profile.superframe, latent.shape[1])


def code(link: Link, latents: np.ndarray, check: int) -> Coded:
    """latents [m, S, latent]; the first `check` superframes are decoded again."""
    encoder, decoder, out = link.entropy_encoder(), link.entropy_decoder(), Coded()
    for i, latent in enumerate(latents):
        sequence, groups = encoder.push(latent=latent)
        sent = np.concatenate([coded.tokens for coded in groups], 1)
        out.energy += float((latent**2).sum())
        out.error += float(((latent - vectors(link.models.codec, sent)) ** 2).sum())
        for g, coded in enumerate(groups):
            out.model += coded.model_bits
            out.static += link.models.static.code_length(coded.tokens, link.plan.group(g).layers[0]).sum()
            out.groups[g] += coded.model_bits
            out.payload += len(coded.bits)
            out.packets += 8 * (-(-len(coded.bits) // 8) + OVERHEAD)
            out.fallbacks += coded.fallback
        out.layers.append(sum(g.n_layers for g in groups))
        out.base_layers.append(groups[0].n_layers)
        if i < check:
            got = decoder.push(sequence, [g.bits for g in groups])
            out.exact &= set(got.status) == {"ok"} and np.array_equal(got.tokens[got.received], sent.ravel())
    return out


def summary(profile: LinkProfile, coded: list[Coded], frames: np.ndarray) -> dict:
    """frames [utterances]: frames of each."""
    seconds, raw = frames / FRAMES_PER_SECOND, frames * 10 * profile.layers
    names = ("model", "static", "payload", "packets")
    model, static, payload, packets = (np.array([getattr(c, k) for c in coded]) for k in names)
    burst = payload + BURST_BITS * frames / profile.superframe
    base = profile.groups[0]
    groups = sum(c.groups for c in coded) / frames.sum() / [base, max(profile.layers - base, 1)]
    return {
        "policy": profile.policy,
        "window": profile.window,
        "rate_weight": profile.rate_weight,
        "bps": {k: mean(v / seconds, 1) for k, v in
                (("static", static), ("model", model), ("payload", payload), ("packets", packets), ("burst", burst))},
        "static_saved_percent": mean(100 * (1 - static / raw), 2),
        "latent_snr_db": round(10 * float(np.log10(sum(c.energy for c in coded) / sum(c.error for c in coded))), 2),
        "saved_percent": mean(100 * (1 - model / raw), 2),
        "beyond_histogram_percent": mean(100 * (1 - model / static), 2),
        "overhead_above_fec_percent": mean(100 * (burst / model - 1), 2),
        "bits_per_token": {"base": round(groups[0], 3), "enhancement": round(groups[1], 3)},
        "packets_on_static_table": sum(c.fallbacks for c in coded),
        "decodes_to_the_same_tokens": all(c.exact for c in coded),
    }


def at_rate(models: Models, utterances, layers: int, check: int) -> dict:
    reference = load("reference").with_layers(layers)
    latents = [latents_of(models, reference, x) for _, x in utterances]
    frames = np.array([t.shape[0] * t.shape[1] for t in latents])
    reference = replace_profile(reference, copies=())  # what is sent once
    variants = {p: {"policy": p, "window": CHAIN_WINDOW if p == "chained" else reference.window} for p in POLICIES}
    variants["nearest"] = {"policy": "layered", "rate_weight": 0.0}
    out = {"raw_bps": reference.raw_bps, "policies": {}}
    for name, changes in variants.items():
        profile = replace_profile(reference, **changes)
        link = Link(profile, models)
        coded = [code(link, z, check * (i % 3 == 0)) for i, z in
                 enumerate(progress(latents, f"{layers / 2:g} kbps {name}"))]
        out["policies"][name] = summary(profile, coded, frames)
    return out


def percent(flags: list[bool]) -> float:
    return round(100 * float(np.mean(flags)), 1)


def on_the_air(models: Models, utterances) -> dict:
    """The reference profile with its radio: a burst of fixed size, filled with as many layers as fit."""
    profile = load("reference")
    link, coded, frames = Link(profile, models), [], 0
    for _, x in progress(utterances, "reference burst"):
        latents = latents_of(models, profile, x)
        coded.append(code(link, latents, 0))
        frames += latents.shape[0] * latents.shape[1]
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
        print(f"raw {f['raw_bps']:.0f} bit/s")
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
