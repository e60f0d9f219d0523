#!/bin/bash
# What ./demo, ./check and the benchmarks need before they can run: packages, an
# ordinary user, a build of this tree, and its installation.  Sourced by them; as a
# command, `sudo test/install.sh demo` (or check) does just that and runs nothing.
#
# As root everything runs as the user "fawkes" from a copy of the tree in its home:
# PostgreSQL refuses root, and a tree under /root cannot be read by anybody else.
# As an ordinary user everything runs as that user from the tree itself, once root
# has installed what it needs.

PG_MAJOR=${PG_MAJOR:-15}
export PG_MAJOR PG_CONFIG=${PG_CONFIG:-/usr/lib/postgresql/$PG_MAJOR/bin/pg_config}
TREE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
FAWKES_USER=fawkes
FAWKES_HOME=/var/lib/fawkes
INSTALLED=$FAWKES_HOME/installed # which sources the installed files were built from

DEMO_PACKAGES="make gcc libc6-dev postgresql-$PG_MAJOR postgresql-server-dev-$PG_MAJOR
  libjson-c-dev libmicrohttpd-dev libgnutls28-dev libcurl4-openssl-dev libexpat1-dev libyaml-dev libssl-dev libkrb5-dev
  libisal-dev zlib1g-dev libzstd-dev liblz4-dev libbz2-dev liblzma-dev libpq-dev python3 python3-psycopg2"
SERVER_PACKAGES="$DEMO_PACKAGES perl postgresql-$PG_MAJOR-pgtap libtap-parser-sourcehandler-pgtap-perl
  python3-pytest python3-pytest-xdist python3-pytest-timeout python3-jsonschema python3-psycopg python3-psycopg-pool
  python3-asyncpg haproxy pgbouncer procps openssl curl git"
DEB_PACKAGES="$DEMO_PACKAGES build-essential debhelper"
KUBE_PACKAGES="openssl python3-pip"
BARMAN_PACKAGES="python3 python3-pip"
TINK_PACKAGES="python3 python3-pip"
CHECK_PACKAGES="$SERVER_PACKAGES libcmocka-dev clang-format-14 python3-pip
  clang-14 libclang-rt-14-dev cppcheck shellcheck pyflakes3 gcovr prometheus chromium"

. "$TREE/test/versions.sh"
. "$TREE/test/released.sh"
. "$TREE/test/barman.sh"
. "$TREE/test/seaweedfs.sh"
. "$TREE/test/tink.sh"
. "$TREE/test/kube/build.sh"
. "$TREE/test/azurite.sh"

heading() { printf '\n=== %s\n' "$*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }
is_root() { [ "$(id -u)" = 0 ]; }

# progress_start [FILE], progress_stop: between them a line each 30 s in which FILE does not grow.
PROGRESS=
# shellcheck disable=SC2120 # check gives it a file
progress_start() {
  (
    trap 'kill $! 2>/dev/null; exit 0' TERM
    began=$SECONDS size=0
    while sleep 30 & wait $! && kill -0 $$ 2>/dev/null; do
      new=$(stat -c %s "${1:-/dev/null}")
      [ "$new" != "$size" ] || printf '  ... %d s\n' $((SECONDS - began))
      size=$new
    done
  ) &
  PROGRESS=$!
}
progress_stop() {
  [ -n "$PROGRESS" ] || return 0
  kill "$PROGRESS" 2>/dev/null
  wait "$PROGRESS" 2>/dev/null
  PROGRESS=
}

missing_packages() {
  local package
  for package in "$@"; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || printf '%s ' "$package"
  done
}

install_packages() {
  local missing log
  command -v dpkg-query >/dev/null || die "this is made for Debian 12; install by hand: $*"
  missing=$(missing_packages "$@")
  [ -n "$missing" ] || return 0
  is_root || die "missing: $missing
run this once:  sudo $TREE/test/install.sh $PURPOSE"
  heading "installing $missing"
  case $missing in
    *"postgresql-$PG_MAJOR "*)
      # Debian would create and start a cluster of its own on port 5432.
      mkdir -p /etc/postgresql-common/createcluster.d
      echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/fawkes_ha.conf ;;
  esac
  log=$(mktemp)
  export DEBIAN_FRONTEND=noninteractive
  # shellcheck disable=SC2119 # without a file
  progress_start
  # shellcheck disable=SC2086 # a list of words
  if ! { apt-get -q update && apt-get -q -y --no-install-recommends install $missing; } </dev/null >"$log" 2>&1; then
    progress_stop
    tail -n 20 "$log" >&2
    die "the packages could not be installed; the whole output is in $log"
  fi
  progress_stop
  rm -f "$log"
}

make_user() {
  id -u "$FAWKES_USER" >/dev/null 2>&1 ||
    useradd --system --user-group --home-dir "$FAWKES_HOME" --shell /bin/bash "$FAWKES_USER"
  install -d -m 0755 -o "$FAWKES_USER" -g "$FAWKES_USER" "$FAWKES_HOME"
}

# What makes a command run as the ordinary user.  setpriv, not su: no new session, so
# that Ctrl-C reaches the command, and it keeps open files.
set_user() {
  user=(env PYTHONDONTWRITEBYTECODE=1 PG_MAJOR="$PG_MAJOR" PG_CONFIG="$PG_CONFIG")
  if is_root; then
    user=(setpriv --reuid="$FAWKES_USER" --regid="$FAWKES_USER" --init-groups --reset-env
      "${user[@]}" LANG=C.UTF-8)
  fi
}
set_user
as_user() { "${user[@]}" "$@"; }

