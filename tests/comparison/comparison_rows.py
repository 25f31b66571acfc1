# SPDX-License-Identifier: GPL-3.0-or-later
"""Made-up results: a digital cliff, an analog slope, two modes that cross, losses."""

import numpy as np

DATA = {
    "name": "made <up>", "files": ["a.wav", "b.wav"], "seeds": [0, 1],
    "terms": {"fixed": {"profile": "reference", "schemes": ["opus:6", "jscc", "codec2:*"], "listen": [8]}},
    "channels": [{"name": "awgn", "snr_db": [-4, 0, 4, 8]},
                 {"name": "awgn", "snr_db": [25], "loss": ["bernoulli:0.1", "bernoulli:0.3"]}],
}
PESQ = {("opus", "6"): lambda snr: 1.04 if snr < 2 else 2.5, ("jscc", "analog"): lambda snr: 1.7 + 0.05 * snr,
        ("codec2", "3.2"): lambda snr: 1.04 if snr < 6 else 1.6,
        ("codec2", "2.4"): lambda snr: 1.04 if snr < -2 else 1.3}


def rows():
    """A row for each cell of DATA."""
    out, rng = [], np.random.default_rng(0)
    for (scheme, mode), quality in PESQ.items():
        for snr, loss in [(-4, "none"), (0, "none"), (4, "none"), (8, "none"), (25, "bernoulli:0.1"),
                          (25, "bernoulli:0.3")]:
            for file in "ab":
                for seed in (0, 1):
                    lost = 10 if quality(snr) == 1.04 else int(10 * float(loss[10:])) if loss != "none" else 0
                    pesq = max(quality(snr) - 0.1 * lost, 1.04)
                    pesq = round(pesq + 0.01 * rng.standard_normal() * (pesq > 1.04), 4)
                    out.append({
                        "key": f"fixed/{scheme}:{mode}/awgn/{snr} dB/{loss}/{file}/{seed}", "terms": "fixed",
                        "scheme": scheme, "mode": mode, "channel": "awgn", "snr_db": float(snr), "loss": loss,
                        "file": file, "seed": float(seed), "pesq_wb": pesq, "stoi": 0.9 - 0.09 * lost,
                        "si_sdr_db": None, "plcmos": 3.0, "visqol": None, "bursts": 10.0, "bursts_lost": float(lost),
                        "bursts_partial": 0.0, "snr_measured_db": float(snr), "payload_bps": None if mode == "analog"
                        else 6160.0, "uses_per_s": 28000.0, "power_db": 0.01, "peak_db": 9.9, "cpu_s": 0.1,
                        "worker": "here:1", "fates": "." * (10 - lost) + "x" * lost,
                        "sound": f"{scheme}_{mode}.mp3" if (snr, file, seed) == (8, "a", 0) else "",
                    })
    return out
