#!/bin/bash
# fresh.sh [STAGE...]: ./check on a machine that has nothing: a new bare Debian 12 in a folder, by debootstrap.
#
# As root.  In mount and process namespaces of its own, with the host's network and no other path of the host.  Taken over is
# only what tells how packages are reached: apt.conf.d, pip.conf, the certificates, and the variables named below.
# PYTEST='-k NAME' goes through to the tests of behaviour.
# MIRROR=URL names another mirror than Debian's own, FOLDER=PATH another folder; KEEP=1 leaves it.
set -eu -o pipefail
. "$(dirname "$0")/install.sh"

is_root || die "run this as root: it makes a folder with Debian 12 and enters it"
FOLDER=${FOLDER:-/var/lib/fawkes-fresh}
[ ! -e "$FOLDER" ] || die "$FOLDER is there already; if it is from an earlier run, remove it"
install_packages debootstrap

taken=()
while IFS= read -r name; do
  case ${name,,} in
    *_proxy | pip_* | goproxy | goflags | gosumdb | gonosumdb | gonosumcheck | goprivate | gotoolchain | \
      ssl_cert_file | ssl_cert_dir | curl_ca_bundle | requests_ca_bundle | debian_mirror | pytest | ci) taken+=("$name=${!name}") ;;
  esac
done < <(compgen -e)

heading "making $FOLDER with debootstrap"
[ -n "${KEEP:-}" ] || trap 'rm -rf --one-file-system "$FOLDER"' EXIT
progress_start
debootstrap --variant=minbase bookworm "$FOLDER" "${MIRROR:-http://deb.debian.org/debian}" >"$FOLDER.log" 2>&1 </dev/null || {
  tail -n 20 "$FOLDER.log" >&2
  die "debootstrap failed; its whole output is in $FOLDER.log"
}
progress_stop
rm -f "$FOLDER.log"
cp -r /etc/apt/apt.conf.d/. "$FOLDER/etc/apt/apt.conf.d/"
for file in /etc/resolv.conf /etc/hosts /etc/pip.conf /etc/ssl/certs/ca-certificates.crt; do
  [ ! -e "$file" ] || install -D -m 0644 "$file" "$FOLDER$file"
done
# The package ca-certificates, when it comes, writes the bundle anew, without what this machine adds to it.
if [ -e /etc/ssl/certs/ca-certificates.crt ]; then
  install -D -m 0644 /etc/ssl/certs/ca-certificates.crt "$FOLDER/etc/ssl/taken-over.crt"
  install -D -m 0755 /dev/stdin "$FOLDER/etc/ca-certificates/update.d/taken-over" <<'EOF'
#!/bin/sh
cat >/dev/null
cp /etc/ssl/taken-over.crt /etc/ssl/certs/ca-certificates.crt
EOF
fi
mkdir "$FOLDER/fawkes_ha"
sources | tar -C "$TREE" -cf - -T - | tar -C "$FOLDER/fawkes_ha" -xf - --no-same-owner
# With the history, of which the released version is built; what is not committed is tested all the same.
git clone -q --bare "$TREE" "$FOLDER/fawkes_ha/.git" 2>/dev/null || true
# All mounts and all processes end with the namespaces.
status=0
# Its root is the namespace's, not chroot's: below that one the kernel gives an ordinary user no namespaces.
# shellcheck disable=SC2016 # for the inner shells
unshare --mount --pid --fork --kill-child bash -euc '
  mount --bind "$1" "$1"
  cd "$1"
  shift
  mount -t proc proc proc
  mount --rbind /sys sys
  mount --rbind /dev dev
  mount -t tmpfs -o mode=1777 shm dev/shm
  pivot_root . mnt
  exec chroot . env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    bash -euc "umount -l /mnt; exec env \"\$@\"" fresh "$@"
' fresh "$FOLDER" "${taken[@]}" /fawkes_ha/check "$@" </dev/null || status=$?
exit "$status"
