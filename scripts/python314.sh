#!/usr/bin/env bash
# Runs the tests of the core, the edges and the users on Python 3.14, which Debian's testing release has: debootstrap
# installs that release in a folder, pip the lock file in it, and pytest runs there in a chroot.
# Arguments go to pytest in place of the default tests. Needs root and a mirror of Debian; about two minutes.
#
#   FOLDER=path   keeps the installation there for a quick next run; otherwise it is removed at the end
#   MIRROR=url    the mirror; otherwise the one of /etc/apt, otherwise deb.debian.org
#   JOBS=2        test processes
#
# Where this machine cannot do it, the script says why and succeeds; where CI is set, it fails.
set -euo pipefail
cd "$(dirname "$0")/.."
python=python3.14
lock=requirements/py314-django61.txt
tests=(tests/tokens tests/keys tests/edges tests/users tests/test_settings.py tests/test_path_length.py)
# Mounts and processes end with this namespace, however the script ends.
namespace=(unshare --mount-proc --pid --fork --kill-child)

fail() {
    echo "error: $*" >&2
    exit 1
}

lack() {
    [ -z "${CI:-}" ] || fail "the tests on Python 3.14 need $*"
    echo "skipped: the tests on Python 3.14 need $*"
    exit 0
}

require_tools() {
    [ "$(id -u)" = 0 ] || lack "root, to install Debian in a folder"
    command -v debootstrap >/dev/null || lack "debootstrap (Debian: apt install debootstrap)"
    "${namespace[@]}" true 2>/dev/null || lack "the right to make namespaces (unshare)"
}

# A derivative of Debian has another label, and its mirror no release of Debian.
debian_mirror() {
    local found=""
    if command -v apt-get >/dev/null; then
        # shellcheck disable=SC2016  # apt-get reads it
        found=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | sed -n 1p)
    fi
    echo "${MIRROR:-${found:-http://deb.debian.org/debian}}"
}

install_debian() {
    local mirror
    mirror=$(debian_mirror)
    echo "Installing Debian's testing release ..."
    # sid: the rules by which to install; an older debootstrap has none under the name of the release.
    debootstrap --variant=minbase --include="$python,$python-venv,ca-certificates" forky "$folder" "$mirror" sid \
        >"$folder/install.log" 2>&1 || { tail -n 20 "$folder/install.log" >&2; fail "debootstrap failed, from $mirror"; }
}

# Names, certificates and pip's files as this machine has them; the environment (PIP_*, proxies) passes by itself.
carry_in_configuration() {
    local file
    cp /etc/resolv.conf /etc/hosts "$folder/etc/"
    for file in /etc/pip.conf "${PIP_CONFIG_FILE:-}" "${PIP_CERT:-}" "${SSL_CERT_FILE:-}" "${REQUESTS_CA_BUNDLE:-}"; do
        [ -f "$file" ] || continue
        mkdir -p "$folder$(dirname "$file")"
        cp "$file" "$folder$file"
    done
}

# All that git tracks or would track, so neither environments nor caches.
copy_project() {
    local path
    rm -rf "$folder/project"
    mkdir "$folder/project"
    git ls-files --cached --others --exclude-standard --deduplicate -z |
        while IFS= read -r -d '' path; do [ ! -e "$path" ] || printf '%s\0' "$path"; done |
        tar --create --null --files-from=- | tar --extract --no-same-owner --directory="$folder/project"
}

inside() {
    chroot "$folder" /usr/bin/env --chdir=/project -u PYTHONPATH HOME=/root TMPDIR=/tmp LANG=C.UTF-8 \
        PATH=/environment/bin:/usr/bin:/bin "$@"
}

install_requirements() {
    if cmp -s "$lock" "$folder/installed"; then return; fi
    echo "Installing $lock ..."
    rm -rf "$folder/environment"
    inside "$python" -m venv /environment
    inside python -m pip install --require-hashes -r "$lock" >"$folder/install.log" 2>&1 ||
        { tail -n 20 "$folder/install.log" >&2; fail "pip could not install $lock"; }
    cp "$lock" "$folder/installed"
}

run_tests() {
    [ -x "$folder/usr/bin/$python" ] || install_debian
    mount -t proc proc "$folder/proc"
    carry_in_configuration
    copy_project
    install_requirements
    inside python -m pip install --quiet --no-index --no-deps --no-build-isolation -e . 2>/dev/null
    echo "Running the tests ..."
    inside python -m pytest -n "${JOBS:-2}" --dist loadfile -p no:cacheprovider "$@"
}

if [ "${1:-}" = --in-namespace ]; then
    folder=$2
    shift 2
    run_tests "$@"
    exit
fi

require_tools
[ $# != 0 ] || set -- "${tests[@]}"
if [ -n "${FOLDER:-}" ]; then
    mkdir -p "$FOLDER"
    folder=$(realpath "$FOLDER")
else
    folder=$(mktemp --directory)
    chmod 755 "$folder"
fi
running=""
end() {
    if [ -n "$running" ]; then
        kill -KILL "$running" || true
        wait "$running" || true
    fi 2>/dev/null
    [ -n "${FOLDER:-}" ] || rm -rf --one-file-system "$folder"
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
set -m # so that the tests do not inherit an ignored SIGINT
"${namespace[@]}" "$0" --in-namespace "$folder" "$@" </dev/null &
running=$!
wait "$running" && status=0 || status=$?
running=""
exit "$status"
