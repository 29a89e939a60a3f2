#!/usr/bin/env bash
# From nothing to answers: installs what is missing, builds, converts the demo models, asks them.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: jobscripts/demo.sh [RANKS]

Builds tesserank in build/release; converts demo/model and answers demo/prompts.jsonl on RANKS ranks
(2 if not given), then the same with demo/vision, whose questions are sums in pictures; and shows each
answer beside the expected one. Exit status 0 if all are right.
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

# answer FOLDER NAME [OPTION ...]: converts the model of a demo and answers its prompts, into build/demo/NAME.jsonl
answer() {
    local folder=$1 name=$2
    shift 2
    run tesserank convert "$folder/model" "build/demo/$name.h5" --force
    run mpirun --oversubscribe --bind-to none -n "$ranks" tesserank generate "build/demo/$name.h5" \
        --input "$folder/prompts.jsonl" --output "build/demo/$name.jsonl" "$@"
}

# Three files with the same ids -> question, answer, expected, "yes" or "NO", separated by tabs.
table() {
    jq --null-input --raw-output \
        --slurpfile asked "$1/prompts.jsonl" --slurpfile expected "$1/expected.jsonl" \
        --slurpfile got "build/demo/$2.jsonl" '
            def trim: gsub("^\\s+|\\s+$"; "");
            INDEX($got[]; .id) as $got | INDEX($expected[]; .id) as $expected | $asked[]
            | ($got[.id] | .text // .error // "nothing" | trim) as $answer
            | ($expected[.id].answer | trim) as $right
            | (.prompt | sub("<image>\n"; "")) as $question
            | [([$question, .images[]?] | join("  ")), $answer, $right,
               (if $answer == $right then "yes" else "NO" end)] | @tsv'
}

mkdir -p build/demo
answer demo text
answer demo/vision vision --placement 'vision.*=split-batch'
rows=$(table demo text && table demo/vision vision)
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
