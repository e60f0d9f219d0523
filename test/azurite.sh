#!/bin/bash
# Azurite, Azure's Blob service as one program of Node.js, for test/test_store_azure.py; sourced by install.sh.
#
# npm fetches what test/azurite/package-lock.json names, each package by its checksum.  No script of a package runs.

AZURITE_HOME=$FAWKES_HOME/azurite

# Fails when it is not there and cannot be installed; the reason is then in WHY_NO_AZURITE.
prepare_azurite() {
  local wanted log=$AZURITE_HOME/npm.log
  WHY_NO_AZURITE=
  wanted=$(sha256sum <"$TREE/test/azurite/package-lock.json")
  [ "$(cat "$AZURITE_HOME/.installed" 2>/dev/null)" != "$wanted" ] || return 0
  if ! is_root; then
    WHY_NO_AZURITE="it is not installed; run this once:  sudo $TREE/test/install.sh check"
    return 1
  fi
  # Debian's npm alone is 300 packages: only where there is none.
  command -v npm >/dev/null || install_packages nodejs npm
  heading "installing Azurite, once" >&2
  rm -rf "$AZURITE_HOME"
  install -d -m 0755 "$AZURITE_HOME"
  cp "$TREE"/test/azurite/package*.json "$AZURITE_HOME"
  if (cd "$AZURITE_HOME" && npm ci --omit=dev --ignore-scripts --no-audit --no-fund --cache "$AZURITE_HOME/cache") </dev/null >"$log" 2>&1; then
    rm -rf "$AZURITE_HOME/cache"
    chmod -R a+rX "$AZURITE_HOME"
    echo "$wanted" >"$AZURITE_HOME/.installed"
  else
    WHY_NO_AZURITE="npm could not fetch it; is its registry within reach?
  $(grep . "$log" | tail -n 2)"
  fi
  [ -z "$WHY_NO_AZURITE" ]
}
