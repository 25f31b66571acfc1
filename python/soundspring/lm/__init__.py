# SPDX-License-Identifier: GPL-3.0-or-later
"""The masked language model over codec tokens: PMFs for the coder, estimates for the concealer."""
