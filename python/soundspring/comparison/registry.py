# SPDX-License-Identifier: GPL-3.0-or-later
"""Schemes by name, as plans and the command ask for them: `opus`, `opus:12`, or `opus:*` for all of its modes."""

from __future__ import annotations

from .conventional import Amrwb, Codec2, Opus
from .neural import Jscc, SoundSpring
from .scheme import Scheme
from .terms import Terms

SCHEMES: dict[str, type[Scheme]] = {kind.name: kind for kind in (SoundSpring, Jscc, Opus, Amrwb, Codec2)}


def _kind(name: str) -> type[Scheme]:
    if name not in SCHEMES:
        raise ValueError(f"scheme: {name!r} is not one of {', '.join(SCHEMES)}")
    return SCHEMES[name]


def expand(spec: str, terms: Terms) -> list[str]:
    """The schemes that `NAME`, `NAME:MODE` or `NAME:*` means under some terms, as NAME:MODE. Raises ValueError."""
    name, _, mode = spec.partition(":")
    modes = _kind(name).modes(terms)
    if mode in ("", "*") and not modes:
        raise ValueError(f"scheme {name}: none of its modes fits profile {terms.profile.name}")
    return [f"{name}:{m}" for m in (modes if mode == "*" else [mode or modes[0]])]


def make(spec: str, terms: Terms) -> Scheme:
    """The scheme NAME:MODE. Raises ValueError, and an ImportError that says what to install."""
    name, _, mode = expand(spec, terms)[0].partition(":")
    return _kind(name)(mode, terms)
