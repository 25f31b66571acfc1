# SPDX-License-Identifier: GPL-3.0-or-later
"""`soundspring doctor`: what is installed, what is found, what is wrong and how to mend it.

Each check is a function without arguments that returns one `Result`. What may crash, print or clash (GNU Radio under
the wrong numpy, the two uhd modules) is imported in a Python process of its own, see `probe`.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from .. import __version__, weights

MINIMUM_GNURADIO = (3, 10, 5)
SYSTEM_PYTHON = "/usr/bin/python3"
PROBE_TIMEOUT_S = 120
MARK = {"ok": "ok  ", "warn": "note", "fail": "FAIL"}


@dataclass(frozen=True)
class Result:
    """What one check found. `status`: "ok", "warn" (something optional is missing) or "fail"; `mend`: what to do."""

    name: str
    status: str
    found: str
    mend: str = ""


@dataclass(frozen=True)
class Answer:
    """What a probe printed; if it failed, `error` is the last line of its complaint and `complaint` all of it."""

    ok: bool
    output: str
    complaint: str = ""

    @property
    def error(self) -> str:
        lines = [line for line in self.complaint.splitlines() if line.strip()]
        return lines[-1].strip() if lines else "it ended without a word"


def probe(code: str, python: str = sys.executable) -> Answer:
    """Run `code` in a fresh Python with this process's module path (less the current directory)."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(_inherited_path(python))}
    try:
        done = subprocess.run(
            [python, "-P", "-c", code], capture_output=True, text=True, timeout=PROBE_TIMEOUT_S, env=environment
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Answer(False, "", str(error))
    return Answer(done.returncode == 0, done.stdout.strip(), done.stderr)


def _inherited_path(python: str) -> list[str]:
    """What the installed command added to its own module path counts for its probes, not for another Python."""
    if python != sys.executable:
        return []
    return [os.environ.get("PYTHONPATH", ""), *(folder for folder in sys.path if folder.endswith("-packages"))]


def check_python() -> Result:
    """Debian's GNU Radio can be imported by the one Python it was built for."""
    this = f"Python {sys.version.split()[0]} at {sys.executable}"
    if probe("import gnuradio.gr").ok:
        return Result("python", "ok", this)
    version = "import sys, gnuradio.gr; print('%d.%d' % sys.version_info[:2])"
    other = probe(version, SYSTEM_PYTHON)
    if not other.ok or other.output == ".".join(map(str, sys.version_info[:2])):
        return Result("python", "ok", this)
    mend = f"make the environment with {SYSTEM_PYTHON} -m venv --system-site-packages DIR, or run `make venv`"
    return Result("python", "fail", f"{this}, but GNU Radio belongs to Python {other.output} at {SYSTEM_PYTHON}", mend)


def check_gnuradio() -> Result:
    """GNU Radio is importable and new enough."""
    answer = probe("from gnuradio import gr; print(gr.version())")
    if not answer.ok:
        return Result("gnuradio", "fail", f"cannot be imported: {answer.error}", _mend_gnuradio(answer.complaint))
    numbers = tuple(int(part) for part in answer.output.split(".")[:3] if part.isdigit())
    if numbers < MINIMUM_GNURADIO:
        needed = ".".join(map(str, MINIMUM_GNURADIO))
        return Result("gnuradio", "fail", f"{answer.output} is too old", f"install GNU Radio {needed} or newer")
    return Result("gnuradio", "ok", answer.output)


def _mend_gnuradio(complaint: str) -> str:
    if "_ARRAY_API" in complaint or "NumPy 1.x cannot be run" in complaint or "numpy.core" in complaint:
        return "this GNU Radio was built for numpy 1: pip install 'numpy<2'"
    if "No module named 'gnuradio'" in complaint:
        return "apt install gnuradio, and give the virtual environment --system-site-packages"
    if "No module named 'gnuradio." in complaint or "cannot import name" in complaint:
        return "a stray gnuradio/__init__.py hides the real one: python -c 'import gnuradio; print(gnuradio)' names it"
    return "run python -c 'from gnuradio import gr' and mend what it says"


def check_module() -> Result:
    """`from gnuradio import soundspring` finds the installed module, of this version."""
    answer = probe("from gnuradio import soundspring as s; print(s.__version__, s.__file__)")
    if answer.ok:
        version, place = answer.output.split(" ", 1)
        if version == __version__:
            return Result("module", "ok", os.path.dirname(place))
        return Result("module", "fail", f"{place} is version {version}, this is {__version__}", "install again")
    places = sorted({os.fspath(path.parents[1]) for path in _installed_copies()})
    mend = f"export PYTHONPATH={places[0]}" if places else "install it: make install, or cmake (README.md)"
    return Result("module", "fail", "gnuradio.soundspring is not on Python's path", mend)


def _installed_copies() -> Iterable[Path]:
    """Copies of the module in the usual prefixes, also those this Python does not search."""
    for prefix in {sys.prefix, "/usr/local", "/usr", "/opt/gnuradio", os.path.expanduser("~/.local")}:
        yield from Path(prefix).glob("lib*/python3*/*-packages/gnuradio/soundspring")


def check_grc() -> Result:
    """GRC finds the block files: it looks in its hier folder, $GRC_BLOCKS_PATH and the folders of its preferences."""
    answer = probe(
        "from gnuradio import gr; p = gr.prefs(); from gnuradio.grc.core.Config import Config\n"
        "print(Config.hier_block_lib_dir)\n"
        "for key in 'local_blocks_path', 'global_blocks_path': print(p.get_string('grc', key, ''))"
    )
    if not answer.ok:
        return Result("grc", "warn", f"GRC cannot be asked: {answer.error}", "apt install gnuradio")
    searched = [*os.environ.get("GRC_BLOCKS_PATH", "").split(os.pathsep), *answer.output.replace(":", "\n").split("\n")]
    folders = [Path(folder).expanduser() for folder in searched if folder.strip()]
    found = {file.name: file for folder in folders if folder.is_dir() for file in folder.rglob("soundspring_*.yml")}
    if found:
        where = ", ".join(sorted({os.fspath(file.parent) for file in found.values()}))
        return Result("grc", "ok", f"{len(found)} blocks in {where}")
    ours = _block_folder()
    if ours and (Path(sys.prefix) / "bin/grcc").is_file() and Path(sys.prefix) in ours.parents:
        return Result("grc", "ok", f"start GRC as {sys.prefix}/bin/gnuradio-companion: it knows {ours}")
    mend = f"export GRC_BLOCKS_PATH={ours}, or set local_blocks_path under [grc] in ~/.gnuradio/config.conf"
    return Result("grc", "fail", "GRC does not find the blocks", mend if ours else "install the module: make install")


def _block_folder() -> Path | None:
    """The block files that belong to this copy of the package, installed (prefix/share) or in the source tree."""
    package = Path(__file__).resolve().parents[1]
    below = [folder / "share/gnuradio/grc/blocks" for folder in package.parents] + [package.parents[1] / "grc"]
    return next((folder for folder in below if any(folder.glob("soundspring_*.yml"))), None)


def check_numpy() -> Result:
    """GNU Radio up to 3.10.10 or so is built for numpy 1 and breaks under numpy 2."""
    answer = probe("import numpy; print(numpy.__version__)")
    if not answer.ok:
        return Result("numpy", "fail", f"cannot be imported: {answer.error}", "pip install 'numpy<2'")
    if int(answer.output.split(".")[0]) < 2 or probe("import gnuradio.gr").ok:
        return Result("numpy", "ok", answer.output)
    return Result("numpy", "fail", f"{answer.output}, and GNU Radio cannot be imported", "pip install 'numpy<2'")


def check_torch() -> Result:
    """The codec and the language model need torch; the CPU build is enough."""
    answer = probe("import torch; print(torch.__version__, torch.version.cuda, torch.cuda.is_available())")
    if not answer.ok:
        mend = "pip install torch --index-url https://download.pytorch.org/whl/cpu, with 'numpy<2' in the same call"
        return Result("torch", "fail", f"cannot be imported: {answer.error}", mend)
    version, cuda, usable = answer.output.split()[-3:]
    if cuda == "None":
        return Result("torch", "ok", f"{version}, CPU build")
    if usable == "True":
        return Result("torch", "ok", f"{version}, CUDA {cuda} build")
    mend = "it works; the CPU build does too and is gigabytes smaller"
    return Result("torch", "warn", f"{version}, CUDA {cuda} build, but no such GPU here", mend)


def check_weights() -> Result:
    """Every model's weights are there and are the ones its config.yaml names."""
    mend = "install again, from a complete clone; or point SOUNDSPRING_MODELS at the models folder"
    try:
        names = weights.model_names()
        wrong = [fault for name in names for fault in weights.faults(weights.find_model(name))]
    except (OSError, ValueError) as error:
        return Result("weights", "fail", str(error), mend)
    if not names:
        return Result("weights", "fail", f"no model in {weights.models_dir()}", mend)
    if wrong:
        return Result("weights", "fail", "; ".join(wrong), mend)
    return Result("weights", "ok", f"{', '.join(names)} in {weights.models_dir()}")


def _optional(name: str, code: str, purpose: str, mend: str) -> Callable[[], Result]:
    """A check that `code` runs; if it does not, only `purpose` is lost."""

    def check() -> Result:
        answer = probe(code)
        if answer.ok:
            return Result(name, "ok", answer.output or "found")
        return Result(name, "warn", f"missing, so no {purpose}: {answer.error}", mend)

    check.__name__ = f"check_{name}"
    return check


def _present(*modules: str) -> str:
    """Code that fails on the first of `modules` that is not installed, without the cost of importing them."""
    return (
        "import importlib.util as u\n"
        f"for m in {modules!r}:\n    if u.find_spec(m) is None: raise SystemExit(m + ' is not installed')"
    )


def _libraries(*names: str) -> str:
    """Code that fails on the first shared library that is not installed."""
    return (
        "import ctypes.util as u\n"
        f"for n in {names!r}:\n    if u.find_library(n) is None: raise SystemExit('lib' + n + ' is not installed')"
    )


check_numba = _optional(
    "numba", "import numba; print(numba.__version__)", "fast LDPC decoding", "pip install numba 'numpy<2'"
)
check_soundfile = _optional(
    "soundfile", "import soundfile as s; print(s.__version__)", "formats but WAV", "pip install soundfile"
)
check_pesq = _optional("pesq", _present("pesq"), "PESQ", "pip install pesq 'numpy<2' (needs g++ and python3-dev)")
check_stoi = _optional("stoi", _present("pystoi"), "STOI", "pip install pystoi 'numpy<2'")
check_plcmos = _optional(
    "plcmos",
    _present("speechmos", "librosa", "onnxruntime"),
    "PLCMOS",
    "pip install speechmos librosa onnxruntime 'numpy<2'",
)
check_visqol = _optional("visqol", _present("visqol"), "ViSQOL", "pip install 'visqol-python[lattice]' 'numpy<2'")
check_opus = _optional(
    "opus",
    "import importlib.util as u, ctypes.util as c\n"
    "found = [n for n in ('av', 'opuscodec') if u.find_spec(n)] + [c.find_library('opus')]\n"
    "if found == [None]: raise SystemExit('no libopus')\nprint(found[0])",
    "Opus to compare with",
    "pip install opuscodec, or apt install libopus0",
)
check_amrwb = _optional(
    "amrwb",
    _libraries("vo-amrwbenc", "opencore-amrwb"),
    "AMR-WB to compare with",
    "apt install libvo-amrwbenc0 libopencore-amrwb0",
)
check_codec2 = _optional("codec2", _libraries("codec2"), "Codec2 to compare with", "apt install libcodec2-1.0")
check_cryptography = _optional(
    "cryptography",
    "import cryptography; print(cryptography.__version__)",
    "authentication with a key",
    "apt install python3-cryptography, or pip install cryptography",
)
check_dask = _optional(
    "dask", _present("distributed"), "sweeps in several processes", "pip install dask distributed 'numpy<2'"
)
check_pluto = _optional(
    "pluto", "from gnuradio import iio; print('gr-iio')", "ADALM-Pluto", "apt install gnuradio with its gr-iio"
)
check_adi = _optional(
    "pyadi-iio",
    "import adi; print(adi.__version__)",
    "direct access to the Pluto's attributes",
    "pip install pyadi-iio==0.0.21 'pylibiio<1' 'numpy<2'",
)
check_libiio = _optional(
    "libiio",
    "import iio; print(*iio.version[:2], sep='.')",
    "a Pluto's sensors while it runs",
    "apt install python3-libiio",
)
check_zeromq = _optional(
    "zeromq", "from gnuradio import zeromq; print('gr-zeromq')", "links between processes", "apt install gnuradio"
)
check_sound = _optional(
    "sound", "from gnuradio import audio; print('gr-audio')", "microphone and loudspeaker", "apt install gnuradio"
)
check_usrp = _optional("usrp", "from gnuradio import uhd; print('gr-uhd')", "USRP", "apt install gnuradio with gr-uhd")
check_uhd = _optional(
    "uhd-python", "import uhd.usrp; print('found')", "direct access to USRPs", "apt install python3-uhd"
)

CHECKS: tuple[Callable[[], Result], ...] = (
    check_python,
    check_gnuradio,
    check_module,
    check_grc,
    check_numpy,
    check_torch,
    check_weights,
    check_numba,
    check_soundfile,
    check_pesq,
    check_stoi,
    check_plcmos,
    check_visqol,
    check_opus,
    check_amrwb,
    check_codec2,
    check_cryptography,
    check_dask,
    check_pluto,
    check_adi,
    check_usrp,
    check_uhd,
    check_zeromq,
    check_sound,
)


def examine(checks: Iterable[Callable[[], Result]]) -> list[Result]:
    """Run the checks, two at a time (each mostly waits for a process of its own), and keep their order."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        return list(pool.map(lambda check: check(), checks))


def as_text(results: Iterable[Result]) -> str:
    """A line per check and, below those that need it, one with the remedy."""
    lines = []
    for result in results:
        lines.append(f"{MARK[result.status]}  {result.name:<11} {result.found}")
        if result.mend:
            lines.append(f"{'':18}-> {result.mend}")
    return "\n".join(lines)


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add `doctor` to the command line."""
    text = "say what is installed, what is wrong and how to mend it"
    parser = subparsers.add_parser("doctor", help=text, description=f"{text.capitalize()}. Exit code 1: something is.")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(args: argparse.Namespace) -> int:
    """Print the findings; 0 if nothing that every user needs is wrong, else 1."""
    results = examine(CHECKS)
    healthy = all(result.status != "fail" for result in results)
    if args.json:
        report = {"ok": healthy, "version": __version__, "checks": [asdict(result) for result in results]}
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    else:
        closing = "All is well." if healthy else "Mend what is marked FAIL; notes are optional."
        sys.stdout.write(f"{as_text(results)}\n{closing}\n")
    return 0 if healthy else 1
