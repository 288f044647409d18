#!/bin/sh
# Runs a command with its temporary files in memory, where there is room enough, and removes them.
# What must outlive a loss of power is tested on disks, under tests/faults.
#   in_memory.sh COMMAND...
set -u
room=$(df -k --output=avail /dev/shm 2>/dev/null | tail -n 1)
if [ "${room:-0}" -lt 4194304 ]; then
	exec "$@"
fi
place=$(mktemp -d /dev/shm/moorage-tests-XXXXXX)
trap 'rm -rf "$place"' EXIT
trap 'exit 130' INT TERM
chmod 1777 "$place"
TMPDIR=$place "$@"
