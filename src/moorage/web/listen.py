"""Addresses to listen on, their sockets, and TLS from files that may change."""

import ipaddress
import os
import socket
import ssl
import stat
from pathlib import Path

import msgspec

from moorage.errors import Refused

_BACKLOG = 1_024


class Address(msgspec.Struct, frozen=True):
    """A TCP host and port, or the path of a Unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it, over TCP."""
        if self.path or not self.host:
            return False
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def is_private(self) -> bool:
        """Whether no other machine can reach it: the loopback address or a Unix socket."""
        return bool(self.path) or self.is_loopback

    def __str__(self) -> str:
        """Return it as it is written in the settings."""
        if self.path:
            return f"unix:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_address(text: str) -> Address:
    """Return the address that `host:port`, `[v6]:port`, `:port` or `unix:path` is.

    Raises:
        Refused: it is none of these.
    """
    if text.startswith("unix:") and len(text) > len("unix:"):
        return Address(path=text.removeprefix("unix:"))
    host, colon, port = text.rpartition(":")
    if colon and port.isascii() and port.isdigit() and int(port) < 65_536:
        return Address(host=host.removeprefix("[").removesuffix("]"), port=int(port))
    raise Refused(
        f"{text!r} is not an address to listen on.",
        why="It is neither host:port nor unix:path.",
        do="Write it as 127.0.0.1:5000, [::1]:5000, :5000 or unix:/run/moorage.sock.",
        exit_code=2,
    )


def bind(address: Address) -> socket.socket:
    """Return a listening socket for the address; it is inherited by every worker.

    Raises:
        Refused: the address is taken, or not this machine's.
    """
    try:
        return _bind_unix(Path(address.path)) if address.path else _bind_tcp(address)
    except OSError as error:
        raise Refused(
            f"Can't listen on {address}.",
            why=error.strerror or str(error),
            do=f"Stop what uses it, or choose another: moorage serve --listen {_another(address)}.",
        ) from error


def _another(address: Address) -> str:
    return f"{address}2" if address.path else f"127.0.0.1:{address.port + 50}"


def _bind_tcp(address: Address) -> socket.socket:
    found = socket.getaddrinfo(
        address.host or None,
        address.port,
        type=socket.SOCK_STREAM,
        flags=socket.AI_PASSIVE,
    )
    # An empty host means every interface: the IPv6 wildcard takes IPv4 too.
    family, _, _, _, place = sorted(found, key=lambda entry: entry[0] != socket.AF_INET6)[
        0 if not address.host else -1
    ]
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(bool(address.host)))
        listener.bind(place)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def _bind_unix(path: Path) -> socket.socket:
    if path.exists() and stat.S_ISSOCK(path.stat().st_mode) and not _answers(path):
        path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        old = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(old)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def _answers(path: Path) -> bool:
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        probe.connect(str(path))
    except OSError:
        return False
    else:
        return True
    finally:
        probe.close()


class ReloadingTls:
    """A TLS context whose certificate follows its files.

    Every handshake compares the files' times, so a renewed certificate is served at once, and a
    half-written pair leaves the old one in use.
    """

    def __init__(self, cert: str, key: str) -> None:
        """Load the pair.

        Raises:
            Refused: it can't be read or does not fit together.
        """
        self._cert, self._key = cert, key
        try:
            self._seen = self._times()
            self._current = self._load()
        except (OSError, ssl.SSLError) as error:
            raise Refused(
                f"The certificate {cert} with the key {key} can't be used.",
                why=str(error),
                do="Give --tls-cert and --tls-key PEM files that belong together.",
            ) from error
        self.context = self._load()
        self.context.sni_callback = self._choose

    def _choose(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        """Serve the newest pair to this handshake; called whether or not a name was sent."""
        del name, context
        try:
            times = self._times()
            if times != self._seen:
                self._current = self._load()
                self._seen = times
        except (OSError, ssl.SSLError):
            pass  # being replaced just now: the next handshake looks again
        connection.context = self._current

    def _times(self) -> tuple[int, int]:
        return (Path(self._cert).stat().st_mtime_ns, Path(self._key).stat().st_mtime_ns)

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self._cert, self._key)
        return context
