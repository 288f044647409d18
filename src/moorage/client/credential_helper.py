"""`docker-credential-moorage`: hands docker, podman and the rest the token of `moorage login`.

The protocol is docker's: one word as argument, JSON or a host on standard input. It is started for
every pull, so it imports next to nothing.
"""

import json
import os
import sys
from collections.abc import Mapping

from moorage.client.hosts import Host, Hosts, config_directory, put_host, read_hosts, remove_host
from moorage.errors import Refused

# docker looks for these very words.
_NOT_FOUND = "credentials not found in native keychain"
_MAX_INPUT = 65_536


def main() -> None:
    """Answer one request."""
    word = sys.argv[1] if len(sys.argv) == 2 else ""
    text = "" if word in ("list", "version", "") else sys.stdin.read(_MAX_INPUT).strip()
    try:
        told = answer(word, text, os.environ)
    except Refused as refused:
        # docker shows what is on standard output.
        sys.stdout.write(" ".join(filter(None, (refused.what, refused.why, refused.do))) + "\n")
        sys.exit(refused.exit_code)
    sys.stdout.write(told)


def answer(word: str, text: str, environment: Mapping[str, str]) -> str:
    """Return what is to be printed for one of docker's words.

    Raises:
        Refused: there is no such word, or nothing is known of the host.
    """
    directory = config_directory(environment)
    if word == "get":
        host = _find(read_hosts(directory), text)
        return json.dumps({"ServerURL": text, "Username": host.user, "Secret": host.token}) + "\n"
    if word == "list":
        return json.dumps({name: host.user for name, host in read_hosts(directory).hosts.items()})
    if word == "store":
        put_host(directory, _stored(text, read_hosts(directory)))
        return ""
    if word == "erase":
        remove_host(directory, _name(text))
        return ""
    raise Refused(
        "docker-credential-moorage is started by docker.",
        do="Its words are get, store, erase and list; moorage login sets it up.",
        exit_code=2,
    )


def _find(hosts: Hosts, text: str) -> Host:
    host = hosts.hosts.get(_name(text))
    if host is None or not host.token:
        raise Refused(_NOT_FOUND)
    return host


def _stored(text: str, known: Hosts) -> Host:
    """Return the host of `docker login`; what is known of its address is kept."""
    try:
        given = json.loads(text)
        server, user, secret = (str(given[key]) for key in ("ServerURL", "Username", "Secret"))
    except (ValueError, KeyError, TypeError) as error:
        raise Refused("What is to be stored is malformed.", exit_code=2) from error
    name = _name(server)
    before = known.hosts.get(name)
    url = before.url if before is not None else f"https://{name}"
    return Host(name, url, user, secret)


def _name(server: str) -> str:
    """Return the host with its port, of whatever docker knows the registry by."""
    return server.strip().partition("://")[2].partition("/")[0] or server.strip().partition("/")[0]


if __name__ == "__main__":
    main()
