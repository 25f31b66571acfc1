#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the model cards from what is known of the models and from what the benchmarks measured; nothing by hand.

    python models/train/card.py --models models --figures DIR --corpus WORK --runs RUNS

DIR holds {quality,saving,loss,link,speed,jscc}.json of benchmarks/NAME.py --json, made with these weights; WORK is the
folder of corpus.py, for data and licences; RUNS has the histories of training (progress.py). Where a file of figures is
missing the card says that it was not measured.
"""

import argparse
import json
import sys
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python"))
from progress import read_history  # noqa: E402
from soundspring import weights  # noqa: E402
from soundspring.profile import load  # noqa: E402
from sources import sources, voices  # noqa: E402

FIGURES = ("quality", "saving", "loss", "link", "speed", "jscc")
MODELS = {"codec": FIGURES, "lm": FIGURES[1:], "jscc": ("jscc",)}  # and the figures that hang on each
NAMES = {"pesq_wb": "PESQ-WB", "stoi": "STOI", "plcmos": "PLCMOS", "si_sdr_db": "SI-SDR / dB"}
CODEC_LOSSES = (
    "Distances of mel, STFT, MDCT, loudness (after ITU-T P.862) and band levels; the decoder at last also against "
    "spectral discriminators, on streams with losses. Released is a weighted mean of its weights before and after that."
)
CURVE_ROWS = 8  # at most
MISSING = "Not measured with these weights.\n"
INTERVAL = "Means and 95 % confidence intervals over utterances (Student's t)."


def table(head: list[str], rows: list[list]) -> str:
    """Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(map(str, line)) + " |\n" for line in lines)


def show(figure: dict, digits: int = 2) -> str:
    """A mean with its interval."""
    if figure["mean"] is None:
        return "-"
    half = "" if figure["ci95"] is None else f" ± {figure['ci95']:.{digits}f}"
    return f"{figure['mean']:.{digits}f}{half}"


def metrics(figure: dict, names=("pesq_wb", "stoi", "plcmos")) -> list[str]:
    return [show(figure[n], 3 if n == "stoi" else 2) for n in names]


def read_figures(folder: Path, models: Path) -> dict:
    """{name: figures} of the benchmarks. ValueError where they were made with other weights."""
    found = {n: json.loads((folder / f"{n}.json").read_text()) for n in FIGURES if (folder / f"{n}.json").exists()}
    there = [m for m in MODELS if (models / m / "config.yaml").exists()]
    now = {m: weights.sha256(models / m / "weights.safetensors") for m in there}
    for name, figures in found.items():
        used = figures["about"]["weights_sha256"]
        wrong = [m for m in now if used.get(m) != now[m] and name in MODELS[m]]
        if wrong:
            raise ValueError(f"{folder / name}.json: made with other weights of {', '.join(wrong)}; measure again")
    return found


def parameters(folder: Path, kind: str) -> int:
    """How many numbers there are in the weights, histogram aside."""
    tensors, _ = weights.load(folder, kind)
    return sum(t.numel() for name, t in tensors.items() if name != "histogram")


def head(title: str, folder: Path, config: dict, text: str, about: str) -> str:
    count, digest = parameters(folder, config["kind"]), config["sha256"]["weights.safetensors"]
    return (
        f"# {title}\n\n{about and f'> {about}' + chr(10) * 2}{text}\n\n"
        f"- {count / 1e6:.2f} million parameters, stored as float16, "
        f"{(folder / 'weights.safetensors').stat().st_size / 1e6:.1f} MB\n- SHA-256 `{digest}`\n"
        f"- sizes: {', '.join(f'{k} {v}' for k, v in config['sizes'].items())}\n"
    )


def data(work: Path) -> str:
    """The corpus with its licences."""
    found, splits = sources(work), ("train", "valid", "test")
    rows = [
        [f"`{s.package}` {s.version}".strip(), *(clock(s.minutes.get(k, 0)) for k in splits), s.licence, s.holders]
        for s in found
    ]
    total = [clock(sum(s.minutes.get(k, 0) for s in found)) for k in splits]
    return (
        "\n## Data\n\nRecorded speech at 16 kHz, minutes after trimming. Levels vary by 4 dB around -26 dBov in "
        "training.\n\n"
        + table(
            ["package", "train", "validation", "test", "licence of the recordings", "holders"],
            [*rows, ["all", *total, "", ""]],
        )
        + held_out(work)
    )


