#!/usr/bin/env bash
# Most of what waits for a GPU: tests, sanitizers, figures. The rows of docs/gpu-status.md say which step runs them; those
# without a step are run by hand.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: tests/bench/gpu.sh pack [--build FOLDER] [--to FOLDER]
       tests/bench/gpu.sh run [--from FOLDER] [--results FOLDER] [STEP ...]

pack   copies the programs of a build with CUDA (build/release), and the libraries that they load, to one folder
       (build/gpu) and its archive (build/gpu.tar.xz), so that they run on a machine with a GPU where nothing is
       installed. The driver, cuBLASLt and NCCL are taken from that machine. A build for its architecture alone
       (-D CMAKE_CUDA_ARCHITECTURES=90a-real) makes a small archive.
run    there: unpacks the archive, runs the steps, all of them when none is named, and keeps what each prints, with its
       exit status and seconds, as RESULTS/STEP.log (tests/bench/results/gpu). Needs python3 with numpy and h5py for the
       golden cases, and torch and transformers for a part of the table.

Steps, what matters most first; where time is short, name some:
doctor
operations          the operation tests
golden              every golden case on one rank, in f32 through NCCL and in bf16
placements          every golden case under every preset on 2 and on 4 ranks, which share the GPU
fused               sums within kernels
kernels, models, vision, loading, transformers
                    figures: the parts of gpu_table.py
memcheck, racecheck, initcheck
                    the operation tests under compute-sanitizer
Which of them ran where, with which result, belongs in docs/gpu-status.md; its rows without a step are run by hand.
TEXT
}

here=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
root=$(realpath "$here/../..")
at_once=$((($(nproc) + 1) / 2))
at_once=$((at_once < 8 ? at_once : 8))  # they share the GPU's memory

# Those of the C library belong to the machine that runs them.
libraries_of() {
    ldd "$@" 2>/dev/null | awk '/=> \//{print $3}' | sort -u |
        grep -vE '/(libc|libm|libdl|librt|libpthread|libresolv|ld-linux-x86-64)\.so'
}

