# SPDX-License-Identifier: GPL-3.0-or-later
"""CMake installs the module where Python and GRC look for it, for a plain prefix and with DESTDIR."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("gnuradio")
ROOT = Path(__file__).parents[2]
CMAKE = shutil.which("cmake")
pytestmark = pytest.mark.skipif(CMAKE is None, reason="cmake is not installed")
CLEAN = {key: value for key, value in os.environ.items() if key not in {"PYTHONPATH", "DESTDIR"}}


def run(*command, **more):
    environment = {**CLEAN, **more}
    done = subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    folder = tmp_path_factory.mktemp("build")
    prefix = folder / "prefix"
    python = f"-DPYTHON_EXECUTABLE={sys.executable}"
    run(CMAKE, "-S", str(ROOT), "-B", str(folder), f"-DCMAKE_INSTALL_PREFIX={prefix}", python)
    run(CMAKE, "--build", str(folder))
    return folder


@pytest.fixture(scope="module")
def prefix(build):
    run(CMAKE, "--install", str(build))
    return build / "prefix"


def package(prefix: Path) -> Path:
    (found,) = prefix.glob("lib/python3*/*-packages/gnuradio/soundspring")
    return found


def test_the_whole_package_is_installed(prefix):
    source = ROOT / "python/soundspring"
    kinds = {".py", ".yaml", ".npz", ".npy", ".html", ".css", ".js"}
    files = [path for path in source.rglob("*") if path.is_file() and path.parent.name != "__pycache__"]
    wanted = {path.relative_to(source) for path in files if path.suffix in kinds}
    other = [path for path in files if path.suffix not in kinds]
    assert other == [], "a kind of file that python/CMakeLists.txt does not install"
    assert {path for path in wanted if not (package(prefix) / path).is_file()} == set()
    assert not (package(prefix).parent / "__init__.py").exists(), "it would hide GNU Radio"


def test_blocks_models_and_examples_are_installed(prefix):
    blocks = {path.name for path in (ROOT / "grc").glob("soundspring*.yml")}
    assert {path.name for path in (prefix / "share/gnuradio/grc/blocks").glob("*.yml")} == blocks
    models = {path.parent.name for path in (ROOT / "models").glob("*/config.yaml")}
    assert {path.name for path in (package(prefix) / "models").glob("*")} == models
    if (ROOT / "examples").is_dir():
        examples = {path.name for path in (ROOT / "examples").iterdir() if path.name != "__pycache__"}
        assert {path.name for path in (prefix / "share/gnuradio/examples/soundspring").iterdir()} == examples


def test_gnuradio_finds_the_module(prefix):
    code = "from gnuradio import soundspring, gr; print(soundspring.__file__)"
    found = run(sys.executable, "-c", code, PYTHONPATH=str(package(prefix).parents[1]))
    assert Path(found.strip()) == package(prefix) / "__init__.py"


def test_the_command_needs_no_path(prefix):
    assert run(str(prefix / "bin/soundspring"), "--version").startswith("soundspring ")
    done = subprocess.run([prefix / "bin/soundspring", "doctor", "--json"], env=CLEAN, capture_output=True, text=True)
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert checks["module"]["status"] == "ok", checks["module"]
    assert str(package(prefix)) in checks["module"]["found"]


def test_a_second_install_leaves_no_left_overs(build, prefix):
    stale = package(prefix) / "blocks/no_more.py"
    stale.parent.mkdir(exist_ok=True)
    stale.write_text("")
    compiled = package(prefix) / "__pycache__/kernels.nbc"  # numba's, dear to make again
    compiled.write_text("")
    run(CMAKE, "--install", str(build))
    assert not stale.exists() and compiled.exists() and (package(prefix) / "__init__.py").is_file()


def test_destdir_and_uninstall(build, prefix, tmp_path):
    run(CMAKE, "--install", str(build), DESTDIR=str(tmp_path))
    staged = tmp_path / prefix.relative_to("/")
    assert (staged / "bin/soundspring").is_file() and package(staged).is_dir()
    run(CMAKE, "--build", str(build), "--target", "uninstall", DESTDIR=str(tmp_path))
    assert not (staged / "bin/soundspring").exists() and not (list(staged.rglob("*.py")) or list(staged.rglob("*.yml")))
    assert (prefix / "bin/soundspring").is_file()


def test_every_tests_folder_is_a_ctest(build):
    ctest = Path(CMAKE).with_name("ctest")
    listing = json.loads(run(str(ctest), "--test-dir", str(build), "--show-only=json-v1"))
    folders = {path.parent.name for pattern in ("*/test_*.py", "*/qa_*.py") for path in (ROOT / "tests").glob(pattern)}
    assert {test["name"] for test in listing["tests"]} == folders and "house" in folders
