#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws the flowgraphs of examples/ that have no window of their own, as GRC shows them, for examples/README.md.

    GRC_BLOCKS_PATH=$PWD/grc xvfb-run -a dbus-run-session .venv/bin/python docs/make_pictures.py

Needs a screen, be it a virtual one, and the GRC of GNU Radio 3.10.
"""

from pathlib import Path

import gi

gi.require_version("Gtk", "3.0")
gi.require_version("PangoCairo", "1.0")
import gnuradio.grc.gui.Platform as grc  # noqa: E402  (the first of its package, or their imports go round)
from gi.repository import Gtk  # noqa: E402
from gnuradio import gr  # noqa: E402
from gnuradio.grc.gui import Utils  # noqa: E402
from gnuradio.grc.gui.canvas import flowgraph as canvas  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("hear_the_codec", "packet_loss", "voice_over_fading", "stock_blocks", "jscc_link", "pluto_tx", "pluto_rx",
         "full_duplex", "sigmf_replay")


def main() -> None:
    application = Gtk.Application()
    application.register(None)
    Gtk.Application.set_default(application)
    canvas._ContextMenu = lambda window: None  # it wants the main window, which is not there
    platform = grc.Platform(version=gr.version(), prefs=gr.prefs(), install_prefix=gr.prefix(),
                            version_parts=(gr.major_version(), gr.api_version(), gr.minor_version()))
    platform.build_library()
    for name in NAMES:
        flow_graph = platform.make_flow_graph(str(ROOT / "examples" / f"{name}.grc"))
        flow_graph.update()
        flow_graph.create_labels()
        flow_graph.create_shapes()
        Utils.make_screenshot(flow_graph, str(ROOT / "docs" / "images" / f"example-{name}.png"))


if __name__ == "__main__":
    main()