# The sources and nothing that a build makes of them, as a list on stdout.
sources() {
  (cd "$TREE" && find . \( -name .git -o -name __pycache__ -o -name .pytest_cache -o -name results \
      -o -name 'build-*' -o -name mutants \) -prune -o -type f \
    ! -name '*.o' ! -name '*.d' ! -name '*.so' ! -name '*.bc' ! -name '*_test' ! -path ./fawkes-ha ! -name lock_kube_suite ! -name store_suite ! -name api_load ! -name page_server ! -path ./src/test/interop/backup_info ! -path ./src/test/interop/pack \
    ! -name 'regression.*' -print | LC_ALL=C sort)
}

digest() {
  { sources | (cd "$TREE" && tr '\n' '\0' | xargs -0 sha256sum); echo "$PG_CONFIG"; } | sha256sum | cut -d ' ' -f 1
}

copy_tree() {
  rm -rf "$BUILD"
  as_user mkdir -p "$BUILD"
  sources | tar -C "$TREE" -cf - -T - | as_user tar -C "$BUILD" -xf - --no-same-permissions --touch
}

build() {
  heading "building in $BUILD"
  as_user make -C "$BUILD" --no-print-directory -s -j"$(nproc)" PG_CONFIG="$PG_CONFIG" WERROR="${WERROR:-}" all
}

build_directory() {
  if is_root; then echo "$FAWKES_HOME/build-$PURPOSE"; else echo "$TREE"; fi
}

# prepare demo|check|server: afterwards $BUILD has this tree, and what it builds is installed.
prepare() {
  PURPOSE=$1
  local wanted
  # shellcheck disable=SC2086
  case $PURPOSE in
    check) install_packages $CHECK_PACKAGES ;;
    server) install_packages $SERVER_PACKAGES ;;
    *) install_packages $DEMO_PACKAGES ;;
  esac
  wanted=$(digest)
  BUILD=$(build_directory)
  if ! is_root; then
    [ "$(cat "$INSTALLED" 2>/dev/null)" = "$wanted" ] ||
      die "what is installed was not built from these sources
run this once:  sudo $TREE/test/install.sh $PURPOSE"
    return 0
  fi
  make_user
  # A check builds afresh, to see every warning.
  if [ "$PURPOSE" != demo ] || [ "$(cat "$INSTALLED" 2>/dev/null)" != "$wanted" ] ||
    [ "$(cat "$BUILD/.digest" 2>/dev/null)" != "$wanted" ]; then
    copy_tree || return 1
    build || return 1
    make -C "$BUILD" --no-print-directory -s PG_CONFIG="$PG_CONFIG" install || return 1
    echo "$wanted" >"$INSTALLED"
    echo "$wanted" >"$BUILD/.digest"
  fi
}

# What a script needs that starts a control plane of Kubernetes.
prepare_lab_kube() {
  PURPOSE=kube
  # shellcheck disable=SC2086
  install_packages $KUBE_PACKAGES
  prepare_kube || die "Kubernetes $KUBE_VERSION: $WHY_NO_KUBE"
}

# lab SCRIPT [ARGUMENT...]: one of test/*.py as the ordinary user, in place of this
# shell.  The file behind --json is opened here: the user may not be able to.
lab() {
  local script=$BUILD/test/$1 arguments=()
  shift
  while [ $# -gt 0 ]; do
    case $1 in
      --json=*) set -- --json "${1#--json=}" "${@:2}"; continue ;;
      --json)
        [ $# -gt 1 ] || die "--json wants a file"
        exec 3>>"$2" || exit 1
        arguments+=(--json /dev/fd/3)
        shift 2 ;;
      *) arguments+=("$1"); shift ;;
    esac
  done
  cd / || exit 1
  # /usr/bin: Debian's own, which has psycopg2, whatever else comes first in PATH.
  exec "${user[@]}" /usr/bin/python3 "$script" ${arguments[@]+"${arguments[@]}"}
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  set -eu -o pipefail
  case ${1:-} in
    demo) prepare demo ;;
    check)
      prepare check
      prepare_kube || die "Kubernetes $KUBE_VERSION: $WHY_NO_KUBE"
      prepare_released || die "version $RELEASED_VERSION: $WHY_NO_RELEASED"
      prepare_azurite || die "Azurite: $WHY_NO_AZURITE"
      prepare_barman || die "barman: $WHY_NO_BARMAN"
      prepare_seaweedfs || die "SeaweedFS: $WHY_NO_SEAWEEDFS"
      prepare_tink || die "$WHY_NO_TINK"
      prepare_versions || die "PostgreSQL $VERSIONS: $WHY_NO_VERSIONS"
      for version in $VERSIONS; do (use_version "$version") || exit 1; done ;;
    deb)
      PURPOSE=deb
      # shellcheck disable=SC2086 # a list of words
      install_packages $DEB_PACKAGES ;;
    kube)
      prepare_lab_kube
      kube_binary ;;
    barman)
      PURPOSE=barman
      # shellcheck disable=SC2086 # a list of words
      install_packages $BARMAN_PACKAGES
      prepare_barman || die "barman: $WHY_NO_BARMAN" ;;
    seaweedfs)
      PURPOSE=seaweedfs
      # shellcheck disable=SC2086 # a list of words
      install_packages $BARMAN_PACKAGES
      prepare_seaweedfs || die "SeaweedFS: $WHY_NO_SEAWEEDFS" ;;
    tink)
      PURPOSE=tink
      # shellcheck disable=SC2086 # a list of words
      install_packages $TINK_PACKAGES
      prepare_tink || die "$WHY_NO_TINK" ;;
    bench-kube) prepare demo && prepare_lab_kube && lab "${@:2}" ;;
    bench) prepare demo && lab "${@:2}" ;;
    *) die "usage: $0 demo | check | deb | kube | barman | seaweedfs | tink | bench | bench-kube SCRIPT [ARGUMENT...]" ;;
  esac
fi
