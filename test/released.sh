#!/bin/bash
# The version that users have, built from this repository's history; sourced by install.sh.  Its members run beside
# those of this tree in test/test_released.py, as they do in every upgrade.

RELEASED_VERSION=1.1
RELEASED_COMMIT=155f6f2d53af7d9cb7e35ea57908680c99732cc1
RELEASED_HOME=$FAWKES_HOME/released-$RELEASED_VERSION

# Fails when it is not there and cannot be built; the reason is then in WHY_NO_RELEASED.
prepare_released() {
  WHY_NO_RELEASED=
  [ "$(cat "$RELEASED_HOME/.commit" 2>/dev/null)" != $RELEASED_COMMIT ] || return 0
  if ! is_root; then
    WHY_NO_RELEASED="it is not built; run this once:  sudo $TREE/test/install.sh check"
    return 1
  fi
  if ! git -C "$TREE" cat-file -e "$RELEASED_COMMIT^{commit}" 2>/dev/null; then
    WHY_NO_RELEASED="this copy of the sources has no history with it: clone the repository whole"
    return 1
  fi
  heading "building version $RELEASED_VERSION, once" >&2
  rm -rf "$RELEASED_HOME"
  as_user mkdir -p "$RELEASED_HOME"
  if git -C "$TREE" archive "$RELEASED_COMMIT" | as_user tar -C "$RELEASED_HOME" -xf - &&
    as_user make -C "$RELEASED_HOME" --no-print-directory -s -j"$(nproc)" PG_CONFIG="$PG_CONFIG" all >/dev/null; then
    echo $RELEASED_COMMIT >"$RELEASED_HOME/.commit"
  else
    WHY_NO_RELEASED="version $RELEASED_VERSION could not be built in $RELEASED_HOME"
  fi
  [ -z "$WHY_NO_RELEASED" ]
}