def clock(minutes: float) -> str:
    """Minutes for people: 0.08, 1.5, 586.3."""
    return f"{minutes:.{1 if minutes >= 1 or not minutes else 2}f}"


def held_out(work: Path) -> str:
    """Whose voices validate and test."""
    train, valid, test = (voices(work, k) for k in ("train", "valid", "test"))
    if set(train) & {*valid, *test}:
        return "\nThe voices that validate and test are those of training, at other moments.\n"
    return (
        f"\nVoices never heard in training: test {', '.join(test)}; validation {', '.join(valid)}. `tuxpaint-*`, "
        "`fillets-*` and `hedgewars-*` name other voices of the same packages in training; one actress reads both "
        "asterisk-en and asterisk-es.\n"
    )


def training(config: dict, what: str, curve: str) -> str:
    t = config.get("training", {})
    recipe, command = t.get("recipe", "full"), "python models/train/run.py"
    if recipe in ("full", "further"):
        how = ", or this one further"
        calls = f"{command} --work DIR\n{command} --recipe further --start models --work DIR"
    else:
        how, calls = "", f"{command} --recipe {recipe} --work DIR"
    return (
        f"\n## Training\n\n{what} {t.get('minutes', '?')} minutes on {t.get('hardware', '?')}, "
        f"{t.get('steps', '?')} steps, seed {t.get('seed', '?')}. "
        f"To train such a model in one go, from nothing to a card{how}:\n\n```\n{calls}\n```\n{curve}"
    )


def curve(runs: Path | None, kind: str, columns: dict[str, tuple[str, str]]) -> str:
    """Validation figures against training time; columns: {heading: (group, name) in the history}."""
    rows = read_history(runs / kind) if runs else []
    if not rows:
        return ""
    rows = [rows[i] for i in sorted({round(k * (len(rows) - 1) / (CURVE_ROWS - 1)) for k in range(CURVE_ROWS)})]
    cells = [[r["curves"].get(group, {}).get(name) for group, name in columns.values()] for r in rows]
    lines = [
        [clock(r["minutes"]), r["step"], *("-" if v is None else f"{v:.2f}" for v in line)]
        for r, line in zip(rows, cells, strict=True)
    ]
    what = {"codec": "The codec", "decoder": "Then its decoder alone", "lm": "The language model",
            "lm_chosen": "Then on tokens that it chose itself", "jscc": "The analog scheme"}[kind]
    return f"\n{what} on validation speech, as training went on:\n\n" + table(["minutes", "steps", *columns], lines)


def codec_curves(runs: Path | None) -> str:
    """Of the codec, and of the decoder that went on alone."""
    pesq = {f"PESQ-WB, {n}": ("PESQ-WB", n) for n in ("3 layers", "6 layers", "12 layers", "24 layers")}
    stoi = {"STOI, 12 layers": ("STOI", "12 layers")}
    free = {"PESQ-WB, unquantised": ("PESQ-WB", "unquantised")}
    lost = {"PESQ-WB, 12 layers, 20 % lost": ("PESQ-WB", "12 layers, 20 % lost")}
    return curve(runs, "codec", pesq | free | stoi) + curve(runs, "decoder", pesq | lost | stoi)


def lm_curve(runs: Path | None) -> str:
    base, fine = "bits a token, layers 0-2", "bits a token, layers 3-11"
    columns = {"base": (base, "base"), "histogram of the base": (base, "static histogram"), "fine": (fine, "fine"),
               "histogram of the fine": (fine, "static histogram"), "conceal": (fine, "conceal")}
    made = curve(runs, "lm", columns) + curve(runs, "lm_chosen", columns)
    return made and f"{made}\nBits a token; base: layers 0-2, fine and conceal: layers 3-11.\n"


def measured_on(figures: dict) -> str:
    speech, seed = figures["about"]["speech"], figures["about"]["seed"]
    names = list(speech["seconds_per_voice"])
    return (
        f"{speech['seconds']:.0f} s, {speech['utterances']} utterances of {len(names)} voices ({', '.join(names)}), "
        f"seed {seed}. {INTERVAL}\n\n"
    )


