#!/bin/bash
# make check-drivers: test/test_drivers.py with the newest drivers of five languages' worlds.
#
# Each comes by the ordinary client of its registry, in a version that is pinned: hashes
# in requirements.txt and jars.sha256, lock files for npm and Go.  Network is needed
# for that alone; what is prepared stays under the home of the user fawkes.
#
#   sudo test/drivers.sh prepare    once for each state of test/drivers
#   test/drivers.sh                 prepare if need be (as root), then run
set -eu -o pipefail
. "$(dirname "$0")/install.sh"

SOURCES=$TREE/test/drivers
DRIVERS_HOME=${DRIVERS_HOME:-$FAWKES_HOME/drivers}
DRIVERS_PACKAGES="python3-pip"
COPY_JARS=org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies

state() { (cd "$SOURCES" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -d ' ' -f 1); }

# The tools of other languages: the machine's own, else Debian's.
tools() {
  command -v node >/dev/null && command -v npm >/dev/null || DRIVERS_PACKAGES="$DRIVERS_PACKAGES nodejs npm"
  command -v javac >/dev/null || DRIVERS_PACKAGES="$DRIVERS_PACKAGES default-jdk-headless"
  command -v mvn >/dev/null || DRIVERS_PACKAGES="$DRIVERS_PACKAGES maven"
  # shellcheck disable=SC2086 # a list of words
  install_packages $DRIVERS_PACKAGES
}

python_drivers() { # python_drivers FOLDER
  /usr/bin/python3 -m pip install -q --disable-pip-version-check --no-cache-dir --no-deps --only-binary=:all: \
    --require-hashes --target "$1" -r "$SOURCES/python/requirements.txt"
}

pgx() { # pgx FOLDER WORK
  local go
  go=$(find_go "$2") || die "$go"
  (cd "$SOURCES/pgx" && env CGO_ENABLED=0 GOTOOLCHAIN=local GOWORK=off GOCACHE="$2/cache" GOMODCACHE="$2/modules" \
    "$go" build -mod=readonly -modcacherw -buildvcs=false -trimpath -o "$1/writer" .)
}

node_postgres() { # node_postgres FOLDER
  cp "$SOURCES"/node/package*.json "$SOURCES/node/writer.js" "$1"
  (cd "$1" && npm ci --ignore-scripts --no-audit --no-fund --silent)
}

pgjdbc() { # pgjdbc FOLDER
  mvn -q -B -f "$SOURCES/jdbc/pom.xml" "$COPY_JARS" -DoutputDirectory="$1/jars" -DincludeScope=runtime
  (cd "$1/jars" && sha256sum --quiet -c "$SOURCES/jdbc/jars.sha256")
  javac -cp "$1/jars/*" -d "$1" "$SOURCES/jdbc/Writer.java"
}

prepare_drivers() {
  local new=$DRIVERS_HOME/new work=$DRIVERS_HOME/work wanted
  wanted=$(state)
  [ "$(cat "$DRIVERS_HOME/ready/.state" 2>/dev/null)" != "$wanted" ] || return 0
  is_root || die "the drivers are not prepared; run this once:  sudo $TREE/test/drivers.sh prepare"
  tools
  heading 'fetching the drivers'
  rm -rf "$new" "$work"
  install -d -m 0755 "$DRIVERS_HOME" "$work" "$new" "$new/python" "$new/pgx" "$new/node" "$new/jdbc"
  python_drivers "$new/python"
  pgx "$new/pgx" "$work"
  node_postgres "$new/node"
  pgjdbc "$new/jdbc"
  rm -rf "$work" "$DRIVERS_HOME/ready"
  chmod -R a+rX "$new"
  echo "$wanted" >"$new/.state"
  mv "$new" "$DRIVERS_HOME/ready"
}

case ${1:-} in
  prepare) prepare_drivers ;;
  '')
    prepare server
    prepare_drivers
    cd /
    as_user env FAWKES_DRIVERS="$DRIVERS_HOME/ready" /usr/bin/python3 -m pytest -p no:cacheprovider -q -rfEs \
      --durations=5 "$BUILD/test/test_drivers.py" ;;
  *) die "usage: $0 [prepare]" ;;
esac
