#!/bin/sh
# Makes .venv: a virtual environment with the pinned development requirements and this package in editable mode.
# Does nothing if .venv is current. A failure is one line on stderr and a non-zero exit; .venv/install.log has details.
# PYTHON chooses the interpreter, VENV another folder, LOCK other requirements.
set -eu
cd "$(dirname "$0")/.."

venv=${VENV:-.venv}
log=$venv/install.log
stamp=$venv/installed

fail() {
    echo "error: $*" >&2
    exit 1
}

is_recent() {
    command -v "$1" >/dev/null 2>&1 && "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        is_recent "$PYTHON" || fail "PYTHON=$PYTHON is not a working Python 3.11 or newer"
        python=$PYTHON
        return
    fi
    for python in python3 python3.14 python3.13 python3.12 python3.11; do
        if is_recent "$python"; then return; fi
    done
    fail "no Python 3.11 or newer found (looked for python3, python3.14, python3.13, python3.12, python3.11); set PYTHON to its path"
}

# Debian ships venv without ensurepip unless python3-venv is installed.
require_venv_module() {
    if "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then return; fi
    if ! command -v apt-get >/dev/null 2>&1; then
        fail "$python has no venv module; install the one of your system, or set PYTHON to another Python"
    fi
    if [ "$(id -u)" != 0 ]; then
        fail "$python has no venv module; install it with: sudo apt install python3-venv"
    fi
    echo "Installing Debian's python3-venv, which $python needs ..."
    output=$( (apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y python3-venv) 2>&1) ||
        fail "apt-get install python3-venv failed: $(printf '%s\n' "$output" | tail -n 1)"
    "$python" -c 'import ensurepip, venv' >/dev/null 2>&1 ||
        fail "python3-venv is installed, but $python still has no venv module; set PYTHON to another Python"
}

find_lock_file() {
    lock=${LOCK:-}
    if [ -n "$lock" ]; then return; fi
    case $("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])') in
        3.11) lock=requirements/py311-django52.txt ;;
        3.12) lock=requirements/py312-django60.txt ;;
        3.13) lock=requirements/py313-django61.txt ;;
        *) lock=requirements/py314-django61.txt ;;
    esac
}

# Prints all that an environment is made from. The stamp is written last, so that a half-made environment is made anew.
fingerprint() {
    "$python" -c 'import sys; print(sys.base_prefix, sys.version)'
    cksum "$lock" pyproject.toml
    pwd # an environment holds its own path, and breaks when it is moved
}

# pip says "no matching distribution" also when it cannot reach the registry.
reason() {
    if grep -q 'connection broken' "$log"; then
        echo "the package registry cannot be reached"
    else
        grep -i '^ *error' "$log" | tail -n 1 | sed "s,\\. .*,,"
    fi
}

install() {
    step=$1
    shift
    "$venv/bin/python" -m pip "$@" --no-input --disable-pip-version-check >>"$log" 2>&1 ||
        fail "$step failed: $(reason) (all of it: $log)"
}

find_python
# The interpreter below an activated environment: that may be the .venv that this script replaces.
python=$("$python" -c 'import sys; print(getattr(sys, "_base_executable", None) or sys.executable)')
find_lock_file
if [ -x "$venv/bin/python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$(fingerprint)" ]; then exit 0; fi

require_venv_module
echo "Installing into $venv (about a minute the first time) ..."
rm -rf "$venv"
mkdir "$venv"
"$python" -m venv "$venv" >"$log" 2>&1 || fail "$python -m venv failed: $(tail -n 1 "$log") (all of it: $log)"
install "installing $lock" install --require-hashes -r "$lock"
install "installing this package" install --no-deps --no-build-isolation -e .
fingerprint >"$stamp"