def quality(figures: dict | None) -> str:
    out = "\n## Quality of the codec alone\n\n"
    if figures is None:
        return out + MISSING
    rows = [[f"{f['kbps']:g}", k, *metrics(f, NAMES)] for k, f in figures["layers"].items()]
    most = max(figures["layers"].values(), key=lambda f: f["kbps"])
    out += measured_on(figures) + table(["kbps", "layers", *NAMES.values()], rows)
    out += (
        f"\nPLCMOS judges without a reference; the speech as recorded gets {show(figures['original']['plcmos'])}."
        f"\n\nPerplexity of every codebook, from the first layer to the last, counted over {most['frames']} frames, "
        f"which biases it low: {', '.join(map(str, most['perplexity']))}.\n"
    )
    by_voice = figures["layers"]["12"]["voices"]
    return (
        out
        + "\nVoice by voice at 6 kbps:\n\n"
        + table(["voice", *NAMES.values()], [[v, *metrics(f, NAMES)] for v, f in by_voice.items()])
    )


def failures(figures: dict | None) -> str:
    """What the figures say about where the codec is weak."""
    out = "\n## Where it fails\n\n"
    if figures is None:
        return out + MISSING
    by_voice, all_ = figures["layers"]["12"]["voices"], figures["layers"]["12"]
    worst = min(
        (v for v in by_voice if by_voice[v]["stoi"]["mean"] is not None), key=lambda v: by_voice[v]["stoi"]["mean"]
    )
    rows = [[name, *metrics(f)] for name, f in figures["conditions_at_6_kbps"].items()]
    return out + (
        f"- The worst voice of the test at 6 kbps is {worst}: STOI {show(by_voice[worst]['stoi'], 3)}, PESQ-WB "
        f"{show(by_voice[worst]['pesq_wb'])}, against {show(all_['stoi'], 3)} and {show(all_['pesq_wb'])} over all.\n"
        "- Level and noise at 6 kbps, one utterance a voice, scored against what went in, noise included:\n\n"
        + table(["condition", "PESQ-WB", "STOI", "PLCMOS"], [["speech at -26 dBov", *metrics(all_)], *rows])
        + "\n- Music and several talkers at once: neither trained for nor measured.\n"
    )


def saving(figures: dict | None) -> str:
    out = "\n## What entropy coding saves\n\n"
    if figures is None:
        return out + MISSING
    weight = load("reference").rate_weight
    out += (
        f"{measured_on(figures)}Bits per second of the tokens that are sent: those that the rate-distortion search "
        f"chose (rate_weight {weight:g}), `nearest` excepted. `histogram` is a static one for each layer, "
        "`payload` includes range coder and token checks, `packets` also 9 bytes a packet, `burst` instead the 25 bits "
        "of a burst's header; `SNR` is that of the latent that is sent, in dB.\n\n"
    )
    rows = [
        [
            f"{f['raw_bps']:.0f}",
            name,
            *(show(p["bps"][k], 0) for k in ("static", "model", "payload", "packets", "burst")),
            *(show(p[k], 1) for k in ("static_saved_percent", "saved_percent", "beyond_histogram_percent")),
            f"{p['latent_snr_db']:.2f}",
        ]
        for f in figures["layers"].values()
        for name, p in f["policies"].items()
    ]
    names = ["raw", "policy", "histogram", "model", "payload", "packets", "burst", "histogram saves / %"]
    names += ["model saves / %", "beyond histogram / %", "SNR"]
    exact = all(p["decodes_to_the_same_tokens"] for f in figures["layers"].values() for p in f["policies"].values())
    air = figures["reference_burst"]
    return (
        out
        + table(names, rows)
        + (
            f"\nDecoding part of it gave {'the same tokens' if exact else 'OTHER TOKENS'}. In the reference profile's "
            f"bursts of {air['capacity_bps']:.0f} bit/s, {air['mean_layers']} layers are sent on average.\n"
        )
    )


def loss(figures: dict | None) -> str:
    """Under loss: this system beside Opus, then the model's concealment beside simple ones."""
    out = "\n## Packet loss\n\n"
    if figures is None:
        return out + MISSING
    known = figures["about"]["opus"] or "not installed"
    out += measured_on(figures) + (
        "Real entropy decoding; files and losses the same for every system. What each case and `kbps` (all that is "
        f"sent above FEC or UDP) mean stands at the head of `benchmarks/loss.py`. Opus: {known}, in-band FEC told the "
        "loss rate, one packet of look-ahead.\n"
    )
    return out + "".join(against_opus(n, c) + against_concealers(n, c, figures) for n, c in figures["cases"].items())


