#!/usr/bin/env bash
# Installs the Debian packages that are missing, and touches nothing when none is.
set -euo pipefail
export LC_ALL=C

usage() {
    cat <<'TEXT'
usage: cmake/install_packages.sh [--tests]

Installs what cmake/apt-packages.txt lists and this machine lacks; with --tests also
cmake/apt-packages-test.txt (formatter, linter, fuzzer, comparison scripts).

Needs root, or sudo. Without either, and where there is no apt, it names what is missing and
succeeds: on a cluster, modules or Spack supply it, and CMake says what it does not find.
TEXT
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
lists=("$here/apt-packages.txt")
for argument in "$@"; do
    case $argument in
        --tests) lists+=("$here/apt-packages-test.txt") ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; exit 1 ;;
    esac
done

mapfile -t wanted < <(sed -e 's/#.*//' -e 's/[[:space:]]//g' -e '/^$/d' "${lists[@]}" | sort -u)

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    echo "packages: no apt on this machine. Debian's names of what is needed:"
    printf '  %s\n' "${wanted[@]}"
    exit 0
fi

installed=$(dpkg-query --show --showformat='${db:Status-Status} ${Package}\n' 2>/dev/null |
    sed -n 's/^installed //p' | sort -u)
mapfile -t missing < <(comm -23 <(printf '%s\n' "${wanted[@]}") <(echo "$installed"))
if [[ ${#missing[@]} -eq 0 ]]; then
    echo "packages: all ${#wanted[@]} are installed"
    exit 0
fi
echo "packages: ${#missing[@]} of ${#wanted[@]} are missing: ${missing[*]}"

as_root=()
if [[ $EUID -ne 0 ]]; then
    if ! command -v sudo >/dev/null; then
        echo "packages: installing them needs root; going on without"
        exit 0
    fi
    as_root=(sudo)
fi

export DEBIAN_FRONTEND=noninteractive
if ! "${as_root[@]}" apt-get update -qq ||
    ! "${as_root[@]}" apt-get install -qq --no-install-recommends "${missing[@]}" >/dev/null; then
    echo "packages: apt-get failed; going on with what is there" >&2
fi
