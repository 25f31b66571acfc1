#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Put grcc and gnuradio-companion into a virtual environment: the system's own run under the system's Python, which sees
# neither the module nor its block files.  Usage: venv-grc.sh VENV
for name in grcc gnuradio-companion; do
    program=$(PATH=/usr/local/bin:/usr/bin command -v $name) || continue
    cat > "$1/bin/$name" <<SCRIPT
#!/bin/sh
export GRC_BLOCKS_PATH="$1/share/gnuradio/grc/blocks\${GRC_BLOCKS_PATH:+:\$GRC_BLOCKS_PATH}"
exec "$1/bin/python" "$program" "\$@"
SCRIPT
    chmod +x "$1/bin/$name"
done
