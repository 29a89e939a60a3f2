#!/usr/bin/env bash
# A private Slurm in a folder: munge, slurmctld and some slurmd, without systemd and cgroups. Needs root.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: mini_slurm.sh start FOLDER [NODES] [CPUS_PER_NODE]     2 and 2 if not given
       mini_slurm.sh stop FOLDER

After start, SLURM_CONF=FOLDER/slurm.conf leads sbatch and the others there. The nodes are n1, n2, ... on this machine, each
with a host name and a /dev/shm of its own, as Open MPI's shared memory needs.
TEXT
}

if [[ $# -lt 2 ]]; then usage >&2; exit 1; fi
command=$1
mkdir -p "$2"
folder=$(cd "$2" && pwd)
nodes=${3:-2}
cpus=${4:-2}
export SLURM_CONF=$folder/slurm.conf

# wait_for SECONDS COMMAND...: until the command succeeds.
wait_for() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        if [[ $SECONDS -ge $end ]]; then return 1; fi
        sleep 0.05
    done
}

free_ports() {
    python3 - "$1" <<'PYTHON'
import socket
import sys

sockets = [socket.socket() for _ in range(int(sys.argv[1]))]
for each in sockets:
    each.bind(("127.0.0.1", 0))
print(*(each.getsockname()[1] for each in sockets))
PYTHON
}

# write_configuration SHORT_FOLDER: the folder's name counts in socket names, which may have 107 bytes.
write_configuration() {
    local short=$1 ports node
    read -r -a ports <<<"$(free_ports $((nodes + 1)))"
    cat >"$SLURM_CONF" <<CONF
ClusterName=mini
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=${ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$short/munge.socket
CredType=cred/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool/%n
SlurmctldPidFile=$folder/run/slurmctld.pid
SlurmdPidFile=$folder/run/slurmd.%n.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=pmix
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
KillWait=3
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=2
UnkillableStepTimeout=30
SlurmdParameters=config_overrides
MailProg=/bin/true
RebootProgram=/bin/true
TmpFS=$short/%n
CONF
    for ((node = 1; node <= nodes; ++node)); do
        echo "NodeName=n$node NodeHostname=n$node NodeAddr=127.0.0.1 Port=${ports[node]} CPUs=$cpus Boards=1" \
            "SocketsPerBoard=1 CoresPerSocket=$cpus ThreadsPerCore=1 RealMemory=1000 State=UNKNOWN"
    done >>"$SLURM_CONF"
    echo "PartitionName=main Nodes=n[1-$nodes] Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO" >>"$SLURM_CONF"
}

all_nodes_idle() { [[ $(timeout 3 sinfo --noheader --Node --states=idle --format=%N | wc -l) -eq $nodes ]]; }

start() {
    mkdir -p "$folder"/{munge,log,state,run,spool}
    chmod 700 "$folder/munge"
    (umask 077; dd if=/dev/urandom of="$folder/munge/key" bs=128 count=1 status=none)
    local short node
    short=$(mktemp -d /tmp/msXXXXXX)
    chmod 755 "$short"
    echo "$short" >"$folder/run/short"
    munged --force --key-file="$folder/munge/key" --socket="$short/munge.socket" --pid-file="$folder/run/munged.pid" \
        --log-file="$folder/log/munged.log" --seed-file="$folder/munge/seed" --num-threads=2
    wait_for 10 test -S "$short/munge.socket" || { echo "munged does not start" >&2; exit 1; }
    write_configuration "$short"
    slurmctld -f "$SLURM_CONF"
    for ((node = 1; node <= nodes; ++node)); do
        mkdir -p "$folder/spool/n$node" "$short/n$node"
        unshare --uts --mount --propagation private bash -c '
            hostname "$1" && mount -t tmpfs -o size=2g shm /dev/shm && exec slurmd -N "$1" -f "$2"' _ "n$node" "$SLURM_CONF"
    done
    wait_for 30 all_nodes_idle || { echo "the nodes are not idle after 30 s" >&2; sinfo --Node >&2; exit 1; }
}

all_gone() {
    local pid
    for pid in "$@"; do
        if kill -0 "$pid" 2>/dev/null; then return 1; fi
    done
}

stop() {
    timeout 5 scancel --user=root 2>/dev/null || true
    local pids short
    mapfile -t pids < <(cat "$folder"/run/*.pid 2>/dev/null || true)
    kill "${pids[@]}" 2>/dev/null || true
    wait_for 10 all_gone "${pids[@]}" || kill -9 "${pids[@]}" 2>/dev/null || true
    short=$(cat "$folder/run/short" 2>/dev/null || true)
    if [[ $short == /tmp/ms?????? ]]; then rm -rf "$short"; fi
}

case $command in
    start) start ;;
    stop) stop ;;
    *) usage >&2; exit 1 ;;
esac
