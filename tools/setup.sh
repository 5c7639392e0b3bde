#!/bin/sh
# Make .venv with a Python that has a bpy wheel and install renderctl in it. usage: tools/setup.sh EXTRAS (blender, or blender,dev)
# Install the servers that the tests start for themselves, and start none.      usage: tools/setup.sh services
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

# Which of the named Debian packages are not installed.
missing_of() {
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || printf ' %s' "$package"
    done
}

# Set $sudo to what makes an administrator; false: nothing does.
become_root() {
    if [ "$(id -u)" = 0 ]; then sudo=; elif sudo -n true 2>/dev/null; then sudo=sudo; else return 1; fi
}

apt_install() {
    $sudo apt-get update -qq || fail "apt-get update failed. Is there a network?"
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" >/dev/null ||
        fail "apt-get could not install: $*"
}

install_libraries() {
    [ "$(uname -s)" = Linux ] && command -v dpkg-query >/dev/null 2>&1 || return 0
    # shellcheck disable=SC2086
    missing=$(missing_of $libraries)
    [ -n "$missing" ] || return 0
    become_root || fail "Blender needs system libraries that are missing. Ask an administrator for:
    sudo apt-get install --no-install-recommends$missing"
    echo "Installing the system libraries that Blender needs:$missing"
    # shellcheck disable=SC2086
    apt_install $missing
}

# The packages would start their servers now (a policy forbids it) and at every boot (they are disabled).
install_services() {
    packages="mariadb-server redis-server rabbitmq-server ceph-mon ceph-osd ceph-common radosgw debootstrap docker-registry chromium"
    # Docker's own packages and Debian's exclude each other: who has an engine keeps it.
    [ -x /usr/bin/dockerd ] && ! dpkg-query -W docker.io >/dev/null 2>&1 || packages="$packages docker.io iptables"
    if ! command -v dpkg-query >/dev/null 2>&1; then
        missing=" (this is no Debian) $packages"
    else
        # shellcheck disable=SC2086
        missing=$(missing_of $packages)
    fi
    [ -n "$missing" ] || return 0
    if ! command -v apt-get >/dev/null 2>&1 || ! become_root; then
        asking="Tests need servers that are missing. Ask an administrator for:
    sudo apt-get install --no-install-recommends$missing
or name running ones in RENDERCTL_TEST_MYSQL_URL, …_REDIS_URL, …_RABBITMQ_URL, …_S3_URL
and …_DOCKER_HOST."
        [ -z "${CI:-}" ] || fail "$asking"
        printf '\n%s\nWithout them those tests are skipped.\n\n' "$asking" >&2
        return 0
    fi
    echo "Installing the servers that the tests start for themselves:$missing"
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        trap '$sudo rm -f $policy' EXIT
        printf '#!/bin/sh\nexit 101\n' | $sudo tee $policy >/dev/null
        $sudo chmod 755 $policy
    fi
    # shellcheck disable=SC2086
    apt_install $missing
    [ ! -d /run/systemd/system ] || for package in $missing; do
        case $package in
            mariadb-server) units=mariadb ;;
            redis-server | rabbitmq-server | docker-registry) units=$package ;;
            docker.io) units="docker.service docker.socket" ;;
            *) continue ;;
        esac
        # shellcheck disable=SC2086
        $sudo systemctl disable --quiet $units || true
    done
}

if [ "$extras" = services ]; then
    install_services
    exit
fi

if [ ! -x .venv/bin/python ]; then
    python=$(pick_python) || exit 1
    echo "Making .venv with $("$python" --version)"
    "$python" -m venv .venv || { rm -rf .venv; fail "$python could not make .venv."; }
fi

install_libraries

# Only what locks/ pins, by the digests of its files; what builds renderctl itself is among it, so that nothing else is fetched.
locks=
for name in base build $(echo "$extras" | tr , ' '); do
    locks="$locks -r locks/$name.txt"
done
stamp=.venv/.installed-$(echo "$extras" | tr , -)
if [ ! -f "$stamp" ] || [ -n "$(find pyproject.toml locks -newer "$stamp")" ]; then
    echo "Installing renderctl[$extras] (Blender is a download of 374 MB, once)"
    # shellcheck disable=SC2086
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes $locks &&
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . ||
        fail "pip could not install renderctl[$extras] (above: why). It needs the network, or a mirror (PIP_INDEX_URL), and 2 GB of disk."
    touch "$stamp"
fi

# Sessions read the modules of templates/ and may write nothing there: without this each of them compiles them anew.
.venv/bin/python -m compileall -q templates