def against_opus(name: str, case: dict) -> str:
    """One table of a case: a row for each loss and system."""
    kind = case["setting"]
    rows = [
        [loss, system, f"{s['kbps']:.1f}", decodable(f) if system == "soundspring" else "", *metrics(s)]
        for loss, f in case["losses"].items()
        for system, s in f["systems"].items()
    ]
    return (
        f"\n### {name}\n\nProfile {kind['profile']}: {kind['layers']} layers, policy {kind['policy']}, window "
        f"{kind['window']}, look-ahead {kind['lookahead']}, copies {kind['copies']}; a receiver waits "
        f"{kind['wait_ms']:.0f} ms for what comes later.\n\n"
        + table(["loss", "system", "kbps", "packets decodable", "PESQ-WB", "STOI", "PLCMOS"], rows)
    )


def against_concealers(name: str, case: dict, figures: dict) -> str:
    """The same case, with simple concealers in place of the model."""
    rows = [
        [loss, method, *metrics(m)] for loss, f in case["losses"].items() for method, m in f["methods"].items()
    ]
    lead = f"\nThe concealment alone, {name}, on {figures['about']['concealers_seconds']:.0f} s of it:\n\n"
    return lead + table(["loss", "method", "PESQ-WB", "STOI", "PLCMOS"], rows) if rows else ""


def decodable(figures: dict) -> str:
    return f"{100 * figures['decodable_fraction']:.1f} %"


def speed(figures: dict | None) -> str:
    out = "\n## Speed\n\n"
    if figures is None:
        return out + MISSING
    rows = [
        [end, stage, f["median_ms"], f["p99_ms"], f["rtf"]]
        for end in ("tx", "rx", "rx_with_20_percent_loss")
        for stage, f in figures[end].items()
    ]
    return (
        out + f"Reference profile, one thread of {figures['about']['machine']['cpu']}, CPU time per superframe of "
        f"{figures['superframe_ms']:.0f} ms.\n\n"
        + table(["end", "stage", "median / ms", "99 % / ms", "real-time factor"], rows)
        + "\nProfile packet20, real-time factors: transmitter {rtf_tx:.3f}, receiver {rtf_rx:.3f}, with 20 % lost "
          "{rtf_rx_20:.3f}.\n".format(**figures["packet20"])
    )


def weak_spots(figures: dict | None) -> str:
    """Where it does not beat its peers."""
    out = "\n## Where it fails\n\n"
    if figures is None:
        return out + MISSING
    lines = [
        f"- {name}, {loss}: not better than `{peer}` in {NAMES[metric]} ({show(m[metric], 2)})\n"
        for name, case in figures["cases"].items()
        for loss, f in case["losses"].items()
        for peer, m in (f["ours_minus"] | f["model_minus_peer"]).items()
        for metric in ("pesq_wb", "plcmos")
        if m[metric]["mean"] is not None and m[metric]["mean"] - (m[metric]["ci95"] or 0) <= 0
    ]
    lead = "Paired differences, ours minus Opus or simple concealment, that are not clearly positive:\n\n"
    every = "Better than every peer at every loss measured, beyond the 95 % interval of the difference.\n"
    return (
        out
        + (lead + "".join(lines) if lines else every)
        + ("\nHow it predicts what the data have not (music, noise, several talkers) was not measured.\n")
    )


def jscc_curve(runs: Path | None) -> str:
    columns = {f"PESQ-WB, {snr} dB": ("PESQ-WB", f"{snr} dB") for snr in (-5, 0, 5, 10, 20)}
    return curve(runs, "jscc", columns | {"STOI, -5 dB": ("STOI", "-5 dB"), "STOI, 5 dB": ("STOI", "5 dB")})


