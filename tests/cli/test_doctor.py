# SPDX-License-Identifier: GPL-3.0-or-later
"""The doctor finds each fault. The faults are real ones: broken stand-ins for modules, found first on PYTHONPATH."""

import hashlib
import json

import pytest
from soundspring import __version__, weights
from soundspring.cli import doctor, main


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A function that puts source files on the path of the doctor's probes: machine({"torch/__init__.py": "..."})."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")  # files are written anew within the second that .pyc files know

    def put(files):
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        return tmp_path

    return put


def gnuradio(version="3.10.5.1", blocks=""):
    """Stand-in for a GNU Radio that works and looks for block files in `blocks`."""
    prefs = f"class prefs:\n    def get_string(self, section, key, default): return {blocks!r}\n"
    return {
        "gnuradio/__init__.py": "",
        "gnuradio/gr.py": f"def version(): return {version!r}\n{prefs}",
        "gnuradio/grc/core/Config.py": "class Config:\n    hier_block_lib_dir = '/nonexistent'\n",
    }


BROKEN_BY_NUMPY = "import sys; sys.stderr.write('AttributeError: _ARRAY_API not found\\n'); raise ImportError('x')"
NO_GNURADIO = "raise ModuleNotFoundError(\"No module named 'gnuradio'\")"


def test_gnuradio_good_old_missing_and_broken(machine):
    machine(gnuradio())
    assert doctor.check_gnuradio() == doctor.Result("gnuradio", "ok", "3.10.5.1")
    machine(gnuradio(version="3.9.8.0"))
    assert "too old" in doctor.check_gnuradio().found and doctor.check_gnuradio().status == "fail"
    machine({"gnuradio/__init__.py": NO_GNURADIO})
    assert "apt install gnuradio" in doctor.check_gnuradio().mend
    machine({"gnuradio/__init__.py": BROKEN_BY_NUMPY})
    assert "numpy<2" in doctor.check_gnuradio().mend
    machine({"gnuradio/__init__.py": "", "gnuradio/gr.py": "import gnuradio.nothing"})
    assert "stray" in doctor.check_gnuradio().mend


def test_the_wrong_python(machine, tmp_path, monkeypatch):
    other = tmp_path / "python3"
    other.write_text("#!/bin/sh\necho 3.99\n")
    other.chmod(0o755)
    monkeypatch.setattr(doctor, "SYSTEM_PYTHON", str(other))
    machine({"gnuradio/__init__.py": NO_GNURADIO})
    result = doctor.check_python()
    assert result.status == "fail" and "Python 3.99" in result.found and str(other) in result.mend
    machine(gnuradio())
    assert doctor.check_python().status == "ok"


def test_numpy_2_is_a_fault_only_if_gnuradio_breaks(machine):
    machine({"numpy/__init__.py": "__version__ = '2.1.0'", "gnuradio/__init__.py": BROKEN_BY_NUMPY})
    assert doctor.check_numpy().status == "fail" and "numpy<2" in doctor.check_numpy().mend
    machine(gnuradio())
    assert doctor.check_numpy() == doctor.Result("numpy", "ok", "2.1.0")


def test_module_missing_elsewhere_and_of_another_version(machine, tmp_path, monkeypatch):
    machine(gnuradio())
    monkeypatch.setattr(doctor, "_installed_copies", lambda: [])
    assert "make install" in doctor.check_module().mend
    monkeypatch.undo()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setattr(doctor.sys, "prefix", str(tmp_path / "env"))
    copy = tmp_path / "env/lib/python3.11/site-packages/gnuradio/soundspring"
    copy.mkdir(parents=True)
    assert copy.parents[1] in [path.parents[1] for path in doctor._installed_copies()]
    assert "export PYTHONPATH=" in doctor.check_module().mend
    machine({"gnuradio/soundspring.py": f"__version__ = {__version__!r}"})
    assert doctor.check_module().status == "ok"
    machine({"gnuradio/soundspring.py": "__version__ = '0.0.0.0'"})
    assert doctor.check_module().status == "fail" and "0.0.0.0" in doctor.check_module().found


