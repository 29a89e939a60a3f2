#!/usr/bin/env bash
# clang-tidy over every compiled source of ours; any finding fails. Version 16, because 14 has no std::source_location.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: tests/checks/tidy.sh BUILD_DIR [JOBS]

Reads what BUILD_DIR holds, which must have been built (with Ninja); tests are left out, and .cu files, whose commands are nvcc's. A file that passed is remembered in BUILD_DIR/tidy by a hash of itself, of the headers
of ours that it includes, of its compile command and of .clang-tidy, and is not checked again.
TEXT
}

case ${1:-} in
    -h | --help) usage; exit 0 ;;
    "") usage >&2; exit 1 ;;
esac
command -v clang-tidy-16 >/dev/null || { echo "clang-tidy-16 is not installed"; exit 77; }
build=$(realpath "$1")
jobs=${2:-$(env -u OMP_NUM_THREADS nproc)}
cd "$build"
root=$(sed -n 's/^CMAKE_HOME_DIRECTORY:INTERNAL=//p' CMakeCache.txt)
mkdir -p tidy

# "source<TAB>command" of each source in our five folders.
sources() {
    awk -F '"' -v root="$root/" '
        $2 == "command" { sub(/^[^:]*: "/, ""); sub(/",?$/, ""); command = $0 }
        $2 == "file" && index($4, root) == 1 {
            file = substr($4, length(root) + 1)
            if (file ~ /^(app|io|model|parallel|kernels)\/.*\.cpp$/) print file "\t" command
        }' compile_commands.json
}

# The files of ours that an object was built from, by the dependencies that Ninja recorded.
ours() {
    ninja -t deps "$1" | sed -n "s|^    $root/|$root/|p"
}

key() {
    local source=$1 command=$2 object
    object=${command##* -o }
    object=${object%% -c *}
    {
        clang-tidy-16 --version
        echo "$command"
        ours "$object" | sort -u | xargs -r sha256sum "$root/.clang-tidy" "$root/$source"
    } | sha256sum | cut -c1-64
}

check() {
    local source command mark log
    IFS=$'\t' read -r source command <<<"$1"
    mark=tidy/$(key "$source" "$command")
    if [[ -e $mark ]]; then return 0; fi
    if log=$(clang-tidy-16 --quiet -p . --extra-arg=-Wno-unknown-warning-option "$root/$source" 2>&1); then
        touch "$mark"
        echo "ok    $source"
    else
        printf 'FAIL  %s\n%s\n' "$source" "$log"
        return 1
    fi
}

export root
export -f check key ours
# shellcheck disable=SC2016  # the inner shell expands $1
sources | tr '\n' '\0' | xargs -0 -r -n 1 -P "$jobs" bash -c 'set -euo pipefail; check "$1"' check
echo "clang-tidy: $(sources | wc -l) sources are clean"
