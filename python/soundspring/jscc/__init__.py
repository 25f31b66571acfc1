# SPDX-License-Identifier: GPL-3.0-or-later
"""Sound <-> analog symbols: deep joint source-channel coding (Bourtsoulatze, Kurka, Gunduz, IEEE TCCN 5(3), 2019)."""

from .api import Receiver, Transmitter, load

__all__ = ["Receiver", "Transmitter", "load"]