pack() {
    local build=$root/build/release folder=$root/build/gpu
    while [[ $# -gt 0 ]]; do
        case $1 in
            --build) build=$(realpath "$2"); shift 2 ;;
            --to) folder=$(realpath -m "$2"); shift 2 ;;
            *) usage >&2; exit 1 ;;
        esac
    done
    rm -rf "$folder"
    mkdir -p "$folder"/{bin,lib,no_plugins,openmpi/bin,openmpi/lib/openmpi,openmpi/share}
    cp "$build/app/tesserank" "$build/tests/kernels/kernels_cuda_test" "$build/tests/kernels/kernels_gpu_bench_cuda" \
        "$build/tests/parallel/parallel_peer_sums_cuda_test" "$folder/bin"
    strip "$folder"/bin/*
    local launcher plugins
    launcher=$(realpath "$(command -v mpirun)")
    plugins=$(dirname "$(find -L /usr/lib -name 'mca_btl_vader.so' -print -quit)")
    cp "$launcher" "$folder/openmpi/bin/mpirun"
    cp "$(realpath "$(command -v orted)")" "$folder/openmpi/bin/orted"
    cp "$plugins"/*.so "$folder/openmpi/lib/openmpi"
    cp -r "$(find /usr/share -maxdepth 1 -name openmpi -print -quit)" "$folder/openmpi/share/"
    # shellcheck disable=SC2046
    cp -L $(libraries_of "$folder"/bin/* "$folder"/openmpi/bin/* "$folder"/openmpi/lib/openmpi/*.so) "$folder/lib"
    git -C "$root" rev-parse HEAD >"$folder/commit"
    XZ_OPT=-T0 tar -C "$(dirname "$folder")" -cJf "$folder.tar.xz" "$(basename "$folder")"
    du -sh "$folder" "$folder.tar.xz"
}

# step NAME COMMAND...: a step that fails does not keep the others from running.
step() {
    local name=$1 status=0 start=$SECONDS
    shift
    "$@" >"$results/$name.log" 2>&1 || status=$?
    echo "exit status $status, $((SECONDS - start)) s, commit $(cat "$folder/commit")" >>"$results/$name.log"
    echo "gpu.sh: $name: exit status $status, $((SECONDS - start)) s"
}

# in_one_piece TITLE COMMAND...: what it says, as several run at once.
in_one_piece() {
    local start=$SECONDS status=0 said
    said=$("${@:2}" 2>&1) || status=$?
    printf '== %s: exit status %d, %d s\n%s\n' "$1" "$status" "$((SECONDS - start))" "$said"
    return "$status"
}

# golden_case CASE OPTION...
golden_case() {
    in_one_piece "$*" python3 "$root/tests/app/golden_case.py" --tesserank "$folder/bin/tesserank" --mpiexec mpirun \
        --backend cuda --case "$root/tests/golden/models/$1" "${@:2}"
}

# Of the families that are covered: with experts, none is.
golden_names() {
    (cd "$root/tests/golden/models" && printf '%s\n' {internvl,llama,mistral,qwen2,qwen3}-*)
}

# Runs golden_case for each line of words.
golden_cases() {
    export -f in_one_piece golden_case
    export root folder
    xargs -P "$at_once" -L 1 bash -c 'golden_case "$@"' golden_case
}

golden() {
    local how
    for how in "--comm nccl" "--dtype bf16"; do
        golden_names | sed "s|\$| --ranks 1 $how|"
    done | golden_cases
}

placements() {
    local ranks placement
    for ranks in 2 4; do
        for placement in shard split-batch-attention split-batch replicate-attention replicate '*=single:1'; do
            golden_names | sed "s|\$| --ranks $ranks --comm mpi --placement $placement|"
        done
        golden_names | sed -n "s|^internvl.*|& --ranks $ranks --comm mpi --placement vision.*=split-batch|p"
    done | golden_cases
}

# All-reduces within kernels: their bits, what a model makes of them, and how long a step of decode takes with and
# without. Ranks that share a GPU take turns on it: times are for several GPUs.
fused() {
    local case gpus ranks comm how status=0
    gpus=$(nvidia-smi --list-gpus | wc -l)
    for ranks in 2 4; do
        comm=mpi
        if [[ $gpus -ge $ranks ]]; then comm=nccl; fi
        echo "== sums of $ranks ranks"
        mpirun --oversubscribe --bind-to none -n "$ranks" "$folder/bin/parallel_peer_sums_cuda_test" || status=1
        for case in "$root"/tests/golden/models/{llama-gqa-rope3,llama-gqa-rope3-bf16,qwen2-tied-kv3}; do
            echo "== $(basename "$case"), $ranks ranks, --comm $comm, fused"
            python3 "$root/tests/app/golden_case.py" --tesserank "$folder/bin/tesserank" --mpiexec mpirun --case "$case" \
                --ranks "$ranks" --backend cuda --comm "$comm" --fused-all-reduce yes || status=1
        done
        if [[ $gpus -lt $ranks ]]; then continue; fi
        for how in no yes no yes; do
            echo "== bench, $ranks ranks, --comm $comm, --fused-all-reduce $how"
            mpirun --oversubscribe --bind-to none -n "$ranks" "$folder/bin/tesserank" bench "$root/demo/model/config.json" \
                --backend cuda --comm "$comm" --dtype bf16 --batch 1,8,32 --prompt 64 --new 64 --fused-all-reduce "$how" \
                --quiet || status=1
        done
    done
    return "$status"
}

# table PART: a part of gpu_table.py.
table() {
    mkdir -p "$folder/build/tests"
    ln -sfn "$folder/bin" "$folder/build/app"
    ln -sfn "$folder/bin" "$folder/build/tests/kernels"
    python3 "$here/gpu_table.py" run --build "$folder/build" --results "$results" "$1"
}

# suite NAME COMMAND...: one suite of the operation tests, under a tool where one is given. What ends one suite's device
# does not end the others'.
suite() {
    in_one_piece "$1" "${@:2}" "$folder/bin/kernels_cuda_test" --gtest_brief=1 --gtest_filter="$1*"
}

operations() {
    export -f in_one_piece suite
    export folder
    "$folder/bin/kernels_cuda_test" --gtest_list_tests | grep '^Backends/' |
        xargs -P "$at_once" -I{} bash -c 'suite "$@"' suite {} "$@"
}

# Folders of libraries that the loader does not look into by itself.
library_path() {
    local name found paths=$folder/lib
    for name in libcublasLt.so.13 libcublasLt.so.12 libnccl.so.2; do
        found=$(find / -xdev -name "$name" -print -quit 2>/dev/null || true)
        if [[ -n $found ]]; then paths+=:$(dirname "$found"); fi
    done
    echo "$paths"
}

run() {
    folder=$root/build/gpu
    results=$here/results/gpu
    local steps=()
    while [[ $# -gt 0 ]]; do
        case $1 in
            --from) folder=$(realpath "$2"); shift 2 ;;
            --results) results=$(realpath -m "$2"); shift 2 ;;
            -*) usage >&2; exit 1 ;;
            *) steps+=("$1"); shift ;;
        esac
    done
    if [[ ${#steps[@]} -eq 0 ]]; then
        steps=(doctor operations golden placements fused kernels models vision loading transformers
            memcheck racecheck initcheck)
    fi
    mkdir -p "$results"
    if [[ ! -d $folder ]]; then tar -C "$(dirname "$folder")" -xJf "$folder.tar.xz"; fi
    export PATH=$folder/openmpi/bin:$PATH OPAL_PREFIX=$folder/openmpi
    export OMPI_MCA_mca_base_component_path=$folder/openmpi/lib/openmpi
    # That machine's PMIx has plugins for its own version; none is needed.
    export PMIX_MCA_mca_base_component_path=$folder/no_plugins PMIX_MCA_pcompress_base_silence_warning=1
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMP_NUM_THREADS=1
    LD_LIBRARY_PATH=$(library_path)${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
    export LD_LIBRARY_PATH
    local name
    for name in "${steps[@]}"; do
        case $name in
            doctor) step doctor mpirun -n 2 "$folder/bin/tesserank" doctor ;;
            operations | golden | placements | fused) step "$name" "$name" ;;
            kernels | models | vision | loading | transformers) step "$name" table "$name" ;;
            # Allocations beyond the memory fail as they should.
            memcheck) step "$name" operations compute-sanitizer --tool memcheck --report-api-errors no --error-exitcode 9 ;;
            racecheck | initcheck)
                step "$name" operations compute-sanitizer --tool "$name" --error-exitcode 9 ;;
            *) usage >&2; exit 1 ;;
        esac
    done
}

case ${1:-} in
    pack | run) "$@" ;;
    -h | --help) usage ;;
    *) usage >&2; exit 1 ;;
esac
