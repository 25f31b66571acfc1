# SPDX-License-Identifier: GPL-3.0-or-later
"""The command's shell: it finds sub-commands, imports only the one asked for, and explains a user's mistakes."""

import sys
import types

import pytest
from soundspring import __version__
from soundspring.cli import main as shell


def install_command(monkeypatch, action):
    """A sub-command `fake` that does `action(args)`."""
    module = types.ModuleType("soundspring.cli.fake")
    module.register = lambda subparsers: subparsers.add_parser("fake").add_argument("word", nargs="?")
    module.run = action
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(shell, "command_names", lambda: ["doctor", "fake"])


def failing(error):
    def action(args):
        raise error

    return action


def test_every_module_of_the_folder_is_a_command_with_the_two_functions():
    names = shell.command_names()
    assert "doctor" in names and "main" not in names
    choices = shell.build_parser(names)._subparsers._group_actions[0].choices
    assert sorted(choices) == names


def test_runs_the_command_and_returns_its_code(monkeypatch):
    install_command(monkeypatch, lambda args: len(args.word))
    assert shell.main(["fake", "four"]) == 4


def test_imports_only_the_command_asked_for(monkeypatch):
    install_command(monkeypatch, lambda args: 0)
    monkeypatch.setitem(sys.modules, "soundspring.cli.doctor", None)  # importing it now raises
    assert shell.main(["fake"]) == 0


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("snr_db must be a number,\ngot 'high'"), "snr_db must be a number, got 'high'"),
        (FileNotFoundError(2, "No such file or directory", "in.wav"), "there is no file in.wav"),
        (FileNotFoundError("no model 'big'"), "no model 'big'"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), "utf-8"),
        (ModuleNotFoundError("No module named 'torch'", name="torch"), "soundspring doctor"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_code_2(monkeypatch, capsys, error, line):
    install_command(monkeypatch, failing(error))
    assert shell.main(["fake"]) == 2
    captured = capsys.readouterr()
    assert line in captured.err and captured.err.startswith("soundspring fake: ")
    assert captured.err.count("\n") == 1 and captured.out == ""


def test_debug_shows_the_traceback_before_or_after_the_command(monkeypatch):
    install_command(monkeypatch, failing(ValueError("bad")))
    for argv in (["--debug", "fake"], ["fake", "--debug"]):
        with pytest.raises(ValueError, match="bad"):
            shell.main(argv)


def test_a_fault_of_ours_keeps_its_traceback(monkeypatch):
    install_command(monkeypatch, failing(TypeError("ours")))
    with pytest.raises(TypeError, match="ours"):
        shell.main(["fake"])


def test_an_interrupt_is_no_error(monkeypatch):
    install_command(monkeypatch, failing(KeyboardInterrupt()))
    assert shell.main(["fake"]) == 130


@pytest.mark.parametrize("argv", [[], ["nonsense"], ["fake", "--nonsense"]])
def test_wrong_use_prints_the_usage(monkeypatch, capsys, argv):
    install_command(monkeypatch, lambda args: 0)
    with pytest.raises(SystemExit) as stop:
        shell.main(argv)
    assert stop.value.code == 2 and "usage:" in capsys.readouterr().err


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        shell.main(["--version"])
    assert stop.value.code == 0 and capsys.readouterr().out == f"soundspring {__version__}\n"
