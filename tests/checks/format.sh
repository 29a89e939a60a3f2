#!/usr/bin/env bash
# Fails where clang-format would change a C++ file.
set -euo pipefail

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
    echo "usage: tests/checks/format.sh [--fix]    --fix rewrites the files instead"
    exit 0
fi
command -v clang-format >/dev/null || { echo "clang-format is not installed"; exit 77; }

how=(--dry-run -Werror)
if [[ ${1:-} == --fix ]]; then how=(-i); fi
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
find app io model parallel kernels tests -regex '.*\.\(hpp\|cpp\|cuh\|cu\)' -print0 |
    xargs -0 -n 40 -P "$(env -u OMP_NUM_THREADS nproc)" clang-format --style=file "${how[@]}"
echo "formatted as .clang-format says"
