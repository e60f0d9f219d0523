#!/bin/bash
# busy.sh COUNT COMMAND...: COMMAND beside so many processes that only compute; ends with its status.
set -u
count=$1
shift
spinners=()
trap 'kill "${spinners[@]}" 2>/dev/null' EXIT
trap 'exit 130' INT TERM
for ((i = 0; i < count; i++)); do
  # Not beyond this shell, however it ends.
  setpriv --pdeathsig KILL bash -c 'while :; do :; done' &
  spinners+=($!)
done
"$@"
