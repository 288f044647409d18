"""`hosts.json`: the registries that this person has signed in to, with a token for each.

The file is for its owner only, and its directory too. Written whole and put in place at once, under
a lock: two sign-ins at the same time keep both. Paths are texts here: `pathlib` is a sixth of what
the credential helper takes to start.
"""

import fcntl
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from moorage.errors import Refused


class Host(NamedTuple):
    """A registry, and what to show it; `name` is how docker writes it: host or host:port."""

    name: str
    url: str
    user: str
    token: str
    token_id: str = ""
    expires_at: str = ""

    def __repr__(self) -> str:
        """Return it without the token."""
        return f"Host({self.name!r}, {self.url!r}, {self.user!r})"


class Hosts(NamedTuple):
    """All that is in the file; `default` is the one signed in to last."""

    default: str
    hosts: Mapping[str, Host]


def config_directory(environment: Mapping[str, str]) -> str:
    """Return where the person's own settings are."""
    base = environment.get("XDG_CONFIG_HOME", "")
    home = environment.get("HOME") or os.path.expanduser("~")
    return os.path.join(base if base.startswith("/") else os.path.join(home, ".config"), "moorage")


def read_hosts(directory: str) -> Hosts:
    """Return what is known; nothing if there is no file.

    Raises:
        Refused: the file is open to others, or damaged.
    """
    path = os.path.join(directory, "hosts.json")
    try:
        with open(path, "rb") as file:
            _require_own(path, os.fstat(file.fileno()))
            document = json.load(file)
        found = {name: _host(name, texts) for name, texts in document["hosts"].items()}
        return Hosts(str(document["default"]), found)
    except FileNotFoundError:
        return Hosts("", {})
    except (OSError, ValueError) as error:
        raise _unreadable(path, str(error)) from error
    except (KeyError, TypeError, AttributeError) as error:
        raise _unreadable(path, "It is JSON, but not what moorage login writes.") from error


def put_host(directory: str, host: Host) -> None:
    """Remember a registry, and make it the default.

    Raises:
        Refused: the file can't be read.
    """
    with _locked(directory):
        found = read_hosts(directory)
        _write(directory, Hosts(host.name, {**found.hosts, host.name: host}))


def remove_host(directory: str, name: str) -> None:
    """Forget a registry; whichever is left becomes the default.

    Raises:
        Refused: the file can't be read.
    """
    with _locked(directory):
        found = read_hosts(directory)
        left = {key: host for key, host in found.hosts.items() if key != name}
        default = found.default if found.default in left else next(iter(left), "")
        _write(directory, Hosts(default, left))


def replace_file(path: str, text: str, mode: int) -> None:
    """Put a file in place whole, never readable for more than the mode says; links are followed."""
    real = os.path.realpath(path)
    new = os.path.join(os.path.dirname(real), f".{os.path.basename(real)}.{os.getpid()}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, mode)
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    os.replace(new, real)


def _host(name: str, texts: Mapping[str, object]) -> Host:
    # Another version may have written more of them.
    known = (field for field in Host._fields[1:] if field in texts)
    return Host(name, **{field: str(texts[field]) for field in known})


def _unreadable(path: str, why: str) -> Refused:
    return Refused(f"{path} can't be read.", why=why, do=f"Remove it and sign in again: rm {path}.")


def _require_own(path: str, found: os.stat_result) -> None:
    if stat.S_IMODE(found.st_mode) & 0o077 or found.st_uid not in (0, os.geteuid()):
        raise Refused(
            f"{path} is not for you alone.",
            why=f"Its mode is {stat.S_IMODE(found.st_mode):04o}, its owner uid {found.st_uid}.",
            do=f"chmod 600 {path}, and sign in again if somebody else may have read it.",
        )


@contextmanager
def _locked(directory: str) -> Iterator[None]:
    os.makedirs(directory, mode=0o700, exist_ok=True)
    os.chmod(directory, 0o700)
    lock = os.path.join(directory, "lock")
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(directory: str, hosts: Hosts) -> None:
    document = {
        "default": hosts.default,
        "hosts": {name: _texts(host) for name, host in hosts.hosts.items()},
    }
    path = os.path.join(directory, "hosts.json")
    replace_file(path, json.dumps(document, indent=2) + "\n", 0o600)


def _texts(host: Host) -> Mapping[str, str]:
    return {field: text for field, text in host._asdict().items() if field != "name"}
