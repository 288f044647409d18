#!/bin/sh
# Runs two series of tests at once, since most of what both do is to wait; fails if a run of one does.
#   beside.sh PYTEST "ARGUMENTS; ARGUMENTS" "ARGUMENTS; ARGUMENTS"
set -u
pytest=$1
kept=$(mktemp)
trap 'rm -f "$kept"' EXIT

# Runs all of a series, whatever becomes of its first.
series() {
	rest=$1 code=0
	while [ -n "$rest" ]; do
		# shellcheck disable=SC2086 - each is a list of arguments
		"$pytest" -q ${rest%%;*} || code=1
		case $rest in *\;*) rest=${rest#*;} ;; *) rest= ;; esac
	done
	return $code
}

series "$3" >"$kept" 2>&1 </dev/null &
other=$!
trap 'kill "$other" 2>/dev/null; exit 130' INT TERM
series "$2"
first=$?
wait "$other"
second=$?
echo "Beside it ran: $3"
cat "$kept"
[ "$first" -eq 0 ] && [ "$second" -eq 0 ]
