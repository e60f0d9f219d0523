#!/bin/bash
# Every test of a server with PostgreSQL 17, which neither Debian 12 nor the wheel of
# versions.sh has: in a folder with Debian 13, made by debootstrap the first time.
# As root.  MIRROR=URL names another mirror than Debian's own.
set -eu -o pipefail
. "$(dirname "$0")/install.sh"

is_root || die "run this as root: it makes a folder with Debian 13 and enters it"
FOLDER=$FAWKES_HOME/debian13
install_packages debootstrap
install -d -m 0755 "$FAWKES_HOME"
if [ ! -e "$FOLDER/.ready" ]; then
  heading "making $FOLDER with debootstrap"
  rm -rf "$FOLDER"
  debootstrap --variant=minbase trixie "$FOLDER" "${MIRROR:-http://deb.debian.org/debian}"
  touch "$FOLDER/.ready"
fi
rm -rf "$FOLDER/fawkes_ha"
mkdir "$FOLDER/fawkes_ha"
sources | tar -C "$TREE" -cf - -T - | tar -C "$FOLDER/fawkes_ha" -xf - --no-same-owner
# apt.conf.d: how this machine reaches its mirror.  All mounts end with the namespace.
cp -L /etc/resolv.conf "$FOLDER/etc/" 2>/dev/null || true
cp -r /etc/apt/apt.conf.d/. "$FOLDER/etc/apt/apt.conf.d/"
# shellcheck disable=SC2016 # for the inner shell
exec unshare -m bash -c '
  mount --rbind /proc "$1/proc" && mount --rbind /dev "$1/dev" && mount --rbind /sys "$1/sys" &&
    exec chroot "$1" env -u PG_CONFIG PG_MAJOR=17 CI="${CI:-}" /fawkes_ha/check server' sh "$FOLDER"
