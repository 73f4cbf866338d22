#!/usr/bin/env bash
# Makes a virtual environment and installs ocrexp into it with everything that training and testing need.
#   VENV=.venv          where
#   PYTHON=python3.11   which interpreter (3.10 to 3.13); found by itself otherwise
#   PADDLE_INDEX=URL    the index of GPU wheels for your CUDA version, from the installation page of PaddlePaddle
set -euo pipefail
cd "$(dirname "$0")/.."
VENV=${VENV:-.venv}

die() { echo "setup: $*" >&2; exit 1; }

suitable() { "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; }

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.11 python3.12 python3.13 python3.10}; do
        if command -v "$candidate" >/dev/null && suitable "$candidate"; then echo "$candidate"; return; fi
    done
    die "no Python 3.10 to 3.13 found: install one, or name it with PYTHON=/path/to/python"
}

# A system package, installed where we may, named where we may not.
system_package() {
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "setup: installing the system packages $*"
        apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >/dev/null && return
    fi
    die "the system lacks $*: sudo apt-get install -y $*"
}

python=$(find_python)
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    system_package "python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
fi
[ -x "$VENV/bin/python" ] || "$python" -m venv "$VENV"

"$VENV/bin/python" -m pip install --quiet --upgrade pip 'uv>=0.4'
# First match over all configured indexes, as pip does it.
install() { "$VENV/bin/uv" pip install --quiet --python "$VENV/bin/python" --index-strategy unsafe-best-match "$@"; }

paddle=cpu
if command -v nvidia-smi >/dev/null && nvidia-smi -L 2>/dev/null | grep -q GPU; then
    if install ${PADDLE_INDEX:+--extra-index-url "$PADDLE_INDEX"} 'paddlepaddle-gpu>=3.0'; then
        paddle=gpu
    else
        echo "setup: no GPU build of paddle found; take the index of your CUDA version from PaddlePaddle's installation page" >&2
        echo "setup: and run PADDLE_INDEX=URL make setup; going on with the CPU build" >&2
    fi
fi
if [ "$paddle" = gpu ]; then
    install --constraint constraints.txt --editable '.[dev]'
else
    install --constraint constraints.txt --editable '.[cpu,dev]'
fi

if ! problem=$("$VENV/bin/python" -c 'import cv2' 2>&1); then
    case "$problem" in
        *libGL*) system_package libgl1 libglib2.0-0 ;;
        *libgthread* | *libglib*) system_package libglib2.0-0 ;;
    esac
    "$VENV/bin/python" -c 'import cv2' || die "OpenCV does not import, see above"
fi
"$VENV/bin/python" -c 'import paddle; print("setup: paddle", paddle.__version__, "on", paddle.device.get_device())' 2>/dev/null \
    || die "paddle does not import: run $VENV/bin/python -c 'import paddle' to see why"
