#!/bin/bash
# A bare Debian 12 in a folder, by debootstrap; sourced after install.sh.

# bare_make FOLDER: taken over is only what tells how packages are reached: apt.conf.d, pip.conf, npmrc, the certificates.
bare_make() {
  local file
  install_packages debootstrap
  heading "making $1 with debootstrap"
  # shellcheck disable=SC2119 # without a file
  progress_start
  debootstrap --variant=minbase bookworm "$1" "${MIRROR:-http://deb.debian.org/debian}" >"$1.log" 2>&1 </dev/null || {
    tail -n 20 "$1.log" >&2
    die "debootstrap failed; its whole output is in $1.log"
  }
  progress_stop
  rm -f "$1.log"
  cp -r /etc/apt/apt.conf.d/. "$1/etc/apt/apt.conf.d/"
  for file in /etc/resolv.conf /etc/hosts /etc/pip.conf /etc/npmrc /root/.npmrc /etc/ssl/certs/ca-certificates.crt; do
    [ ! -e "$file" ] || install -D -m 0644 "$file" "$1$file"
  done
  # The package ca-certificates, when it comes, writes the bundle anew, without what this machine adds to it.
  if [ -e /etc/ssl/certs/ca-certificates.crt ]; then
    install -D -m 0644 /etc/ssl/certs/ca-certificates.crt "$1/etc/ssl/taken-over.crt"
    install -D -m 0755 /dev/stdin "$1/etc/ca-certificates/update.d/taken-over" <<'END'
#!/bin/sh
cat >/dev/null
cp /etc/ssl/taken-over.crt /etc/ssl/certs/ca-certificates.crt
END
  fi
}

# bare_run FOLDER COMMAND...: as root in it, in mount and process namespaces of its own, with the host's network and no other
# path of the host.  All mounts and all processes end with the namespaces.
bare_run() {
  local taken=() name
  while IFS= read -r name; do
    case ${name,,} in
      *_proxy | pip_* | npm_config_* | node_extra_ca_certs | goproxy | goflags | gosumdb | gonosumdb | gonosumcheck | goprivate | gotoolchain | \
        ssl_cert_file | ssl_cert_dir | curl_ca_bundle | requests_ca_bundle | debian_mirror | pytest | ci) taken+=("$name=${!name}") ;;
    esac
  done < <(compgen -e)
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
      bash -euc "umount -l /mnt; exec env \"\$@\"" bare "$@"
  ' bare "$1" "${taken[@]}" "${@:2}" </dev/null
}
