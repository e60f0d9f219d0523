#!/bin/bash
# Those versions of barman that users have, as far as they read and write backup.info; sourced by install.sh.
#
# A wheel each, with the two that it needs for that, unpacked side by side: no virtual environment, because Debian's
# python3 makes none without another package.

BARMAN_VERSIONS="3.4.0 3.11.1 3.13.3 3.19.1"
BARMAN_HOME=$FAWKES_HOME/barman # a folder per version, for PYTHONPATH
declare -A BARMAN_SHA256=(
  [3.4.0]=b8f544a318e6689163d1216b1b4feb2b57bc29c052b603f911b38a842479c01c
  [3.11.1]=295b9b7e058e064338f66ca0d10e4892e784a2347f06e4a225164995f6114498
  [3.13.3]=d3fe573ea81d820ab0b30ec921c3ed2a226b8a1acdd9990a4bfdb84d3ff38906
  [3.19.1]=0a6a9e1babf97687732d8b2a3eb79ea95d55246a5257b9433865cb6e755221c0
)
BARMAN_NEEDS="python-dateutil==2.9.0.post0 six==1.17.0"
declare -A BARMAN_NEEDS_SHA256=(
  [python-dateutil==2.9.0.post0]=a8b2bc7bffae282281c8140a97d3aa9c14da0b136dfe83f850eea9a5f7470427
  [six==1.17.0]=4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274
)

# unpack_barman VERSION: fails with the reason on stdout.
unpack_barman() {
  local to=$BARMAN_HOME/$1 wheels=$BARMAN_HOME/wheels need
  [ ! -e "$to" ] || return 0
  install -d -m 0755 "$wheels/barman-$1"
  fetch_wheel "$wheels/barman-$1" "barman==$1" "${BARMAN_SHA256[$1]}" || return 1
  rm -rf "$to.new"
  /usr/bin/python3 -m zipfile -e "$(wheel_in "$wheels/barman-$1" "${BARMAN_SHA256[$1]}")" "$to.new" || return 1
  for need in $BARMAN_NEEDS; do
    install -d -m 0755 "$wheels/$need"
    fetch_wheel "$wheels/$need" "$need" "${BARMAN_NEEDS_SHA256[$need]}" || return 1
    /usr/bin/python3 -m zipfile -e "$(wheel_in "$wheels/$need" "${BARMAN_NEEDS_SHA256[$need]}")" "$to.new" || return 1
  done
  chmod -R a+rX "$to.new" && mv "$to.new" "$to"
}

# Fails when one is not there and cannot be fetched; the reason is then in WHY_NO_BARMAN.
prepare_barman() {
  local version words
  WHY_NO_BARMAN=
  for version in $BARMAN_VERSIONS; do
    [ ! -e "$BARMAN_HOME/$version" ] || continue
    if ! is_root; then
      WHY_NO_BARMAN="it is not installed; run this once:  sudo $TREE/test/install.sh barman"
    elif ! words=$(unpack_barman "$version"); then
      WHY_NO_BARMAN="barman $version could not be fetched; is pip's index within reach?  ${words:-(no word from pip)}"
    fi
    [ -z "$WHY_NO_BARMAN" ] || return 1
  done
}
