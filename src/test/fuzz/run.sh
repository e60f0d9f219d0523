#!/bin/bash
# run.sh SECONDS NAME...: each fuzz target over its corpus, then for SECONDS over new inputs; two at
# a time.  Fails when one of them does, and tells where the input lies.
set -u -o pipefail
cd "$(dirname "$0")/../../.." || exit 1
seconds=$1
shift

one() { # one NAME
  local name=$1 corpus=src/test/fuzz/corpus/$1 log=build-fuzz/$1.log
  local run=(build-fuzz/"$name"_fuzz -timeout=10 -rss_limit_mb=1024 -close_fd_mask=3
    -artifact_prefix="build-fuzz/$name-")
  [ -n "$(ls "$corpus")" ] || { echo "FAILED $name: $corpus is empty"; return 1; }
  mkdir -p "build-fuzz/corpus/$name"
  # The whole corpus first: what was found once must never come back.
  if ! "${run[@]}" "$corpus"/* >"$log" 2>&1; then
    echo "FAILED $name: an input of $corpus"
  elif ! "${run[@]}" -max_len=16384 -max_total_time="$seconds" -print_final_stats=1 "build-fuzz/corpus/$name" "$corpus" >"$log" 2>&1; then
    echo "FAILED $name: a new input, kept as build-fuzz/$name-*"
  else
    printf '%-10s %5d inputs kept, %9d tried, %5d edges\n' "$name" "$(find "$corpus" -type f | wc -l)" \
      "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" \
      "$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)"
    return 0
  fi
  tail -n 40 "$log"
  return 1
}

failed=0
running=0
for name in "$@"; do
  one "$name" &
  running=$((running + 1))
  if [ "$running" -ge 2 ]; then
    wait -n || failed=1
    running=$((running - 1))
  fi
done
while [ "$running" -gt 0 ]; do
  wait -n || failed=1
  running=$((running - 1))
done
exit "$failed"
