#!/usr/bin/env bash
# From nothing to answers: installs what is missing, builds, converts the demo model, asks it.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: jobscripts/demo.sh [RANKS]

Builds tesserank in build/release, converts demo/model into build/demo/model.h5, answers
demo/prompts.jsonl on RANKS ranks (2 if not given) and shows each answer beside the expected one.
Exit status 0 if all are right.
TEXT
}

ranks=${1:-2}
case $ranks in
    -h | --help) usage; exit 0 ;;
    *[!0-9]* | 0) usage >&2; exit 1 ;;
esac
cd "$(dirname "${BASH_SOURCE[0]}")/.."
run() { echo "+ $*" >&2; "$@"; }

cmake/install_packages.sh
# The tests need more than the program does; `cmake --preset release` switches them on again.
settings=(-D BUILD_TESTING=OFF)
if ! command -v ccache >/dev/null; then
    settings+=(-D CMAKE_CXX_COMPILER_LAUNCHER= -D CMAKE_C_COMPILER_LAUNCHER=)
fi
run cmake --preset release -Wno-dev "${settings[@]}" >/dev/null
run cmake --build --preset release --target tesserank

# One thread for each rank, and ranks that wait without keeping others off the cores.
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive
if [[ $EUID -eq 0 ]]; then # Open MPI asks root, as in a container, to confirm
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
PATH=$PWD/build/release/app:$PATH
mkdir -p build/demo
run tesserank convert demo/model build/demo/model.h5 --force
run mpirun --oversubscribe --bind-to none -n "$ranks" tesserank generate build/demo/model.h5 \
    --input demo/prompts.jsonl --output build/demo/out.jsonl

# Three files with the same ids -> question, answer, expected, "yes" or "NO", separated by tabs.
table() {
    jq --null-input --raw-output \
        --slurpfile asked demo/prompts.jsonl --slurpfile expected demo/expected.jsonl \
        --slurpfile got build/demo/out.jsonl '
            def trim: gsub("^\\s+|\\s+$"; "");
            INDEX($got[]; .id) as $got | INDEX($expected[]; .id) as $expected | $asked[]
            | ($got[.id] | .text // .error // "nothing" | trim) as $answer
            | ($expected[.id].answer | trim) as $right
            | [.prompt, $answer, $right, (if $answer == $right then "yes" else "NO" end)] | @tsv'
}

rows=$(table)
echo
printf '%-50s %-38s %-38s %s\n' question answer expected same
while IFS=$'\t' read -r question answer expected same; do
    printf '%-50s %-38s %-38s %s\n' "$question" "$answer" "$expected" "$same"
done <<<"$rows"
echo
if grep -q $'\tNO$' <<<"$rows"; then
    echo "demo: some answers are wrong" >&2
    exit 1
fi
echo "demo: all answers are as expected"
