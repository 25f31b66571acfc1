#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write docs/performance.md and its charts from the figures that the benchmarks left in benchmarks/results/."""

import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
import sync_page  # noqa: E402
from ldpc_fer import KS, RATES, normal_approximation  # noqa: E402
from pages import table  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
RESULTS, DOCS = ROOT / "benchmarks" / "results", ROOT / "docs"
HEAD = """# Performance

Written by `benchmarks/performance.py` from the figures in `benchmarks/results/`; every section says what measured them.
Each has `--help`, and `--quick` for a look: `.venv/bin/python benchmarks/sync.py --quick`.
"""


def load(name: str) -> dict:
    return json.loads((RESULTS / f"{name}.json").read_text())


def machine(figures: dict) -> str:
    facts = figures["machine"]
    packages = ", ".join(f"{name} {facts[name]}" for name in ("numpy", "numba"))
    cores = f"One core of {facts['cpu']} ({facts['cores']} cores)"
    return f"{cores}, {facts['system']}, Python {facts['python']}, {packages}."


def ldpc_speed() -> str:
    """The section on speed, from ldpc.json."""
    f = load("ldpc")
    rows = [
        [batch, f[f"decode_mbps_batch_{batch}"], f[f"ratio_vs_gr_fec_batch_{batch}"], f[f"encode_mbps_batch_{batch}"]]
        for batch in (1, 4, 64)
    ]
    same = f"{f['same_length_decode_mbps']:.1f} Mb/s ({f['same_length_ratio_vs_gr_fec']:.0f} times as much)"
    return f"""## Speed of the LDPC code

k = {f["k"]}, rate 1/2, BPSK over AWGN at {f["eb_n0_db_at_fer_0.01"]} dB Eb/N0, where
{100 * f["fer"]:.1f} % of the frames fail; at most 20 iterations,
{f["iterations"]:.1f} on average. Information bits a second of CPU time, array to array.

{table(["blocks a call", "decoder, Mb/s", "times `fec.ldpc_decoder`", "encoder, Mb/s"], rows)}

The peer is GNU Radio's in-tree `fec.ldpc_decoder` with its code 1800/902 in the same run:
{f["gr_fec_decode_mbps"]:.2f} Mb/s at {f["gr_fec_eb_n0_db_at_fer_0.01"]} dB. With a code of the same length and rate
ours makes {same} at {f["same_length_eb_n0_db_at_fer_0.01"]} dB, each where it loses 1 % of the frames.

{machine(f)}
`benchmarks/ldpc.py --json benchmarks/results/ldpc.json`
"""


def ldpc_errors() -> str:
    """The section on error rates, from ldpc_fer.json."""
    f = load("ldpc_fer")
    rows = []
    for k in KS:
        for rate in RATES:
            e = f[f"{k} {rate}"]
            ours, theory = e["eb_n0_db"], e["theory_eb_n0_db"]
            loss = [f"{x:+.2f}" for x in e["loss_db_vs_sionna"]]
            rows.append([k, rate, *(f"{x:.2f}" for x in (*ours.values(), theory["0.01"])), *loss])
    head = ["k", "rate", "10 % FER", "1 % FER", "bound, 1 %", "against Sionna, 10 %", "against Sionna, 1 %"]
    floor, schedules = f["floor"], f["schedules"]
    place, frames, ours, *_ = schedules["ours"]
    return f"""## Error rates of the LDPC code

BPSK over AWGN, at most 20 iterations; Eb/N0 in dB. The bound is the normal approximation of Polyanskiy, Poor and Verdu:
about the best that any code of that length can do. Sionna 2.2.0 decodes the same codes by belief propagation
(sum-product, flooding, 20 iterations); the last columns say how many dB more (+) or less (-) ours needs for the error
rate that Sionna has, known to about 0.1 dB, as Sionna made some 60 errors a point. Most of the
difference is the schedule: over the same {frames} frames of k = 512, rate 1/2, at {place} dB, ours made {ours} errors,
Sionna {schedules["flooding"][2]} with flooding and {schedules["layered"][2]} with its layered schedule.

{table(head, rows)}

![Frame error rates](images/ldpc_fer.png)

![Bit error rates](images/ldpc_ber.png)

No error floor: k = {floor["k"]}, rate 1/2, at {floor["eb_n0_db"]} dB lost {floor["wrong"]} of {floor["frames"]:,} \
frames, {floor["wrong"] / floor["frames"]:.1e};
{floor["undetected"]} of them ended on another codeword, which only a CRC finds.

{machine(f)}
`benchmarks/ldpc_fer.py --json benchmarks/results/ldpc_fer.json`, then the same with `--sionna SITE` and with `--floor`.
"""


def plot_errors(figures: dict) -> None:
    """Frame and bit error rates, a panel a rate; for frames also the bound and Sionna's points."""
    for kind in ("fer", "ber"):
        figure, axes = plt.subplots(2, 2, figsize=(10, 8), sharey=True)
        for rate, ax in zip(RATES, axes.flat, strict=True):
            for i, k in enumerate(KS):
                _plot_code(ax, figures[f"{k} {rate}"], kind, f"C{i}")
            ax.set(title=f"rate {rate}", xlabel="Eb/N0, dB", yscale="log", ylim=(1e-4 if kind == "fer" else 1e-6, 1))
            ax.grid(True, which="both", alpha=0.2)
        axes[0, 0].set_ylabel("frame error rate" if kind == "fer" else "bit error rate")
        axes[1, 0].set_ylabel(axes[0, 0].get_ylabel())
        axes[0, 0].legend(title="k")
        note = "lines: ours; crosses: Sionna, belief propagation; dotted: normal approximation"
        figure.suptitle(note if kind == "fer" else "lines: ours; dotted: uncoded BPSK")
        figure.tight_layout()
        figure.savefig(DOCS / "images" / f"ldpc_{kind}.png", dpi=80)
        plt.close(figure)


def _plot_code(ax, entry: dict, kind: str, colour: str) -> None:
    x, frames, wrong, bits = np.array(entry["curve"]).T
    rate = wrong / frames if kind == "fer" else bits / frames / entry["k"]
    shown = wrong >= 5  # fewer errors say little
    ax.plot(x[shown], rate[shown], color=colour, label=entry["k"])
    if kind == "ber":
        from scipy.stats import norm

        ax.plot(x, norm.sf(np.sqrt(2 * 10 ** (x / 10))), ":", color="grey", lw=1)
        return
    points = np.array([point[:3] for point in entry["sionna"]])
    ax.plot(points[:, 0], points[:, 2] / points[:, 1], "x", color=colour)
    grid = np.linspace(x[0] - 0.5, x[-1], 60)
    ax.plot(grid, [normal_approximation(y, entry["k"], entry["e"]) for y in grid], ":", color=colour, lw=1)


SECTIONS = (ldpc_speed, ldpc_errors, lambda: sync_page.sections(load("sync")))


def page() -> str:
    return "\n".join([HEAD, *(section() for section in SECTIONS)])


def main() -> None:
    (DOCS / "performance.md").write_text(page())
    plot_errors(load("ldpc_fer"))


if __name__ == "__main__":
    main()
