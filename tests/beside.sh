#!/bin/sh
# Runs two sets of tests at once, since most of what both do is to wait; fails if one of them does.
#   beside.sh PYTEST "ARGUMENTS" "ARGUMENTS"
set -u
pytest=$1
kept=$(mktemp)
trap 'rm -f "$kept"' EXIT
# shellcheck disable=SC2086 - each is a list of arguments
"$pytest" -q $3 >"$kept" 2>&1 </dev/null &
other=$!
trap 'kill "$other" 2>/dev/null; exit 130' INT TERM
# shellcheck disable=SC2086
"$pytest" -q $2
first=$?
wait "$other"
second=$?
echo "Beside it ran: $3"
cat "$kept"
[ "$first" -eq 0 ] && [ "$second" -eq 0 ]
