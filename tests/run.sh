#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: tests/run.sh [--preset release|debug|asan] [--jobs N] [--no-fuzz] [CTEST_ARGUMENT ...]

Other arguments go to ctest: `tests/run.sh -L unit`, `tests/run.sh -R tokenizer`.
Labels: unit (one process), mpi (1 to 8 ranks), golden (whole models against known results), slurm (the job scripts on a
real Slurm), netns (two hosts as network namespaces), cuda (needs a GPU). What the machine does not allow is skipped.
The fuzz targets are run briefly before the tests, unless some of them are chosen.
TEXT
}

preset=release
# OMP_NUM_THREADS is for the program: nproc would heed it.
jobs=$(env -u OMP_NUM_THREADS nproc)
fuzz=yes
chosen=()
while [[ $# -gt 0 ]]; do
    case $1 in
        -h | --help) usage; exit 0 ;;
        --preset) preset=$2; shift 2 ;;
        --jobs) jobs=$2; shift 2 ;;
        --no-fuzz) fuzz=no; shift ;;
        *) chosen+=("$1"); shift ;;
    esac
done
if [[ ${#chosen[@]} -gt 0 ]]; then fuzz=no; fi

cd "$(dirname "${BASH_SOURCE[0]}")/.."

# phase NAME COMMAND...: runs the command and says how long it took.
phase() {
    local name=$1 start=$SECONDS
    shift
    echo "== $name"
    "$@"
    echo "== $name: $((SECONDS - start)) s"
}

phase packages cmake/install_packages.sh --tests
phase configure cmake --preset "$preset" -Wno-dev
phase build cmake --build --preset "$preset" --parallel "$jobs"

status=0
if [[ $fuzz == yes ]]; then
    if command -v clang++-16 >/dev/null; then
        phase fuzz tests/fuzz/run.sh || status=1
    else
        echo "== fuzz: left out, clang++-16 is not installed"
    fi
fi

# A test of a few ranks waits for two thirds of its time: for the start of MPI, for Slurm, for a timeout.
echo "== tests"
ctest --preset "$preset" --parallel "$((3 * jobs))" "${chosen[@]}" || status=$?
exit "$status"
