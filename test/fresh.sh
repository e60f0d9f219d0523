#!/bin/bash
# fresh.sh [STAGE...]: ./check on a machine that has nothing: a new bare Debian 12 in a folder, by debootstrap.
#
# As root.  In mount and process namespaces of its own, with the host's network and no other path of the host.  Taken over is
# only what tells how packages are reached: apt.conf.d, pip.conf, npmrc, the certificates, and the variables that bare.sh names.
# PYTEST='-k NAME' goes through to the tests of behaviour.
# MIRROR=URL names another mirror than Debian's own, FOLDER=PATH another folder; KEEP=1 leaves it.
set -eu -o pipefail
. "$(dirname "$0")/install.sh"
. "$TREE/test/bare.sh"

is_root || die "run this as root: it makes a folder with Debian 12 and enters it"
FOLDER=${FOLDER:-/var/lib/fawkes-fresh}
[ ! -e "$FOLDER" ] || die "$FOLDER is there already; if it is from an earlier run, remove it"
[ -n "${KEEP:-}" ] || trap 'rm -rf --one-file-system "$FOLDER"' EXIT
bare_make "$FOLDER"
mkdir "$FOLDER/fawkes_ha"
sources | tar -C "$TREE" -cf - -T - | tar -C "$FOLDER/fawkes_ha" -xf - --no-same-owner
# With the history, of which the released version is built; what is not committed is tested all the same.
git clone -q --bare "$TREE" "$FOLDER/fawkes_ha/.git" 2>/dev/null || true
status=0
bare_run "$FOLDER" /fawkes_ha/check "$@" || status=$?
exit "$status"
