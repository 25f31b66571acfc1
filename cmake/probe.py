# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell CMake what it needs to know of this Python, as one list: GNU Radio's version; default prefix; package folder.

Call: ``python probe.py [PREFIX]``. Without PREFIX the default prefix is used. Fails as ``import gnuradio`` fails.
"""

import os
import site
import sys
import sysconfig


def default_prefix(gnuradio_prefix: str) -> str:
    """The virtual environment's folder, else GNU Radio's own prefix; a package manager's /usr is left alone."""
    if sys.prefix != sys.base_prefix:
        return sys.prefix
    prefix = os.path.normpath(gnuradio_prefix)
    return "/usr/local" if prefix == "/usr" else prefix


def package_folder(prefix: str) -> str:
    """Where packages go below `prefix`: a folder this Python searches already, else the usual name for one."""
    for folder in [*site.getsitepackages(), site.getusersitepackages()]:
        relative = os.path.relpath(folder, prefix)
        if relative.startswith("lib"):
            return relative
    debian = "deb_system" in sysconfig.get_scheme_names() and sys.prefix == sys.base_prefix
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return os.path.join("lib", version, "dist-packages" if debian else "site-packages")


def main() -> None:
    from gnuradio import gr

    prefix = sys.argv[1] if len(sys.argv) > 1 else default_prefix(gr.prefix())
    sys.stdout.write(";".join([gr.version(), prefix, package_folder(os.path.abspath(prefix))]))


if __name__ == "__main__":
    main()
