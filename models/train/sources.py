# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the speech comes from: package, version, licence and holders of each voice, read from what corpus.py unpacked.

Licences are those of the recordings in each package's Debian copyright file, not of its programs.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from corpus import PACKAGES, RATE

SYNTHETIC = "Kokoro-82M"  # what synthetic.py spoke

# The `Files:` stanzas that cover the recordings, where it is not the one for everything.
STANZAS = {
    "asterisk-core-sounds-fr-g722": ("fr-*",),
    "asterisk-core-sounds-it-g722": ("it-*",),
    "asterisk-core-sounds-ru-g722": ("ru-*",),
    "gcin-voice": ("*/3.ogg", "*/5.ogg"),
    "hedgewars-data": ("share/hedgewars/Data/Sounds/*",),
}


@dataclass(frozen=True)
class Source:
    """A package: its version, licence and copyright holders, and the minutes of its speech in each split."""

    package: str
    version: str
    licence: str
    holders: str
    minutes: dict[str, float]


def package_of(voice: str) -> str:
    """The package a voice of corpus.py comes from; a WAV of examples/ where it is none of the packages'."""
    head, _, rest = voice.partition("-")
    names = {"asterisk": f"asterisk-core-sounds-{rest}-g722", "festvox": "festvox-ru", "gcin": "gcin-voice",
             "fillets": f"fillets-ng-data-{rest[:2]}", "tuxpaint": "tuxpaint-stamps-default",
             "klettres": "klettres-data", "hedgewars": "hedgewars-data", "kokoro": SYNTHETIC}
    return names.get(head, f"examples/{voice}.wav")


def stanzas(text: str) -> list[dict[str, str]]:
    """The paragraphs of a machine-readable copyright file (DEP-5), each a mapping of its fields."""
    out = []
    for paragraph in re.split(r"\n\s*\n", text):
        fields = re.findall(r"^([A-Za-z-]+):[ \t]*(.*(?:\n[ \t]+.*)*)", paragraph, re.MULTILINE)
        out.append({k: v.strip() for k, v in fields})
    return out


def licence(package: str, text: str) -> tuple[str, str]:
    """(licence, holders) of the recordings of a package, from its copyright file."""
    wanted = STANZAS.get(package, ("*",))
    found = [s for s in stanzas(text) if set(wanted) & set(s.get("Files", "").split()) and "License" in s]
    if found:
        names = dict.fromkeys(s["License"].splitlines()[0] for s in found)
        holders = [_plain(line) for s in found for line in s.get("Copyright", "").splitlines()]
        return "; ".join(names), "; ".join(dict.fromkeys(filter(None, holders)))
    if known := re.search(r"common-licenses/(GPL-\d)", text):
        authors = re.search(r"Upstream Authors?:\s*\n((?:[ \t]+\S.*\n)+)", text)
        holders = [_plain(line) for line in authors[1].splitlines()] if authors else []
        return known[1], "; ".join(holders)
    return "see its copyright file", ""


def _plain(holder: str) -> str:
    """A copyright line without mail addresses."""
    return re.sub(r"\s*[<(][^<>()]*@[^<>()]*[>)]", "", holder).strip(" ,")


def minutes(work: Path) -> dict[str, dict[str, float]]:
    """{package: {split: minutes}} of the corpus in `work`."""
    out: dict[str, dict[str, float]] = {}
    for split in ("train", "valid", "test"):
        for voice, _, _, length in json.loads((work / f"{split}.json").read_text()):
            own = out.setdefault(package_of(voice), {})
            own[split] = own.get(split, 0.0) + length / RATE / 60
    return out


def voices(work: Path, split: str) -> list[str]:
    """Names of the voices of a split."""
    return sorted({row[0] for row in json.loads((work / f"{split}.json").read_text())})


def sources(work: Path) -> list[Source]:
    """Every package of the corpus, or the WAVs where it was made of those."""
    spent, out = minutes(work), []
    if not set(spent) & set(PACKAGES):
        return [Source(name, "", "see examples/README.md", "see there", of) for name, of in sorted(spent.items())]
    for package in PACKAGES:
        deb = next((work / "debs").glob(f"{package}_*.deb"), None)
        file = next((work / "raw" / package).glob("usr/share/doc/*/copyright"), None)
        terms = licence(package, file.read_text(encoding="utf-8")) if file else ("see its copyright file", "")
        version = deb.name.split("_")[1].replace("%3a", ":") if deb else "?"
        out.append(Source(package, version, *terms, spent.get(package, {})))
    if SYNTHETIC in spent:
        holders = "synthetic, blends of 54 voices by hexgrad; texts of Debian's fortunes packages"
        out.append(Source(SYNTHETIC, "int8", "Apache-2.0", holders, spent[SYNTHETIC]))
    return out
