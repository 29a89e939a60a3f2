#!/usr/bin/env bash
# Runs the demo and the tests as a newcomer would: in a minimal Debian 12, on a fresh clone.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: tests/clean_room.sh FOLDER [--base ROOT.tar] [--keep] [COMMAND ...]

Makes a minimal Debian 12 in FOLDER/root (which must not exist), clones HEAD into it and runs
there, as root, each COMMAND; by default `bash jobscripts/demo.sh` and `bash tests/run.sh`.

  --base ROOT.tar   unpack this instead of running debootstrap; made if it does not exist
  --keep            leave FOLDER/root behind

Needs root, debootstrap and about 4 GB. Packages come from where this machine's apt gets its own.
TEXT
}

folder=
base=
keep=no
commands=()
while [[ $# -gt 0 ]]; do
    case $1 in
        -h | --help) usage; exit 0 ;;
        --base) base=$(realpath -m "$2"); shift 2 ;;
        --keep) keep=yes; shift ;;
        *) if [[ -z $folder ]]; then folder=$(realpath -m "$1"); else commands+=("$1"); fi; shift ;;
    esac
done
if [[ -z $folder ]]; then usage >&2; exit 1; fi
if [[ $EUID -ne 0 ]]; then echo "clean_room.sh: chroot needs root" >&2; exit 1; fi
if [[ ${#commands[@]} -eq 0 ]]; then commands=("bash jobscripts/demo.sh" "bash tests/run.sh"); fi
source=$(realpath "$(dirname "${BASH_SOURCE[0]}")/..")
root=$folder/root
if [[ -e $root ]]; then echo "clean_room.sh: $root exists" >&2; exit 1; fi
mkdir -p "$root"

# "deb SITE SUITE COMPONENT" for each source of this machine's apt that belongs to Debian 12.
apt_sources() {
    # shellcheck disable=SC2016  # apt expands these
    apt-get indextargets --format 'deb $(SITE) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
        grep ' bookworm[^ ]* main$' | sort -u
}

bootstrap() {
    local site
    site=$(apt_sources | awk '$3 == "bookworm" { print $2; exit }')
    debootstrap --variant=minbase bookworm "$root" "$site" >"$folder/debootstrap.log"
}

if [[ -n $base && -e $base ]]; then
    tar -C "$root" -xf "$base"
else
    bootstrap
    if [[ -n $base ]]; then tar -C "$root" -cf "$base" .; fi
fi
apt_sources >"$root/etc/apt/sources.list"
cp /etc/resolv.conf /etc/hosts "$root/etc/"
GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*' \
    git clone --quiet --no-local "$source" "$root/tesserank"

# Mounts and processes of a namespace of its own end with it.
inside() {
    # shellcheck disable=SC2016  # the inner shell expands these
    unshare --mount --pid --fork bash -euc '
        mount --bind "$1" "$1"
        mount -t proc proc "$1/proc"
        mount -t sysfs -o ro sysfs "$1/sys"
        mount --rbind /dev "$1/dev"
        mount -t tmpfs tmpfs "$1/dev/shm"
        exec env -i HOME=/root TERM=dumb LANG=C.UTF-8 \
            PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
            chroot "$1" bash -c "cd /tesserank && $2"' inside "$root" "$1"
}

status=0
report=()
for command in "${commands[@]}"; do
    start=$SECONDS
    result=passed
    inside "$command" || { result=FAILED; status=1; }
    report+=("$(printf '%-6s %5d s  %s' "$result" $((SECONDS - start)) "$command")")
done
echo "clean room: Debian $(<"$root/etc/debian_version"), commit $(git -C "$root/tesserank" log -1 --format=%h)"
printf '  %s\n' "${report[@]}"
if [[ $keep == no ]]; then rm -rf --one-file-system "$root"; fi
exit "$status"
