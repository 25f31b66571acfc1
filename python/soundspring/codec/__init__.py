# SPDX-License-Identifier: GPL-3.0-or-later
"""Sound <-> tokens: causal MDCT-domain codec with a residual vector quantiser."""
