#!/usr/bin/env bash
# When does it pay to cut only some of the modules? Two ranks, two models, four links, three workloads, fourteen plans and
# the planner's choice.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: sudo tests/bench/partial_tp.sh [--quick] [--results FOLDER] [--build FOLDER] [--dtype TYPE]

Measures every plan in every cell (model x link x workload) with `tesserank bench`, the plans in turn, and with them the
one that `tesserank plan --placement auto` chooses from what `tesserank calibrate` has measured on that link. Then writes
the tables of docs/partial-tp.md and docs/partial-tp.svg.

  --quick            tiny models and one run of each, to try the scripts; results and documents go to a new folder
  --results FOLDER   where raw results go (tests/bench/results); a cell that has its result there is not measured again
  --build FOLDER     a built tree (build/release), with its tests
  --dtype TYPE       f32 or bf16 (bf16)

Links: shared memory; two hosts with 10 and 1 Gbit/s between them (two_hosts.sh, which needs root); shared memory with
1 ms more for each collective (pmpi_delay). Needs a machine with two idle cores, and about half an hour.
TEXT
}

here=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
root=$(realpath "$here/../..")
build=$root/build/release
results=
dtype=bf16
quick=()
repeat=(--repeat 5 --warmup 1)
seconds=45
while [[ $# -gt 0 ]]; do
    case $1 in
        -h | --help) usage; exit 0 ;;
        --quick) quick=(--quick) repeat=(--repeat 1 --warmup 0) seconds=2; shift ;;
        --results) results=$(realpath -m "$2"); shift 2 ;;
        --build) build=$(realpath "$2"); shift 2 ;;
        --dtype) dtype=$2; shift 2 ;;
        *) usage >&2; exit 1 ;;
    esac
done

tesserank=${TESSERANK:-$build/app/tesserank}
delay=$build/tests/parallel/libpmpi_delay.so
for file in "$tesserank" "$delay"; do
    if [[ ! -e $file ]]; then echo "partial_tp.sh: $file is missing: build first" >&2; exit 1; fi
done
if [[ $EUID -ne 0 ]]; then echo "partial_tp.sh: two_hosts.sh needs root" >&2; exit 1; fi
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
if [[ -z $results ]]; then
    if [[ ${#quick[@]} -gt 0 ]]; then results=$(mktemp -d); else results=$here/results; fi
fi
mkdir -p "$results"
# Results name files as they were given: by names alone.
cd "$results"

links=(shared 10gbit 1gbit latency)
workloads=(prefill decode-1 decode-16)

# on_link LINK COMMAND ...: under mpirun, on two ranks that this link joins. Ranks are one thread each.
on_link() {
    local link=$1 settings=(env OMP_NUM_THREADS=1 OMP_PROC_BIND=false)
    shift
    case $link in
        shared) mpirun --bind-to none -n 2 "${settings[@]}" "$@" ;;
        latency) mpirun --bind-to none -n 2 "${settings[@]}" LD_PRELOAD="$delay" TESSERANK_DELAY_MICROSECONDS=1000 "$@" ;;
        *) "$here/two_hosts.sh" --rate "$link" -n 2 "${settings[@]}" "$@" ;;
    esac
}

# As options of plan and bench.
options_of() {
    case $1${quick[*]:+ quick} in
        prefill) echo --batch 4 --prompt 96 --new 2 ;;
        decode-1) echo --batch 1 --prompt 8 --new 24 ;;
        decode-16) echo --batch 16 --prompt 8 --new 12 ;;
        prefill*) echo --batch 4 --prompt 16 --new 2 ;;
        decode-1\ *) echo --batch 1 --prompt 4 --new 4 ;;
        *) echo --batch 16 --prompt 2 --new 4 ;;
    esac
}

measure_cell() {
    local shape=$1 link=$2 workload=$3 placements=() options wish
    local config=partial-tp-$shape.config.json machine=partial-tp-$shape-$link.machine.json
    local cell=partial-tp-$shape-$link-$workload
    if [[ -e $cell.json ]]; then return; fi
    echo "partial_tp.sh: $shape, $link, $workload ($SECONDS s)"
    if [[ ! -e $machine ]]; then
        on_link "$link" "$tesserank" calibrate --output "$machine" --model "$config" --seconds "$seconds" --quiet
    fi
    read -r -a options <<<"$(options_of "$workload") --dtype $dtype"
    "$tesserank" plan "$config" --ranks 2 --machine "$machine" --placement auto "${options[@]}" \
        --plan-out "$cell.plan.json" >/dev/null
    while read -r wish; do placements+=(--placement "$wish"); done \
        < <(python3 "$here/partial_tp.py" "${quick[@]}" plans "$shape")
    on_link "$link" "$tesserank" bench "$config" "${placements[@]}" --placement "$cell.plan.json" "${options[@]}" \
        "${repeat[@]}" --json "$cell.json" >"$cell.txt"
}

for shape in wide-mlp 25-heads; do
    python3 "$here/partial_tp.py" "${quick[@]}" config "$shape" >"partial-tp-$shape.config.json"
    for link in "${links[@]}"; do
        for workload in "${workloads[@]}"; do measure_cell "$shape" "$link" "$workload"; done
    done
done
documents=$root/docs
if [[ ${#quick[@]} -gt 0 ]]; then documents=$results; fi
python3 "$here/partial_tp.py" report "$results" "$documents/partial-tp.md" "$documents/partial-tp.svg"
echo "partial_tp.sh: done in $SECONDS s: $results, $documents/partial-tp.md"