def against_digital(figures: dict | None) -> str:
    """The analog scheme beside the digital one, at each SNR, and what it costs."""
    out = "\n## Over the air\n\n"
    if figures is None:
        return out + MISSING
    told, rtf = figures["about"], figures["real_time_factor"]
    out += measured_on(figures) + (
        f"Both schemes in bursts of {told['burst_samples']} samples at the critical rate, ten a second, with the same "
        f"preamble, header, pilots and power; the payload is {told['symbols']} analog symbols, or the tokens of "
        f"profile {told['profile']}. The same channel for both; fading has {told['doppler_hz']:g} Hz of Doppler.\n\n"
    )
    rows = [
        [name, p["jscc"]["snr_db"], *metrics(p["jscc"]), *metrics(p["soundspring"]),
         f"{100 * p['soundspring']['packet_loss']:.0f} %"]
        for name, points in figures["channels"].items() for p in points
    ]
    names = ["PESQ-WB", "STOI", "PLCMOS"]
    out += table(["channel", "SNR / dB", *names, *(f"{n}, digital" for n in names), "packets lost"], rows)
    return out + (
        "\nPESQ of near silence says nothing: where nearly all packets are lost the digital figures are not of speech."
        f"\n\nCPU seconds for a second of sound: {', '.join(f'{k} {v:.3f}' for k, v in rtf.items())}.\n"
    )


def jscc_card(config: dict, figures: dict, args) -> str:
    text = (
        "The analog scheme, deep joint source-channel coding: 100 ms of speech to the complex symbols of one burst, "
        "and noisy symbols with their noise variance back to speech. One set of weights for every SNR, which the "
        "transmitter need not know."
    )
    losses = (
        "Starts as a linear scheme (companded MDCT coefficients as symbols, Wiener weights), then distances of mel, "
        "STFT, MDCT, loudness and band levels at Es/N0 of -6 to 26 dB over white noise and fading, with lost bursts. "
        "Released is a running mean of the weights."
    )
    return "".join(
        (
            head("Deep JSCC", args.models / "jscc", config, text, args.about),
            "\n## Data\n\nThe speech of the codec; see [its card](../codec/CARD.md) for packages, licences and voices "
            "held out.\n",
            training(config, losses, jscc_curve(args.runs)),
            against_digital(figures.get("jscc")),
            "\n## Where it fails\n\nMusic and several talkers were neither trained for nor measured. It knows no FEC: "
            "what is received is always a little rough, and noise of the microphone is sent like speech.\n",
        )
    )


def codec_card(config: dict, figures: dict, args) -> str:
    text = (
        "The speech codec: 16 kHz mono, frames of 20 ms, causal; MDCT, ConvNeXt blocks at the frame rate and a "
        "residual vector quantiser of 0.5 kbps a layer, postfilters behind it. One set of weights for every "
        "rate from 0.5 to 12 kbps."
    )
    return "".join(
        (
            head("Codec", args.models / "codec", config, text, args.about),
            data(args.corpus),
            training(config, CODEC_LOSSES, codec_curves(args.runs)),
            quality(figures.get("quality")),
            failures(figures.get("quality")),
        )
    )


def lm_card(config: dict, figures: dict, args) -> str:
    text = (
        "The masked language model over the codec's tokens. One network for two jobs: the integer PMFs of the "
        f"range coder, and the concealment of what was lost. Made for the codec `{config['codec_sha256'][:16]}`."
    )
    masks = "with the masks of coding and of packet loss"
    return "".join(
        (
            head("Language model", args.models / "lm", config, text, args.about),
            "\n## Data\n\nThe codec's tokens of the speech on which the codec itself was trained; see "
            "[its card](../codec/CARD.md) for packages, licences and voices held out.\n",
            training(config, f"Cross entropy on masked tokens, {masks}.", lm_curve(args.runs)),
            saving(figures.get("saving")),
            loss(figures.get("loss")),
            speed(figures.get("speed")),
            weak_spots(figures.get("loss")),
        )
    )


def main(argv: list[str] | None = None) -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--models", type=Path, required=True)
    ap.add_argument("--figures", type=Path, required=True)
    ap.add_argument("--corpus", type=Path, required=True)
    ap.add_argument("--runs", type=Path, help="folder of the runs; without it no curves of training")
    ap.add_argument("--about", default="", help="what to say first")
    ap.add_argument("--only", choices=MODELS, help="write this model's card alone")
    args = ap.parse_args(argv)
    figures = read_figures(args.figures, args.models)
    for name, card in (("codec", codec_card), ("lm", lm_card), ("jscc", jscc_card)):
        folder = args.models / name
        if args.only not in (None, name) or (name == "jscc" and not (folder / "config.yaml").exists()):
            continue  # links of tokens do without jscc
        config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
        (folder / "CARD.md").write_text(card(config, figures, args), encoding="utf-8")
        print(f"{folder / 'CARD.md'}: from {', '.join(figures) or 'no figures'}")


if __name__ == "__main__":
    main()
