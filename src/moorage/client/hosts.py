"""`hosts.toml`: the registries that this person has signed in to, with a token for each.

The file is for its owner only, and its directory too. Written whole and put in place at once, under
a lock: two sign-ins at the same time keep both.
"""

import fcntl
import json
import os
import stat
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

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


def config_directory(environment: Mapping[str, str]) -> Path:
    """Return where the person's own settings are."""
    base = environment.get("XDG_CONFIG_HOME", "")
    home = Path(environment.get("HOME") or Path.home())
    return (Path(base) if base.startswith("/") else home / ".config") / "moorage"


def read_hosts(directory: Path) -> Hosts:
    """Return what is known; nothing if there is no file.

    Raises:
        Refused: the file is open to others, or damaged.
    """
    path = directory / "hosts.toml"
    try:
        with path.open("rb") as file:
            _require_own(path, os.fstat(file.fileno()))
            document = tomllib.load(file)
    except FileNotFoundError:
        return Hosts("", {})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Refused(
            f"{path} can't be read.", why=str(error), do=f"Remove it and sign in again: rm {path}."
        ) from error
    found = {name: _host(name, values) for name, values in document.get("hosts", {}).items()}
    return Hosts(str(document.get("default", "")), found)


def put_host(directory: Path, host: Host) -> None:
    """Remember a registry, and make it the default.

    Raises:
        Refused: the file can't be read.
    """
    with _locked(directory):
        found = read_hosts(directory)
        _write(directory, Hosts(host.name, {**found.hosts, host.name: host}))


def remove_host(directory: Path, name: str) -> None:
    """Forget a registry; whichever is left becomes the default.

    Raises:
        Refused: the file can't be read.
    """
    with _locked(directory):
        found = read_hosts(directory)
        left = {key: host for key, host in found.hosts.items() if key != name}
        default = found.default if found.default in left else next(iter(left), "")
        _write(directory, Hosts(default, left))


def replace_file(path: Path, text: str, mode: int) -> None:
    """Put a file in place whole, never readable for more than the mode says; links are followed."""
    real = path.resolve()
    new = real.with_name(f".{real.name}.{os.getpid()}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, mode)
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    new.replace(real)


def _host(name: str, values: Any) -> Host:
    texts = values if isinstance(values, dict) else {}
    fields = ("url", "user", "token", "token_id", "expires_at")
    return Host(name, *(str(texts.get(field, "")) for field in fields))


def _require_own(path: Path, found: os.stat_result) -> None:
    if stat.S_IMODE(found.st_mode) & 0o077 or found.st_uid not in (0, os.geteuid()):
        raise Refused(
            f"{path} is not for you alone.",
            why=f"Its mode is {stat.S_IMODE(found.st_mode):04o}, its owner uid {found.st_uid}.",
            do=f"chmod 600 {path}, and sign in again if somebody else may have read it.",
        )


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    directory.parent.mkdir(parents=True, exist_ok=True)
    directory.mkdir(mode=0o700, exist_ok=True)
    directory.chmod(0o700)
    descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(directory: Path, hosts: Hosts) -> None:
    # JSON's texts are TOML's, but for the one character that JSON leaves as it is.
    def text(value: str) -> str:
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")

    lines = [f"default = {text(hosts.default)}"]
    for host in hosts.hosts.values():
        lines += ["", f"[hosts.{text(host.name)}]"]
        lines += [
            f"{key} = {text(value)}" for key, value in host._asdict().items() if key != "name"
        ]
    replace_file(directory / "hosts.toml", "\n".join(lines) + "\n", 0o600)
