#!/bin/sh
# Runs the official OCI distribution conformance suite against a server of its own.
# Ends with 0 only if everything passed: nothing failed, nothing skipped, nothing disabled.
#
#   tests/conformance.sh          in local mode, without credentials
#   tests/conformance.sh bearer   with bearer tokens, as an account that owns the namespace
set -eu

mode=${1:-local}
case $mode in
local | bearer) ;;
*)
    echo "usage: tests/conformance.sh [local|bearer]" >&2
    exit 2
    ;;
esac

root=$(cd "$(dirname "$0")/.." && pwd)
kept=$root/.cache/conformance
module=github.com/opencontainers/distribution-spec/conformance
PATH="$PATH:/usr/local/go/bin:/usr/lib/go/bin"
export PATH

python=$root/.venv/bin/python
[ -x "$python" ] || python=python3

mkdir -p "$kept"
rm -rf "$kept/results"
if command -v go >/dev/null 2>&1; then
    if ! GOBIN=$kept go install "$module@latest"; then
        [ -x "$kept/conformance" ] || { echo "The conformance suite was not built." >&2; exit 2; }
        echo "The newest suite was not built; running the one that was built before." >&2
    fi
elif [ ! -x "$kept/conformance" ]; then
    echo "There is no Go toolchain here: the OCI conformance suite was NOT run." >&2
    exit 2
fi

data=$(mktemp -d)
server=
# shellcheck disable=SC2329 # called by the trap
clean_up() {
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    rm -rf "$data"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP
trap 'exit 141' PIPE

port=$("$python" -c '
import socket
probe = socket.socket()
probe.bind(("127.0.0.1", 0))
print(probe.getsockname()[1])')
address=127.0.0.1:$port

if [ "$mode" = bearer ]; then
    # Of one namespace, as the suite's own names are: without `from`, a mount looks no further.
    OCI_USERNAME=owner
    OCI_PASSWORD=$("$python" -c 'import secrets; print(secrets.token_hex(16))')
    export OCI_USERNAME OCI_PASSWORD
    export OCI_REPO1=suite/one OCI_REPO2=suite/two
    (umask 077 && "$python" -c 'import secrets; print(secrets.token_hex(16))' >"$data/password")
    MOORAGE_ADMIN_USER=admin MOORAGE_ADMIN_PASSWORD_FILE=$data/password
    export MOORAGE_ADMIN_USER MOORAGE_ADMIN_PASSWORD_FILE
fi

MOORAGE_ALLOW_SPARSE=always "$python" -m moorage serve \
    --listen "$address" --data "$data/data" --workers 2 >"$kept/server.log" 2>&1 </dev/null &
server=$!

is_ready() {
    "$python" -c '
import sys, urllib.request
urllib.request.urlopen(sys.argv[1], timeout=5)' "http://$address/readyz" >/dev/null 2>&1
}
tries=0
until is_ready; do
    tries=$((tries + 1))
    if [ "$tries" -gt 60 ] || ! kill -0 "$server" 2>/dev/null; then
        echo "The server is not ready:" >&2
        tail -n 30 "$kept/server.log" >&2
        exit 1
    fi
    sleep 0.3
done

if [ "$mode" = bearer ]; then
    PYTHONPATH=$root/tests${PYTHONPATH:+:$PYTHONPATH} "$python" -m members "$data/data" \
        "$OCI_USERNAME" "$OCI_PASSWORD" suite
fi

# Its own exit code counts failures only; the report below counts everything.
OCI_REGISTRY=$address OCI_TLS=disabled OCI_VERSION=dev OCI_DATA_SPARSE=true \
    OCI_RESULTS_DIR=$kept/results "$kept/conformance" >"$kept/output.log" 2>&1 || true

if [ ! -s "$kept/results/junit.xml" ]; then
    echo "The conformance suite wrote no report:" >&2
    tail -n 30 "$kept/output.log" >&2
    exit 1
fi

# An attribute of the report's root that is absent means none.
count() {
    found=$(grep -o '<testsuites [^>]*>' "$kept/results/junit.xml" | grep -o " $1=\"[0-9]*\"" |
        tr -dc '0-9')
    echo "${found:-0}"
}
tests=$(count tests)
failed=$(($(count failures) + $(count errors)))
skipped=$(count skipped)
disabled=$(count disabled)

echo "OCI conformance ($mode): $tests tests, $failed failed, $skipped skipped, $disabled disabled"
if [ "$tests" -eq 0 ] || [ $((failed + skipped + disabled)) -ne 0 ]; then
    grep -E ': (FAIL|Skip|Disabled|Error)$' "$kept/output.log" >&2 || true
    echo "See $kept/results/report.html" >&2
    exit 1
fi
