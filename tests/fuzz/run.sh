#!/usr/bin/env bash
# Builds the fuzz targets and runs each for a fixed number of inputs.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: tests/fuzz/run.sh [RUNS [TARGET ...]]

Runs every target (or those named) on RUNS inputs, 10000 if not given, from the committed corpus
and a fixed seed. Inputs worth keeping gather in build/fuzz/corpus, an input that fails in
build/fuzz/failures: run the target on that file to see it again. The long form is RUNS=1000000.
TEXT
}

runs=${1:-10000}
case $runs in
    -h | --help) usage; exit 0 ;;
    *[!0-9]*) usage >&2; exit 1 ;;
esac
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.."
cmake --preset fuzz -Wno-dev >/dev/null
cmake --build --preset fuzz --target fuzz_targets

targets=("${@:2}")
if [[ ${#targets[@]} -eq 0 ]]; then
    mapfile -t targets < <(cd "$here" && printf '%s\n' ./*_fuzz.cpp | sed 's|^\./\(.*\)_fuzz\.cpp|\1|')
fi

cd build/fuzz
mkdir -p failures
export UBSAN_OPTIONS=print_stacktrace=1
failed=()
for target in "${targets[@]}"; do
    mkdir -p "corpus/$target"
    arguments=("corpus/$target")
    if [[ -d $here/corpus/$target ]]; then arguments+=("$here/corpus/$target"); fi
    if [[ -f $here/$target.dict ]]; then arguments+=("-dict=$here/$target.dict"); fi
    if log=$("tests/fuzz/${target}_fuzz" -runs="$runs" -seed=1 -max_len=4096 -timeout=10 \
        -artifact_prefix="failures/$target-" "${arguments[@]}" 2>&1); then
        echo "fuzz: $target: $(tail -n 1 <<<"$log")"
    else
        echo "fuzz: $target FAILED"
        tail -n 60 <<<"$log"
        failed+=("$target")
    fi
done
if [[ ${#failed[@]} -gt 0 ]]; then
    echo "fuzz: failed: ${failed[*]}" >&2
    exit 1
fi
