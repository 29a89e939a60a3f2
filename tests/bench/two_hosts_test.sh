#!/usr/bin/env bash
# two_hosts_test.sh: what two_hosts.sh promises. Skipped (77) where namespaces cannot be made.
set -euo pipefail
here=$(realpath "$(dirname "${BASH_SOURCE[0]}")")

fail() {
    echo "FAIL $1"
    exit 1
}

if ! unshare --net --mount --pid --fork --mount-proc true 2>/dev/null || ! command -v ip tc >/dev/null; then
    echo "no namespaces here: two_hosts.sh is not tested"
    exit 77
fi
TMPDIR=$(mktemp -d)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT

# two_hosts STATUS ARGUMENT ...: runs it, keeps what it says in $said
two_hosts() {
    local wanted=$1 status=0
    shift
    said=$("$here/two_hosts.sh" "$@" 2>&1) || status=$?
    if [[ $status -ne $wanted ]]; then fail "status $status, not $wanted, of $*: $said"; fi
    if [[ -n $(ls -A "$TMPDIR") ]]; then fail "$* left $(ls -A "$TMPDIR")"; fi
}

two_hosts 0 --hosts 3 -n 5 hostname
[[ $(grep -c '^h[123]$' <<<"$said") -eq 5 && $(grep '^h[123]$' <<<"$said" | sort -u | wc -l) -eq 3 ]] ||
    fail "5 ranks on 3 hosts: $said"
two_hosts 0 --rate 5mbit -n 2 tc qdisc show dev eth0
[[ $(grep -c 'tbf.*rate 5Mbit' <<<"$said") -eq 2 ]] || fail "the links are not limited: $said"
two_hosts 3 -n 2 bash -c 'exit 3'
two_hosts 1 --hosts 0 -n 2 true
two_hosts 1 --rate fast -n 2 true
[[ $said == *fast* ]] || fail "the wrong rate is not named: $said"

# Ended from outside, it takes all its processes along.
"$here/two_hosts.sh" -n 2 sleep 4321 >/dev/null 2>&1 &
child=$!
for ((i = 0; i < 100; i++)); do
    if [[ $(pgrep -cf '^sleep 4321$') -eq 2 ]]; then break; fi
    sleep 0.1
done
[[ $(pgrep -cf '^sleep 4321$') -eq 2 ]] || fail "two ranks do not run"
kill "$child"
wait "$child" 2>/dev/null || true
if pgrep -f '^sleep 4321$'; then fail "processes were left behind"; fi
if [[ -n $(ls -A "$TMPDIR") ]]; then fail "the ended run left files"; fi
echo "two_hosts.sh keeps its promises"
