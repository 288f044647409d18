#!/bin/sh
# Runs two series of commands at once, what the second writes after the first; fails if one of any does.
#   beside.sh "COMMAND; COMMAND" "COMMAND; COMMAND"
set -u
kept=$(mktemp)
trap 'rm -f "$kept"' EXIT

# Runs all of a series, whatever becomes of its first.
series() {
	rest=$1 code=0
	while [ -n "$rest" ]; do
		# shellcheck disable=SC2086 - each is a program and its arguments
		${rest%%;*} || code=1
		case $rest in *\;*) rest=${rest#*;} ;; *) rest= ;; esac
	done
	return $code
}

series "$2" >"$kept" 2>&1 </dev/null &
other=$!
trap 'kill "$other" 2>/dev/null; exit 130' INT TERM
series "$1"
first=$?
wait "$other"
second=$?
echo "Beside it ran: $2"
cat "$kept"
[ "$first" -eq 0 ] && [ "$second" -eq 0 ]
