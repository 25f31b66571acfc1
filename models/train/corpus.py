#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the speech corpus from Debian packages that carry real recordings.

    python models/train/corpus.py --work DIR                  # downloads, unpacks, decodes
    python models/train/corpus.py --work DIR --wav examples   # a toy: each WAV a voice, cut in time

Voices that synthetic.py put into DIR before are taken up too.

It writes DIR/{train,valid,test}.npy (int16, 16 kHz, clips back to back) and
DIR/{train,valid,test}.json: a list of [voice, source file, start, length] in
samples. Voices, and where possible whole languages, belong to one split only
(but not in the toy, where one voice is all there is).
Clips are trimmed of silence at their ends; their level is left as it is.
"""

import argparse
import json
import re
import subprocess
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import soundfile
import soxr

RATE = 16000
PACKAGES = (
    "festvox-ru fillets-ng-data-cs fillets-ng-data-nl tuxpaint-stamps-default "
    "asterisk-core-sounds-en-g722 asterisk-core-sounds-es-g722 "
    "asterisk-core-sounds-fr-g722 asterisk-core-sounds-it-g722 "
    "asterisk-core-sounds-ru-g722 klettres-data hedgewars-data gcin-voice"
).split()

# Voices that training never hears. One actress reads both en and es.
TEST = {
    "asterisk-en",
    "asterisk-es",
    "asterisk-it",
    "tuxpaint-el",
    "tuxpaint-da",
    "tuxpaint-lt",
    "fillets-nl-m",
    "hedgewars-British",
    "hedgewars-Surfer",
}
VALID = {"asterisk-fr", "tuxpaint-be", "hedgewars-Russian", "fillets-cs-hs"}


def voice_of(path):
    """The name of the voice in a file of the unpacked packages, or None for what is not speech."""
    s = str(path)
    if m := re.search(r"asterisk/sounds/(\w\w)_", s):
        return None if "/silence/" in s or "beep" in path.name or "tone" in path.name else f"asterisk-{m[1]}"
    if "festvox-ru" in s:
        return "festvox-ru"
    if m := re.search(r"fillets-ng/sound/\w+/(cs|nl)/[^-/]+-(\w+)-", s):
        return f"fillets-{m[1]}-{m[2]}"
    if m := re.search(r"stamps/.*_desc_?([a-z]{0,2})\.ogg$", s):
        return f"tuxpaint-{m[1] or 'en'}"
    if m := re.search(r"klettres/(\w+)/(?:alpha|syllab)/", s):
        return f"klettres-{m[1]}"
    if m := re.search(r"Sounds/voices/(\w+)/", s):
        return f"hedgewars-{m[1]}"
    if m := re.search(r"raw/kokoro/([\w-]+)/", s):
        return f"kokoro-{m[1]}"
    return "gcin" if "gcin-voice" in s else None


def split_of(voice):
    return "test" if voice in TEST else "valid" if voice in VALID else "train"


def trim(x, keep=1600, floor_db=-45.0):
    """Cut silence at both ends: 20 ms blocks more than `floor_db` below the loudest one."""
    n = len(x) // 320
    if n == 0:
        return x[:0]
    level = np.sqrt(np.mean(x[: n * 320].reshape(n, 320) ** 2, axis=1))
    loud = np.flatnonzero(level > max(level.max() * 10 ** (floor_db / 20), 1e-4))
    if len(loud) == 0:
        return x[:0]
    return x[max(loud[0] * 320 - keep, 0) : (loud[-1] + 1) * 320 + keep]


def read(path):
    """Mono float samples at 16 kHz of any file of the packages."""
    if path.suffix == ".g722":
        raw = subprocess.run(
            ["ffmpeg", "-v", "error", "-f", "g722", "-i", str(path), "-f", "s16le", "-ac", "1", "-ar", str(RATE), "-"],
            capture_output=True,
            check=True,
        ).stdout
        return np.frombuffer(raw, np.int16) / 32768.0
    x, rate = soundfile.read(path, always_2d=True)
    x = x.mean(axis=1)
    return x if rate == RATE else soxr.resample(x, rate, RATE)


def clip(path):
    """(voice, path, int16 samples) of one file, or None where there is no usable speech."""
    try:
        x = trim(read(path))
    except (RuntimeError, subprocess.CalledProcessError, soundfile.LibsndfileError):
        return None
    if len(x) < RATE // 5:
        return None
    return voice_of(path), path.name, np.clip(np.round(x * 32767), -32768, 32767).astype(np.int16)


def download(debs, raw, packages=PACKAGES):
    """Fetch Debian packages into debs, where they are not there yet, and unpack each into a folder of raw."""
    for folder in (debs, raw):
        folder.mkdir(parents=True, exist_ok=True)
    missing = [p for p in packages if not list(debs.glob(p + "_*.deb"))]
    if missing:
        subprocess.run(["apt-get", "download", *missing], cwd=debs, check=True)
    for p in packages:
        if not (raw / p).exists():
            unfinished = raw / (p + ".part")
            subprocess.run(["dpkg", "-x", next(debs.glob(p + "_*.deb")), unfinished], check=True)
            unfinished.rename(raw / p)


def from_packages(work, jobs):
    """{split: [(voice, source file, int16 samples)]} of the Debian packages, and of what synthetic.py spoke."""
    download(work / "debs", work / "raw")
    files = sorted(
        p
        for p in (work / "raw").rglob("*")
        if p.suffix in (".g722", ".ogg", ".wav", ".flac") and p.is_file() and not p.is_symlink() and voice_of(p)
    )
    splits = {"train": [], "valid": [], "test": []}
    with ProcessPoolExecutor(jobs) as pool:
        for i, got in enumerate(pool.map(clip, files, chunksize=32)):
            if got:
                splits[split_of(got[0])].append(got)
            if i % 1000 == 0:
                print(f"{i}/{len(files)} files", flush=True)
    return splits


def from_wavs(folder):
    """The same of the WAVs in a folder, each a voice: its first three fifths to learn, the rest to validate and test.

    ValueError where there are none.
    """
    splits = {"train": [], "valid": [], "test": []}
    for path in sorted(folder.glob("*.wav")):
        x = np.round(read(path) * 32767).astype(np.int16)
        parts = np.split(x, [len(x) * 3 // 5, len(x) * 4 // 5])
        for split, part in zip(splits, parts, strict=True):
            splits[split].append((path.stem, path.name, part))
    if not splits["train"]:
        raise ValueError(f"--wav: no .wav files in {folder}")
    return splits


def save(splits, work):
    """Write what data.Corpus reads."""
    work.mkdir(parents=True, exist_ok=True)
    for name, clips in splits.items():
        index, at = [], 0
        for voice, source, x in clips:
            index.append([voice, source, at, len(x)])
            at += len(x)
        np.save(work / f"{name}.npy", np.concatenate([x for *_, x in clips]))
        (work / f"{name}.json").write_text(json.dumps(index))
        print(f"{name}: {at / RATE / 60:.1f} min, {len(index)} clips, {len({v for v, *_ in index})} voices")


def main(argv=None):
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("--work", type=Path, required=True, help="folder for packages and corpus (2 GB)")
    ap.add_argument("--wav", type=Path, help="take the WAVs of this folder instead of Debian's packages")
    ap.add_argument("--jobs", type=int, default=2)
    args = ap.parse_args(argv)
    save(from_wavs(args.wav) if args.wav else from_packages(args.work, args.jobs), args.work)


if __name__ == "__main__":
    main()
