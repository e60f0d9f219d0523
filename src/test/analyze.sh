#!/bin/bash
# analyze.sh PG_CONFIG: gcc -fanalyzer, clang's analyzer (what scan-build runs) and cppcheck over
# the C sources, shellcheck over the scripts, pyflakes over the Python.  Fails on any finding.
#
# A finding that is wrong is excused in its line, or in the one above, by a comment that gives the
# reason: "analyzer: WHY" (cppcheck has its own: cppcheck-suppress).
set -u -o pipefail
cd "$(dirname "$0")/../.." || exit 1
server=$("$1" --includedir-server) || exit 1
client=$("$1" --includedir) || exit 1
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
failed=0

plain=(-std=c11 -D_GNU_SOURCE '-DFAWKES_HA_VERSION="0"' -DFHA_POSTGRES=15 -Isrc -isystem "$client")
pg=(-std=gnu11 -D_GNU_SOURCE -Isrc -isystem "$server")

# Findings on stdin, as "FILE:LINE: ..."; what is left when the excused ones are gone.
without_excuses() {
  local file line rest
  while IFS=: read -r file line rest; do
    # The way that led to it begins with a blank or a figure, or is a note.
    [[ $line =~ ^[0-9]+$ && $rest =~ warning:|error: ]] || continue
    sed -n "$((line > 1 ? line - 1 : 1)),${line}p" "$file" | grep -q 'analyzer: [a-zA-Z]' && continue
    echo "$file:$line:$rest"
  done
}

verdict() { # verdict TOOL COUNT-OF-FILES: findings on stdin; fails when there is any
  local found
  found=$(without_excuses | sort -u)
  if [ -n "$found" ]; then
    printf '%s\n' "$found"
  fi
  printf '  %-22s %3d files\n' "$1" "$2"
  [ -z "$found" ]
}

mapfile -t ours < <(find src -name '*.c' -not -path 'src/test/*' -not -path 'src/pg/*' | sort)
hosted=(fawkes_ha.c src/pg/*.c)
each() { # each FILES... -- COMMAND...: two at a time
  local files=()
  while [ "$1" != -- ]; do files+=("$1"); shift; done
  shift
  # shellcheck disable=SC2016 # the inner shell expands them
  printf '%s\0' "${files[@]}" | xargs -0 -P 2 -I '{}' sh -c '"$@" >"$0/$(echo "{}" | tr / -)" 2>&1' "$scratch" "$@" '{}'
  cat "$scratch"/*
  rm -f "$scratch"/*
}

each "${ours[@]}" -- gcc "${plain[@]}" -O0 -fanalyzer -c -o /dev/null | verdict 'gcc -fanalyzer' "${#ours[@]}" || failed=1
each "${hosted[@]}" -- gcc "${pg[@]}" -O0 -fanalyzer -c -o /dev/null | verdict 'gcc -fanalyzer, pg' "${#hosted[@]}" || failed=1
each "${ours[@]}" -- clang-14 --analyze --analyzer-output text "${plain[@]}" -o /dev/null | verdict 'clang --analyze' "${#ours[@]}" || failed=1
each "${hosted[@]}" -- clang-14 --analyze --analyzer-output text "${pg[@]}" -o /dev/null | verdict 'clang --analyze, pg' "${#hosted[@]}" || failed=1
check=(cppcheck --std=c11 '--enable=warning,performance,portability' --inline-suppr -q -j 2 -D_GNU_SOURCE --template='{file}:{line}: {severity}: {message} [{id}]')
"${check[@]}" --error-exitcode=1 '-DFAWKES_HA_VERSION="0"' -DFHA_POSTGRES=15 -Isrc "${ours[@]}" || failed=1
# Without PostgreSQL's headers: their macros are not ours to judge.
"${check[@]}" --error-exitcode=1 -DPG_VERSION_NUM=150000 -DPGDLLEXPORT= -Isrc "${hosted[@]}" || failed=1
printf '  %-22s %3d files\n' cppcheck $((${#ours[@]} + ${#hosted[@]}))
scripts=(check demo .ci/run test/*.sh test/*/*.sh src/test/*.sh src/test/*/*.sh debian/tests/member)
shellcheck -x -P SCRIPTDIR "${scripts[@]}" || failed=1
printf '  %-22s %3d files\n' shellcheck "${#scripts[@]}"
python=(test/*.py test/lab/*.py)
# Excused by "# noqa: CODE - why" in the line.
while IFS=: read -r file line rest; do
  sed -n "${line}p" "$file" | grep -q '# noqa: ' && continue
  echo "$file:$line:$rest"
  failed=1
done < <(pyflakes3 "${python[@]}")
printf '  %-22s %3d files\n' pyflakes3 "${#python[@]}"
exit "$failed"
