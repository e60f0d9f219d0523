#!/bin/bash
# Images for the end-to-end bed, without a registry and without a Docker engine; sourced by e2e.sh.
#
# A Debian by debootstrap stands for debian:bookworm-slim; on it buildah builds deploy/Dockerfile and the writers' image.
# They end up in a containerd directory, of which each node gets a copy by links.  Everything is kept under $E2E_HOME
# and made again when what it is made of has changed.

E2E_HOME=/var/lib/fawkes-e2e
# shellcheck disable=SC2034 # e2e.sh's
E2E_PACKAGES="containerd runc containernetworking-plugins buildah debootstrap iptables nftables iproute2 procps
  openssl python3 python3-psycopg2 python3-pip"
BASE_IMAGE=docker.io/library/debian:bookworm-slim
PRODUCT_IMAGE=localhost/fawkes-ha:e2e

e2e_buildah() {
  buildah --root "$E2E_HOME/buildah" --runroot "$E2E_HOME/buildah-run" --storage-driver overlay "$@"
}

# quietly COMMAND...: its output only when it fails.
quietly() {
  local log
  log=$(mktemp)
  if "$@" >"$log" 2>&1 </dev/null; then
    rm -f "$log"
  else
    tail -n 25 "$log" >&2
    die "this failed, its whole output is in $log: $*"
  fi
}

# The path of a tar with a Debian, as old as a week at most.
base_tar() {
  local tar=$E2E_HOME/debian.tar work=$E2E_HOME/debian
  if [ -z "$(find "$tar" -mtime -7 2>/dev/null)" ]; then
    heading 'a Debian base by debootstrap, once a week: a minute' >&2
    rm -rf "$work"
    quietly debootstrap --variant=minbase --include=ca-certificates bookworm "$work" "${DEBIAN_MIRROR:-http://deb.debian.org/debian}"
    rm -rf "$work"/var/cache/apt/archives/*.deb "$work"/var/lib/apt/lists/*
    tar -C "$work" --one-file-system -cf "$tar.new" .
    rm -rf "$work"
    mv "$tar.new" "$tar"
  fi
  echo "$tar"
}

# build_image NAME FILE DIRECTORY [OPTION...]: layers that have not changed are taken from the last build.
build_image() {
  quietly e2e_buildah bud --isolation chroot --network host --pull-never --layers -t "$1" -f "$2" "${@:4}" "$3"
}

image_id() { e2e_buildah inspect --type image --format '{{.FromImageID}}' "$1"; }

# Afterwards $IMAGES is a containerd directory with all images.
prepare_images() {
  local base context name ids key
  mkdir -p "$E2E_HOME/tmp" || return 1
  # One at a time, until this shell ends or lets go.
  exec 9>"$E2E_HOME/lock" && flock 9 || return 1
  context=$(mktemp -d -p "$E2E_HOME/tmp") || return 1
  base=$(base_tar) || return 1
  if [ "$(cat "$E2E_HOME/base" 2>/dev/null)" != "$(stat -c %Y "$base")" ]; then
    e2e_buildah rmi --all --force >/dev/null 2>&1
    printf 'FROM scratch\nADD debian.tar /\nCMD ["/bin/bash"]\n' >"$context/Dockerfile"
    ln "$base" "$context/debian.tar"
    build_image "$BASE_IMAGE" "$context/Dockerfile" "$context" || return 1
    stat -c %Y "$base" >"$E2E_HOME/base"
    rm -f "$context/debian.tar"
  fi
  heading 'images: pause, writers, fawkes-ha'
  printf 'FROM %s\nCMD ["sleep", "infinity"]\n' "$BASE_IMAGE" >"$context/pause"
  build_image localhost/pause:e2e "$context/pause" "$context" || return 1
  # shellcheck disable=SC2016
  printf 'FROM %s\nRUN apt-get update && apt-get install -y --no-install-recommends python3-psycopg2\n' \
    "$BASE_IMAGE" >"$context/writers"
  build_image localhost/writers:e2e "$context/writers" "$context" || return 1
  names=(localhost/pause:e2e localhost/writers:e2e)
  if [ -f "$TREE/deploy/Dockerfile" ]; then
    mkdir "$context/tree"
    sources | tar -C "$TREE" -cf - -T - | tar -C "$context/tree" -xf - || return 1
    build_image "$PRODUCT_IMAGE" "$TREE/deploy/Dockerfile" "$context/tree" || return 1
    names+=("$PRODUCT_IMAGE")
  fi
  ids=$(for name in "${names[@]}"; do echo "$name $(image_id "$name")"; done)
  key=$(sha256sum <<<"$ids" | cut -c 1-16)
  IMAGES=$E2E_HOME/images-$key
  if [ ! -d "$IMAGES" ]; then
    # Not those that another run has just been given.
    find "$E2E_HOME" -maxdepth 1 -name 'images-*' -mmin +120 -exec rm -rf {} +
    import_images "$context" "${names[@]}" || return 1
  fi
  rm -rf "$context"
  exec 9>&-
}

# Into a containerd of its own, in namespaces of its own; nothing of it stays but its directory.
import_images() {
  local work=$E2E_HOME/images.new name context=$1
  rm -rf "$work"
  mkdir -p "$work" "$context/tars"
  for name in "${@:2}"; do
    quietly e2e_buildah push "$name" "docker-archive:$context/tars/$(tr '/:' '__' <<<"$name").tar:$name" || return 1
  done
  # shellcheck disable=SC2016 # expanded by the inner shell
  quietly unshare --mount --pid --fork --kill-child --mount-proc bash -euc '
    mount -t tmpfs run /run
    containerd --root "$1" --state /run/containerd --address /run/c.sock &
    until [ -S /run/c.sock ]; do sleep 0.1; done
    for tar in "$2"/*.tar; do ctr --address /run/c.sock --namespace k8s.io images import "$tar"; done
    kill $! && wait' import "$work" "$context/tars" || return 1
  mv "$work" "$IMAGES"
}
