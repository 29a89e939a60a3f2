#!/usr/bin/env bash
# mpirun over several hosts that are one machine: each a network namespace, joined by links of a chosen rate.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: sudo tests/bench/two_hosts.sh [--hosts N] [--rate RATE] -n RANKS [MPIRUN OPTION ...] PROGRAM [ARGUMENT ...]

Runs `mpirun -n RANKS ... PROGRAM ...` over N hosts (default 2) with as many ranks on each as on any other, or one less.
Ranks of different hosts share no memory and talk TCP. Host names are h1 .. hN, addresses 10.77.0.1 .. 10.77.0.N.

  --hosts N     1 to 200
  --rate RATE   what each host sends at most, in the words of tc: 10gbit, 1gbit, 100mbit; without it, as fast as it goes

Files are those of this machine. Everything is in namespaces of this run alone: nothing of it stays behind, however it
ends, and two runs do not meet. Needs root, ip, tc and Open MPI.
TEXT
}

fail() {
    echo "two_hosts.sh: $1" >&2
    exit 1
}

# mpirun starts this script, under the name of "agent", as it would start ssh: agent [OPTION ...] HOST COMMAND ...
# /dev/shm and the folder for temporary files are the host's own, because Open MPI's files in them bear no host's name.
be_agent() {
    while [[ $1 == -* ]]; do shift; done
    local host=$1
    shift
    # shellcheck disable=SC2016  # the inner shell expands these
    exec ip netns exec "$host" unshare --uts --mount --propagation private bash -euc '
        hostname "$1"
        mount -t tmpfs tmpfs /dev/shm
        export TMPDIR=$2/$1
        mkdir -p "$TMPDIR"
        exec bash -c "$3"' host "$host" "$(dirname "$0")" "$*"
}

# Inside the namespaces of this run.
make_hosts() {
    local hosts=$1 rate=$2 i
    mkdir -p /run/netns
    mount -t tmpfs tmpfs /run/netns
    ip link set lo up
    ip link add bridge type bridge
    ip addr add 10.77.0.254/24 dev bridge
    ip link set bridge up
    for ((i = 1; i <= hosts; i++)); do
        ip netns add "h$i"
        ip link add "h$i" type veth peer name eth0 netns "h$i"
        ip link set "h$i" master bridge up
        ip -n "h$i" addr add "10.77.0.$i/24" dev eth0
        ip -n "h$i" link set eth0 up
        ip -n "h$i" link set lo up
        if [[ -n $rate ]]; then tc -n "h$i" qdisc replace dev eth0 root tbf rate "$rate" burst 256kb latency 50ms; fi
    done
}

# Without --bind-to none the first rank of each "host" is bound to the same core, where both wait for each other in turns.
run_inside() {
    local folder=$1 hosts=$2 rate=$3 subnet=10.77.0.0/24
    shift 3
    make_hosts "$hosts" "$rate"
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 TMPDIR=$folder
    mpirun --bind-to none --map-by node --hostfile "$folder/hosts" --mca plm rsh --mca plm_rsh_agent "$folder/agent" \
        --mca btl tcp,vader,self --mca btl_tcp_if_include "$subnet" --mca oob_tcp_if_include "$subnet" "$@"
}

# All that runs in the namespaces ends with their first process, and before unshare does.
clean_up() {
    if [[ -n $child ]]; then
        pkill -KILL -P "$child" || kill -KILL "$child" 2>/dev/null || true
        wait "$child" 2>/dev/null || true
    fi
    rm -rf --one-file-system "$folder"
}

folder=
child=

main() {
    local hosts=2 rate="" i status=0
    while [[ $# -gt 0 ]]; do
        case $1 in
            -h | --help) usage; exit 0 ;;
            --hosts) hosts=${2:?--hosts needs a number}; shift 2 ;;
            --rate) rate=${2:?--rate needs a rate}; shift 2 ;;
            *) break ;;
        esac
    done
    if [[ $# -eq 0 ]]; then usage >&2; exit 1; fi
    if [[ ! $hosts =~ ^[1-9][0-9]{0,2}$ || $hosts -gt 200 ]]; then fail "--hosts is \"$hosts\", expected 1 to 200"; fi
    for tool in ip tc unshare mpirun; do
        command -v "$tool" >/dev/null || fail "$tool is not installed"
    done
    [[ $EUID -eq 0 ]] || fail "network namespaces need root"
    folder=$(mktemp -d)
    trap clean_up EXIT
    ln -s "$(realpath "${BASH_SOURCE[0]}")" "$folder/agent"
    for ((i = 1; i <= hosts; i++)); do echo "h$i slots=64"; done >"$folder/hosts"
    unshare --net --mount --propagation private --pid --fork --kill-child --mount-proc \
        bash "$(realpath "${BASH_SOURCE[0]}")" --inside "$folder" "$hosts" "$rate" "$@" <&0 &
    child=$!
    # In the background, so that a signal to this script ends it at once.
    wait "$child" || status=$?
    child=
    exit "$status"
}

if [[ $(basename "$0") == agent ]]; then
    be_agent "$@"
elif [[ ${1:-} == --inside ]]; then
    shift
    run_inside "$@"
else
    main "$@"
fi
