"""What a server says when it starts: where it listens, who may use it, how to make it one's own."""

import os
import socket
import sys
from contextlib import suppress
from pathlib import Path

from moorage import __version__
from moorage.app import require_postgres
from moorage.config import Config
from moorage.registry.links import SETUP_LIFE, NewLink
from moorage.web.listen import Address


def tell(text: str) -> None:
    """Write a line to standard error; where that fails, a full disk, it is lost and no more.

    Nothing is kept for later, as the interpreter's own stream would and then fail again.
    """
    with suppress(OSError):
        os.write(2, f"{text}\n".encode(errors="backslashreplace"))


def introduce(config: Config, file: Path | None) -> None:
    """Tell where everything is, and the file that says so: another one than meant is seen here.

    Raises:
        Refused: the database is PostgreSQL, and its driver is not installed or can't read its URL.
    """
    place = f", data in {config.directory}" if config.uses_directory else ""
    tell(f"Moorage {__version__}{place}")
    if file is not None:
        tell(f"  settings of {file}")
    if config.database:
        require_postgres()
        from moorage.db.address import Address as Place  # noqa: PLC0415 - its driver is an extra

        tell(f"  database {Place(config.database)}")
    if config.storage:
        tell(f"  blobs in {config.storage}")


def announce(
    config: Config,
    addresses: list[Address],
    listeners: list[socket.socket],
    link: NewLink | None,
    directory: Path,
) -> None:
    """Tell the terminal; `link` is there as long as nobody has an account.

    Where no terminal reads along, the link goes into a file of the directory that only the
    server's own user can read: a log is no place for it.
    """
    bases = _list_addresses(config, addresses, listeners)
    is_loopback = all(address.is_loopback for address in addresses)
    if link is None:
        if not config.tls.cert and not all(address.is_private for address in addresses):
            tell(
                "  WARNING: passwords cross the network unencrypted. Give --tls-cert and --tls-key,"
                "\n  or listen on 127.0.0.1 behind a proxy that has a certificate."
            )
        return
    if is_loopback and not config.url:
        tell("  Local mode: only you, on this machine, may push, pull and delete.")
    else:
        tell("  Every request is refused until there is an account.")
    base = config.url.rstrip("/") or next(iter(bases), "http://localhost")
    place = _tell_or_write(base + link.path(), directory)
    minutes = SETUP_LIFE // 60_000
    tell(f"  The first account is made here, within {minutes} minutes:\n  {place}")


def _list_addresses(
    config: Config, addresses: list[Address], listeners: list[socket.socket]
) -> list[str]:
    """Tell how clients reach the server, and return its own addresses."""
    scheme = "https" if config.tls.cert else "http"
    bases = []
    for address, listener in zip(addresses, listeners, strict=True):
        if address.path:
            tell(f"  listening on {address}")
            continue
        port = listener.getsockname()[1]
        shown = "localhost" if address.is_loopback else address.host or "this-host"
        bases.append(f"{scheme}://{shown}:{port}")
        if config.url:  # what clients are told then, whatever stands in between
            tell(f"  listening on {shown}:{port}")
    for base in [config.url.rstrip("/")] if config.url else bases:
        tell(f"  {base}/")
        tell(f"  docker push {base.partition('://')[2]}/NAME:TAG")
    return bases


def _tell_or_write(text: str, directory: Path) -> str:
    if sys.stderr.isatty():
        return text
    path = directory / "setup-link"
    made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(made, "w") as file:
        file.write(text + "\n")
    return f"the address is in {path}"
