# SPDX-License-Identifier: GPL-3.0-or-later
"""Entry point of the `soundspring` command: finds the sub-command, runs it, and makes one line of a user's mistake."""

import argparse
import logging
import os
import pkgutil
import sys
from collections.abc import Sequence
from importlib import import_module

from .. import __version__

USER_ERROR = 2
INTERRUPTED = 130


def command_names() -> list[str]:
    """The sub-commands: the modules of this folder, so that one exists exactly when its file does."""
    folder = os.path.dirname(__file__)
    names = (module.name for module in pkgutil.iter_modules([folder]))
    return sorted(name for name in names if name != "main" and not name.startswith("_"))


def build_parser(commands: Sequence[str]) -> argparse.ArgumentParser:
    """A parser that knows `commands`; only their modules are imported."""
    parser = argparse.ArgumentParser(prog="soundspring", description="Speech over radio with a neural codec.")
    parser.add_argument("--version", action="version", version=f"soundspring {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in commands:
        module = import_module(f".{name}", __package__)
        module.register(subparsers)
        subparsers.choices[name].set_defaults(run=module.run)
    for sub in {parser, *subparsers.choices.values()}:
        default = False if sub is parser else argparse.SUPPRESS
        sub.add_argument("--debug", action="store_true", default=default, help="show tracebacks and debug messages")
    return parser


def explain(error: Exception) -> str | None:
    """One line for the user if the mistake may be theirs; None for a fault of ours, which deserves its traceback."""
    if isinstance(error, ModuleNotFoundError):
        return f"{error}; `soundspring doctor` says how to install what is missing"
    if isinstance(error, FileNotFoundError) and error.strerror and error.filename is not None:
        return f"there is no file {error.filename}"
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, ValueError | OSError):
        return " ".join(str(error).split()) or type(error).__name__
    return None


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command; returns the exit code: 0 good, 2 wrong use or input, 130 interrupted, else the command's."""
    argv = list(sys.argv[1:] if argv is None else argv)
    names = command_names()
    chosen = next((word for word in argv if not word.startswith("-")), None)
    args = build_parser([chosen] if chosen in names else names).parse_args(argv)
    args.words = argv  # for those that start themselves again
    logging.basicConfig(level=logging.DEBUG if args.debug else logging.WARNING, format="%(levelname)s: %(message)s")
    try:
        return args.run(args)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # `soundspring ... | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        message = explain(error)
        if args.debug or message is None:
            raise
        sys.stderr.write(f"soundspring {args.command}: {message}\n")
        return USER_ERROR
