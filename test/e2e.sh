#!/bin/bash
# Real nodes, real pods: what `make e2e` and its kin run, as root.
#
#     test/e2e.sh prepare                   what it needs; on failure the last line says what is missing
#     test/e2e.sh SCRIPT [ARGUMENT...]      one of test/*.py, in namespaces of its own
#
# Everything that runs belongs to these namespaces and ends with them; only directories and cgroups can be left, by a
# run that was killed, and the next one removes them.
set -u -o pipefail
. "$(dirname "$0")/install.sh"
. "$TREE/test/kube/images.sh"

# One line for the first thing that this kernel does not give.
try_kernel() {
  local what
  # shellcheck disable=SC2016 # the inner shell expands it
  what=$(unshare --mount --net --pid --uts --ipc --fork --kill-child --mount-proc bash -c '
    try() { "${@:2}" >/dev/null 2>&1 || { echo "$1"; exit 1; }; }
    try "bridges" ip link add b0 type bridge
    try "veth pairs" ip link add v0 type veth peer name v1
    try "nftables for bridges (nft add table bridge)" nft add table bridge t
    try "iptables with NAT" iptables -t nat -A POSTROUTING -m comment --comment t -j MASQUERADE
    try "cgroups of version 1 in /sys/fs/cgroup" test -d /sys/fs/cgroup/cpuset -a -d /sys/fs/cgroup/pids
    d=$(mktemp -d); mkdir "$d/l" "$d/m"
    mount -t tmpfs t "$d/m"; mkdir "$d/m/u" "$d/m/w"
    try "overlay mounts" mount -t overlay -o "lowerdir=$d/l,upperdir=$d/m/u,workdir=$d/m/w" o "$d/l"
    umount "$d/l" "$d/m"; rm -rf "$d"' 2>&1) || die "no end-to-end tests on this machine: its kernel lacks ${what:-namespaces for root}"
}

prepare() {
  # shellcheck disable=SC2034 # install.sh's
  PURPOSE=e2e
  is_root || die "nodes and pods need root: sudo $0 $*"
  # shellcheck disable=SC2086 # lists of words
  install_packages $E2E_PACKAGES
  try_kernel
  prepare_kube || die "Kubernetes $KUBE_VERSION: $WHY_NO_KUBE"
  prepare_images || die "the images could not be made"
}

main() {
  prepare "$@"
  [ "$1" != prepare ] || exit 0
  mkdir -p "$E2E_HOME/beds"
  # Process 1 of the outer namespaces passes signals on, and reaps.
  # shellcheck disable=SC2016 # expanded by the inner shell
  exec unshare --mount --net --pid --fork --kill-child --mount-proc bash -c '
    "$@" &
    child=$!
    trap "kill -TERM $child 2>/dev/null" TERM INT
    while kill -0 $child 2>/dev/null; do wait $child; status=$?; done
    exit $status' e2e env FAWKES_TEST_DIR="$E2E_HOME/beds" FAWKES_IMAGES="$IMAGES" PYTHONDONTWRITEBYTECODE=1 \
    /usr/bin/python3 "$TREE/test/$1" "${@:2}"
}

main "$@"
