#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# missing-packages.sh [PYTHON] [needed|peers]
# Prints the Debian packages that are missing, on one line; nothing if all is there: those that are needed, or the codecs
# that comparisons have as peers. It asks for the thing itself, not for its package: a GNU Radio built from source, say,
# is as good.
python=${1:-/usr/bin/python3}

need() { # need PACKAGE COMMAND...: PACKAGE is missing if COMMAND fails
    package=$1
    shift
    "$@" >/dev/null 2>&1 || printf '%s ' "$package"
}

library() { # library PACKAGE NAME: PACKAGE is missing if the shared library libNAME is not found
    need "$1" "$python" -c 'import sys, ctypes.util as u; sys.exit(u.find_library(sys.argv[1]) is None)' "$2"
}

if [ "${2:-needed}" = peers ]; then
    library libopencore-amrwb0 opencore-amrwb
    library libvo-amrwbenc0 vo-amrwbenc
    library libcodec2-1.0 codec2
    exit
fi
need python3 "$python" -c pass
need gnuradio "$python" -c 'from gnuradio import gr'
need python3-scipy "$python" -c 'import scipy.signal'
need python3-yaml "$python" -c 'import yaml'
need python3-libiio "$python" -c 'import iio'
need python3-venv "$python" -c 'import ensurepip'
need python3-dev "$python" -c 'import os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")'
need g++ g++ --version
need cmake cmake --version
