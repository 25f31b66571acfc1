# SPDX-License-Identifier: GPL-3.0-or-later
"""What every file of the repository must have, and what none may be."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SPDX = "SPDX-License-Identifier: GPL-3.0-or-later"
SOURCE_SUFFIXES = {".py", ".cmake", ".sh", ".in"}
SOURCE_NAMES = {"CMakeLists.txt", "Makefile", ".ci/run"}
WEIGHTS_LIMIT = 45e6
VERSION = re.compile(r'^__version__ = "(\d+\.\d+\.\d+\.\d+)"$', re.MULTILINE)


def repository_files() -> list[Path]:
    """Files that are committed or about to be; what git ignores is no concern of ours."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        done = subprocess.run(listing, cwd=ROOT, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [ROOT / name for name in done.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def test_every_source_file_names_its_licence():
    def is_source(path):
        return path.suffix in SOURCE_SUFFIXES or {path.name, str(path.relative_to(ROOT))} & SOURCE_NAMES

    sources = [path for path in repository_files() if is_source(path) and path.stat().st_size]
    assert len(sources) > 10
    without = [path for path in sources if SPDX not in "\n".join(path.read_text("utf-8").splitlines()[:3])]
    assert [str(path.relative_to(ROOT)) for path in without] == []


def test_all_weights_together_are_small():
    sizes = {path: path.stat().st_size for path in repository_files() if path.suffix == ".safetensors"}
    assert sum(sizes.values()) < WEIGHTS_LIMIT, sizes


def test_no_pickled_weights():
    assert [path for path in repository_files() if path.suffix in {".pt", ".pth", ".ckpt", ".pkl"}] == []


def test_every_model_has_its_card_and_configuration():
    folders = {path.parent for path in repository_files() if path.suffix == ".safetensors"}
    for folder in folders:
        assert folder.parent == ROOT / "models", f"weights outside models/<name>: {folder}"
        missing = [name for name in ("config.yaml", "CARD.md") if not (folder / name).is_file()]
        assert not missing, f"{folder.name} lacks {missing}"


def test_every_models_weights_have_their_sha256():
    from soundspring import weights

    for config in (ROOT / "models").glob("*/config.yaml"):
        assert weights.faults(config.parent) == []


def test_the_version_is_one():
    version = VERSION.search((ROOT / "python/soundspring/__init__.py").read_text("utf-8")).group(1)
    assert f"version: {version}\n" in (ROOT / "MANIFEST.yml").read_text("utf-8")


def test_only_the_command_prints():
    calls = re.compile(r"^\s*print\(", re.MULTILINE)
    package = ROOT / "python/soundspring"
    files = [path for path in package.rglob("*.py") if path.parent.name != "cli"]
    assert [str(path.relative_to(ROOT)) for path in files if calls.search(path.read_text("utf-8"))] == []
