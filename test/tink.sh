#!/bin/bash
# Tink, another implementation of the format in which backups are encrypted; sourced by install.sh.
#
# A wheel with those that it needs, unpacked into one folder: no virtual environment, because Debian's python3 makes none
# without another package.

TINK_HOME=$FAWKES_HOME/tink # for PYTHONPATH
TINK_WHEELS="tink==1.16.1 absl-py==2.5.1 protobuf==7.36.2 bazel-runfiles==2.4.6"
declare -A TINK_SHA256=(
  [tink==1.16.1]=df720eec696f57af0cb9d5649350b8a7477d2d533465a0023b111133b9438245
  [absl-py==2.5.1]=721200f2f0e9960f2ca9dc3a2a706b201f5f75d812c158f059cbbe29eeafbdb8
  [protobuf==7.36.2]=89f23aa53c24553a2416fd4fd1ec06f74fa42b14b546d8883128813f775bbfd2
  [bazel-runfiles==2.4.6]=b8c53e37a954f3e1c7be2d705dfb0dbba8ee00db5bfb63cb3c81b987ea8bf930
)

# Fails with the reason on stdout.
unpack_tink() {
  local wheels=$FAWKES_HOME/tink-wheels wheel
  rm -rf "$TINK_HOME.new"
  for wheel in $TINK_WHEELS; do
    install -d -m 0755 "$wheels/$wheel"
    fetch_wheel "$wheels/$wheel" "$wheel" "${TINK_SHA256[$wheel]}" || return 1
    /usr/bin/python3 -m zipfile -e "$(wheel_in "$wheels/$wheel" "${TINK_SHA256[$wheel]}")" "$TINK_HOME.new" || return 1
  done
  chmod -R a+rX "$TINK_HOME.new" && mv "$TINK_HOME.new" "$TINK_HOME"
}

# Fails when it is not there and cannot be fetched; the reason is then in WHY_NO_TINK.
prepare_tink() {
  local words
  WHY_NO_TINK=
  [ ! -e "$TINK_HOME" ] || return 0
  if ! is_root; then
    WHY_NO_TINK="it is not installed; run this once:  sudo $TREE/test/install.sh tink"
  elif ! words=$(unpack_tink); then
    WHY_NO_TINK="Tink could not be fetched; is pip's index within reach?  ${words:-(no word from pip)}"
  fi
  [ -z "$WHY_NO_TINK" ]
}
