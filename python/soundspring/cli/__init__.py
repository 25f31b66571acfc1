# SPDX-License-Identifier: GPL-3.0-or-later
"""The `soundspring` command: every module here but `main` is one sub-command of the same name.

A sub-command has `register(subparsers)`, which adds its parser and arguments and imports nothing heavy, and
`run(args) -> int`, which does the work and returns the exit code.
"""