def test_blocks_found_by_preference_by_environment_or_not(machine, tmp_path, monkeypatch):
    monkeypatch.delenv("GRC_BLOCKS_PATH", raising=False)
    monkeypatch.delenv("GRC_HIER_PATH", raising=False)
    ours = tmp_path / "share/gnuradio/grc/blocks"
    machine({**gnuradio(), "share/gnuradio/grc/blocks/soundspring_x.block.yml": ""})
    monkeypatch.setattr(doctor, "_block_folder", lambda: ours)
    result = doctor.check_grc()
    assert result.status == "fail" and f"GRC_BLOCKS_PATH={ours}" in result.mend
    monkeypatch.setenv("GRC_BLOCKS_PATH", str(ours))
    assert doctor.check_grc().status == "ok"
    monkeypatch.delenv("GRC_BLOCKS_PATH")
    machine(gnuradio(blocks=f"/nonexistent:{ours}"))
    assert doctor.check_grc() == doctor.Result("grc", "ok", f"1 blocks in {ours}")


@pytest.mark.parametrize(
    ("cuda", "usable", "status"), [(None, False, "ok"), ("13.0", True, "ok"), ("13.0", False, "warn")]
)
def test_which_torch(machine, cuda, usable, status):
    source = "__version__ = '2.13.0'\nclass version: cuda = {!r}\nclass cuda: is_available = staticmethod(lambda: {})"
    machine({"torch/__init__.py": source.format(cuda, usable)})
    result = doctor.check_torch()
    assert result.status == status and ("CPU build" in result.found) == (cuda is None)


def test_no_torch(machine):
    machine({"torch/__init__.py": "raise ImportError('libtorch.so is missing')"})
    result = doctor.check_torch()
    assert result.status == "fail" and "libtorch.so is missing" in result.found and "index-url" in result.mend


def put_model(folder, digest=None):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "weights.safetensors").write_bytes(b"numbers")
    digest = digest or hashlib.sha256(b"numbers").hexdigest()
    (folder / "config.yaml").write_text(f"sha256: {{weights.safetensors: '{digest}'}}\n")


def test_weights_right_damaged_unnamed_and_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("SOUNDSPRING_MODELS", str(tmp_path / "models"))
    assert "no models folder" in doctor.check_weights().found
    (tmp_path / "models").mkdir()
    assert doctor.check_weights().found.startswith("no model in")
    model = tmp_path / "models/reference"
    put_model(model)
    assert doctor.check_weights().status == "ok" and weights.find_model("reference") == model
    put_model(model, digest="0" * 64)
    assert "damaged" in doctor.check_weights().found
    (model / "weights.safetensors").unlink()
    assert "missing" in doctor.check_weights().found
    (model / "config.yaml").write_text("name: reference\n")
    assert doctor.check_weights().status == "fail" and "names no sha256" in doctor.check_weights().found
    with pytest.raises(FileNotFoundError, match="there are: reference"):
        weights.find_model("other")


def test_something_optional_missing_is_a_note_with_a_remedy(machine):
    machine({"present.py": ""})
    absent = doctor._optional("x", doctor._present("present", "absent_module"), "melody", "mend")
    result = absent()
    assert result == doctor.Result("x", "warn", "missing, so no melody: absent_module is not installed", "mend")
    assert doctor._optional("x", doctor._present("present"), "melody", "")().status == "ok"


def test_the_report_and_the_exit_code(monkeypatch, capsys):
    good = doctor.Result("a", "ok", "1.0")
    note = doctor.Result("b", "warn", "missing", "get b")
    bad = doctor.Result("c", "fail", "broken", "mend c")
    monkeypatch.setattr(doctor, "CHECKS", (lambda: good, lambda: note))
    assert main.main(["doctor"]) == 0
    assert "get b" in capsys.readouterr().out
    monkeypatch.setattr(doctor, "CHECKS", (lambda: good, lambda: note, lambda: bad))
    assert main.main(["doctor", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is False and [check["status"] for check in report["checks"]] == ["ok", "warn", "fail"]
    assert report["checks"][2]["mend"] == "mend c"
