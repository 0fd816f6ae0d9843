#!/usr/bin/env bash
# Install what tinyproof needs: system packages, .venv from the lock, PlatformIO's own folder.
# Safe to run again. SKIP_SYSTEM=1 prints missing system packages instead of installing them.
set -euo pipefail
cd "$(dirname "$0")/.."
SKIP_SYSTEM=${TINYPROOF_SKIP_SYSTEM:-${SKIP_SYSTEM:-}} # the first is make's variable
PYTHON=${TINYPROOF_PYTHON:-${PYTHON:-}}
for name in ${TINYPROOF_GIVEN:-}; do
    case "${TINYPROOF_GOALS:-}:$name" in
    setup:SKIP_SYSTEM | setup:PYTHON) ;;
    setup:*)
        echo "error: $name=: make setup knows SKIP_SYSTEM and PYTHON" >&2
        exit 2
        ;;
    esac
done

missing_packages() {
    grep -v '^#' system-packages.txt | while read -r package tool _; do
        if command -v dpkg-query >/dev/null; then
            dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed ||
                echo "$package"
        elif [ "$tool" != - ] && ! command -v "$tool" >/dev/null; then
            echo "$package"
        fi
    done
}

# Of packages that only tests need, those that this system has at all: Ubuntu has no chromium.
known_packages() {
    local package
    for package in $1; do
        if ! grep -q "^$package .* tests$" system-packages.txt || apt-cache show "$package" \
            >/dev/null 2>&1; then
            echo "$package"
        else
            echo "setup: no package $package on this system; the tests that need it are skipped" >&2
        fi
    done | tr '\n' ' '
}

install_system() {
    local missing sudo=""
    missing=$(missing_packages | tr '\n' ' ')
    [ -n "$missing" ] || return 0
    if [ "${SKIP_SYSTEM:-}" = 1 ] || ! command -v apt-get >/dev/null; then
        echo "setup: missing system packages: $missing" >&2
        echo "setup: install them with: sudo apt-get install $missing" >&2
        return 0
    fi
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || {
            echo "setup: not root and no sudo; as root run: apt-get install $missing" >&2
            exit 2
        }
        sudo=sudo
    fi
    echo "setup: installing $missing" >&2
    $sudo apt-get update -qq
    missing=$(known_packages "$missing")
    [ -n "$missing" ] || return 0
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends \
        $missing >/dev/null
}

find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11 python3.10; do
        if [ -n "$candidate" ] && "$candidate" -c \
            'import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' \
            2>/dev/null; then
            echo "$candidate"
            return 0
        fi
    done
    echo "setup: no Python 3.10 to 3.13 with the venv module; install python3 and python3-venv," \
        "or name one: make setup PYTHON=/path/to/python3" >&2
    return 2
}

exec 9<host_tools/setup.sh # one at a time: two would spoil each other's .venv
if command -v flock >/dev/null && ! flock -n 9; then
    echo "setup: another setup of this folder is at work; waiting for it" >&2
    flock 9
fi
install_system
python=$(find_python)
lock_hash=$(sha256sum requirements.lock | cut -d ' ' -f 1)
if [ ! -x .venv/bin/python ] || [ "$(cat .venv/lock.sha256 2>/dev/null)" != "$lock_hash" ]; then
    echo "setup: installing Python packages into .venv (about 3 GB, a few minutes)" >&2
    [ -x .venv/bin/python ] || "$python" -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
        --no-deps -r requirements.lock
    echo "$lock_hash" >.venv/lock.sha256
fi
# The project itself, so that .venv/bin/tinyproof runs the files of this folder.
project_hash="$(sha256sum pyproject.toml) $PWD" # another place: a folder that was moved or copied
if [ "$(cat .venv/project.sha256 2>/dev/null)" != "$project_hash" ]; then
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
        --no-build-isolation --no-index --editable .
    echo "$project_hash" >.venv/project.sha256
fi
.venv/bin/python -m host_tools.build.provision
touch .venv/ready
echo "setup: done" >&2
