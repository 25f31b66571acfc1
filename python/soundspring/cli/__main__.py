# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m gnuradio.soundspring.cli` (installed) or `python -m soundspring.cli` (source tree)."""

import sys

from .main import main

sys.exit(main())
