#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Prints the Debian packages that are needed and missing, on one line; nothing if all is there. It asks for the thing
# itself, not for its package: a GNU Radio built from source, say, is as good.
python=${1:-/usr/bin/python3}

need() { # need PACKAGE COMMAND...: PACKAGE is missing if COMMAND fails
    package=$1
    shift
    "$@" >/dev/null 2>&1 || printf '%s ' "$package"
}

need python3 "$python" -c pass
need gnuradio "$python" -c 'from gnuradio import gr'
need python3-scipy "$python" -c 'import scipy.signal'
need python3-yaml "$python" -c 'import yaml'
need python3-venv "$python" -c 'import ensurepip'
need python3-dev "$python" -c 'import os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")'
need g++ g++ --version
need cmake cmake --version
