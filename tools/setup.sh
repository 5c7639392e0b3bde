#!/bin/sh
# Make .venv with a Python that has a bpy wheel and install renderctl in it. usage: tools/setup.sh EXTRAS (blender, or blender,dev)
# Repeatable: what is installed already is not installed again.
set -eu
cd "$(dirname "$0")/.."
extras=$1

fail() { printf '\nsetup: %s\n' "$1" >&2; exit 1; }

# The bpy wheel exists for these Pythons (pyproject.toml says which Blender each one gets).
pick_python() {
    for candidate in ${PYTHON:-} python3.11 python3.13 python3; do
        version=$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
        case $version in 3.11 | 3.13) ;; *) continue ;; esac
        "$candidate" -c 'import ensurepip, venv' 2>/dev/null || { bare=$candidate; continue; }
        echo "$candidate"
        return
    done
    [ -z "${bare:-}" ] || fail "$bare can not make virtual environments.
    Debian, Ubuntu: sudo apt-get install python$("$bare" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
    fail "Python 3.11 or 3.13 is needed: Blender's Python module exists for these.
    Debian 12, 13: sudo apt-get install python3 python3-venv     anywhere: uv python install 3.11
    If it is in an unusual place: make demo PYTHON=/path/to/python3.11"
}

# The system libraries that bpy needs on a bare Debian or Ubuntu, and libegl1 for EEVEE and Workbench.
libraries="libx11-6 libxrender1 libxfixes3 libxi6 libxkbcommon0 libsm6 libgl1 libegl1"
install_libraries() {
    [ "$(uname -s)" = Linux ] && command -v dpkg-query >/dev/null 2>&1 || return 0
    missing=
    for package in $libraries; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" = 0 ]; then sudo=; elif sudo -n true 2>/dev/null; then sudo=sudo; else
        fail "Blender needs system libraries that are missing. Ask an administrator for:
    sudo apt-get install --no-install-recommends$missing"
    fi
    echo "Installing the system libraries that Blender needs:$missing"
    $sudo apt-get update -qq || fail "apt-get update failed. Is there a network?"
    # shellcheck disable=SC2086
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing >/dev/null ||
        fail "apt-get could not install:$missing"
}

if [ ! -x .venv/bin/python ]; then
    python=$(pick_python) || exit 1
    echo "Making .venv with $("$python" --version)"
    "$python" -m venv .venv || { rm -rf .venv; fail "$python could not make .venv."; }
fi

install_libraries

stamp=.venv/.installed-$(echo "$extras" | tr , -)
if [ ! -f "$stamp" ] || [ pyproject.toml -nt "$stamp" ]; then
    echo "Installing renderctl[$extras] (Blender is a download of 374 MB, once)"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -e ".[$extras]" ||
        fail "pip could not install renderctl[$extras] (above: why). It needs the network, or a mirror (PIP_INDEX_URL), and 2 GB of disk."
    touch "$stamp"
fi
