#!/bin/bash
# deb.sh build: Debian packages of this tree, by debian/, as an ordinary user in a copy of it: build-deb/, as root in the
# home of the user fawkes.
#
# deb.sh check, as root: builds them; lintian has no complaint; they are installed into a bare Debian 12 in a folder, one
# member runs there from what is installed (debian/tests/member), and nothing is left when they are removed.
# MIRROR=URL and SECURITY=URL name other mirrors than Debian's own, FOLDER=PATH another folder; KEEP=1 leaves it.
set -eu -o pipefail
. "$(dirname "$0")/install.sh"
. "$TREE/test/bare.sh"

PURPOSE=deb
PACKAGES="postgresql-$PG_MAJOR-fawkes-ha fawkes-ha"

build_packages() {
  # shellcheck disable=SC2086,SC2153 # a list of words, of install.sh
  install_packages $DEB_PACKAGES
  OUT=$TREE/build-deb
  if is_root; then
    make_user
    OUT=$FAWKES_HOME/build-deb
  fi
  rm -rf "$OUT"
  BUILD=$OUT/fawkes-ha
  copy_tree
  heading "building packages in $OUT"
  # shellcheck disable=SC2119 # without a file
  progress_start
  (cd "$BUILD" && as_user env DEB_BUILD_OPTIONS="parallel=$(nproc)" dpkg-buildpackage -b -us -uc) >"$OUT/log" 2>&1 </dev/null || {
    tail -n 30 "$OUT/log" >&2
    die "they could not be built; the whole output is in $OUT/log"
  }
  progress_stop
  ls "$OUT"/*.deb
}

# What is stripped out of each program and library lies in a package beside it.
check_symbols() {
  local unpacked=$OUT/unpacked file id count=0
  as_user mkdir "$unpacked"
  for file in "$OUT"/*.deb; do as_user dpkg-deb -x "$file" "$unpacked"; done
  for file in "$unpacked/usr/lib/postgresql/$PG_MAJOR"/*/*; do
    id=$(readelf -n "$file" | sed -n 's/ *Build ID: //p')
    [ -s "$unpacked/usr/lib/debug/.build-id/${id:0:2}/${id:2}.debug" ] || die "$file: its symbols are in no package"
    count=$((count + 1))
  done
  [ "$count" = 3 ] || die "$count programs and libraries are packed, not 3"
  echo "ok - symbols of $count files"
}

check_packages() {
  local file suite names=() status=0
  is_root || die "run this as root: it makes a folder with Debian 12 and enters it"
  FOLDER=${FOLDER:-/var/lib/fawkes-deb}
  [ ! -e "$FOLDER" ] || die "$FOLDER is there already; if it is from an earlier run, remove it"
  build_packages
  install_packages lintian
  heading 'lintian'
  as_user lintian --fail-on error,warning "$OUT"/*.changes
  check_symbols
  [ -n "${KEEP:-}" ] || trap 'rm -rf --one-file-system "$FOLDER"' EXIT
  bare_make "$FOLDER"
  mkdir -p "$FOLDER/packages" "$FOLDER/etc/postgresql-common/createcluster.d"
  # As Debian has it: security updates, too.
  for suite in "${MIRROR:-http://deb.debian.org/debian} bookworm" "${MIRROR:-http://deb.debian.org/debian} bookworm-updates" \
    "${SECURITY:-http://deb.debian.org/debian-security} bookworm-security"; do
    echo "deb $suite main"
  done >"$FOLDER/etc/apt/sources.list"
  echo 'create_main_cluster = false' >"$FOLDER/etc/postgresql-common/createcluster.d/fawkes_ha.conf"
  for file in "$OUT"/*fawkes-ha_*.deb; do
    cp "$file" "$FOLDER/packages/"
    names+=("/packages/${file##*/}")
  done
  cp "$TREE/debian/tests/member" "$FOLDER/packages/"
  heading 'one member in a bare Debian, from the packages'
  # shellcheck disable=SC2016 # for the inner shell
  bare_run "$FOLDER" DEBIAN_FRONTEND=noninteractive bash -euc '
    removed=$1
    shift
    apt-get -q update >/packages/log
    apt-get -q -y --no-install-recommends install "$@" >>/packages/log 2>&1 || { tail -n 20 /packages/log; exit 1; }
    echo "ok - installed"
    /packages/member "$@"
    changed=$(dpkg --verify $removed)
    [ -z "$changed" ] || { echo "not as it was packed: $changed"; exit 1; }
    apt-get -q -y purge $removed >>/packages/log 2>&1
    left=$(find / -xdev -name "*fawkes*" -not -path "/packages/*" -not -path "/proc/*" -not -path "/sys/*" \
      -not -path "/etc/postgresql-common/*")
    [ -z "$left" ] || { echo "left behind: $left"; exit 1; }
    echo "ok - removed without a trace"
  ' packages "$PACKAGES" "${names[@]}" || status=$?
  [ "$status" = 0 ] || die "the packages do not do"
  echo 'passed'
}

case ${1:-} in
  build) build_packages ;;
  check) check_packages ;;
  *) die "usage: $0 build | check" ;;
esac
