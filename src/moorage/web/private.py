"""The private directory of one server on one host, where its admin socket is.

Never under the data directory: that is copied, shared and mounted into containers, and whoever
reaches a socket in it would be the registry's administrator. The server makes the directory, the
command line looks for it; both believe only what nobody else could have put there.
"""

import hashlib
import os
import re
import socket
import stat
import struct
from collections.abc import Collection, Iterator
from pathlib import Path

import msgspec

from moorage.config import Config
from moorage.errors import Refused

SOCKET = "admin.sock"
LOCK = "lock"
_ADDRESS = "address"
_SYSTEM = Path("/run/moorage")
_USERS = Path("/run/user")
_SHARED = Path("/tmp")  # noqa: S108 - what is in it is checked for owner and mode
_PASSWORD = re.compile(r"(://[^:/@]*):[^/]*@")
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid
_MARKS = (Path("/.dockerenv"), Path("/run/.containerenv"))
_CONTAINER = re.compile(r"docker|kubepods|containerd|libpod|lxc|garden|buildkit")


class Base(msgspec.Struct, frozen=True):
    """A place for servers' directories: where it is, and the mode that it is made with."""

    path: Path
    mode: int


def identity(config: Config) -> str:
    """Return what tells this registry from others on the host, of letters and digits only."""
    named = _PASSWORD.sub(r"\1@", config.database.partition("?")[0])
    text = named or str(config.directory.resolve())
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def prepare(config: Config) -> Path:
    """Return this server's directory, made if it was not there.

    Raises:
        Refused: there is something in its place that somebody else may have put there, or none
            of the places can be written.
    """
    uid = os.geteuid()
    for base in _bases(uid):
        place = base.path / identity(config)
        try:
            base.path.mkdir(base.mode, exist_ok=True)
            _require_guarded(base.path, uid)
            place.mkdir(0o700, exist_ok=True)
        except OSError:  # not for this user to write to: the next one
            continue
        if place.lstat().st_uid == uid:
            require_private(place, uid)
            return place
    raise Refused(
        "There is no private directory for the admin socket.",
        why=f"Neither {_SYSTEM} nor $XDG_RUNTIME_DIR nor {_SHARED} can be used by this user.",
        do=f'Let the service manager make {_SYSTEM}, or set admin_socket = "off".',
    )


def find(config: Config) -> Path | None:
    """Return the admin socket of the registry with these settings, None if it has none for us.

    It is looked for where this user's server would have it, then root's, then, for root, that of
    the data directory's owner.
    """
    uids = [os.geteuid(), 0]
    if os.geteuid() == 0 and config.uses_directory and config.directory.exists():
        uids.append(config.directory.stat().st_uid)
    for uid in dict.fromkeys(uids):
        for base in _bases(uid):
            place = base.path / identity(config)
            if _is_usable(place, uids):
                return place / SOCKET
    return None


def find_only() -> Path | None:
    """Return the admin socket of the only server that the system runs here, None if not only one.

    For root, who has not said which: whom the place for servers belongs to was root's choice.
    """
    try:
        _require_guarded(_SYSTEM, _SYSTEM.lstat().st_uid)
        trusted = (0, os.geteuid(), _SYSTEM.lstat().st_uid)
        found = [place for place in _SYSTEM.iterdir() if _is_usable(place, trusted)]
    except (OSError, Refused):
        return None
    return found[0] / SOCKET if len(found) == 1 else None


def write_address(directory: Path, config: Config) -> None:
    """Leave beside the socket how clients call the server, for what is printed for them."""
    (directory / _ADDRESS).write_text(_address_of(config), encoding="utf-8")


def read_address(directory: Path) -> str:
    """Return how clients call the server of an admin socket, empty if that is not known."""
    try:
        return (directory / _ADDRESS).read_text(encoding="utf-8")
    except OSError:
        return ""


def clear(directory: Path) -> None:
    """Remove the directory with all that a server leaves there."""
    for name in (SOCKET, _ADDRESS, LOCK):
        (directory / name).unlink(missing_ok=True)
    directory.rmdir()


def require_private(place: Path, uid: int) -> None:
    """Do nothing for a directory that is this user's, and that nobody else may even enter.

    Raises:
        Refused: it is a link, another user's, or open to others.
    """
    found = place.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise _unsafe(place, "it is not a directory")
    if found.st_uid != uid:
        raise _unsafe(place, f"it is owned by uid {found.st_uid}, not {uid}")
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise _unsafe(place, f"its mode {stat.S_IMODE(found.st_mode):04o} lets others in")


def uid_of(connection: socket.socket) -> int:
    """Return the uid of the process at the other end of a Unix socket, by the kernel's word."""
    packed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(packed)[1])


def is_container() -> bool:
    """Tell whether this is a container, where root and uids are not those of the host."""
    if any(mark.exists() for mark in _MARKS):
        return True
    if os.environ.get("container") or "KUBERNETES_SERVICE_HOST" in os.environ:  # noqa: SIM112
        return True
    try:
        return _CONTAINER.search(Path("/proc/1/cgroup").read_text()) is not None
    except OSError:
        return False


def _address_of(config: Config) -> str:
    """Return the setting `url`, else the first listener by a name that this host can use."""
    scheme = "https" if config.tls.cert else "http"
    for text in config.listen:
        host, _, port = text.rpartition(":")
        if not text.startswith("unix:") and not config.url:
            is_any = host in ("", "0.0.0.0", "[::]", "127.0.0.1", "[::1]")  # noqa: S104 - compared
            return f"{scheme}://{'localhost' if is_any else host}:{port}"
    return config.url


def _bases(uid: int) -> Iterator[Base]:
    yield Base(_SYSTEM, 0o755)
    named = os.environ.get("XDG_RUNTIME_DIR", "") if uid == os.geteuid() else str(_USERS / str(uid))
    if named.startswith("/"):
        yield Base(Path(named) / "moorage", 0o700)
    yield Base(_SHARED / f"moorage-{uid}", 0o700)


def _require_guarded(base: Path, uid: int) -> None:
    """Refuse a place in which others could exchange what we make."""
    found = base.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise _unsafe(base, "it is not a directory")
    if found.st_uid not in (0, uid):
        raise _unsafe(base, f"it is owned by uid {found.st_uid}")
    if found.st_mode & 0o022:
        raise _unsafe(base, f"its mode {stat.S_IMODE(found.st_mode):04o} lets others write")
    above = base.parent.stat()
    if above.st_uid not in (0, uid) or (above.st_mode & 0o022 and not above.st_mode & stat.S_ISVTX):
        raise _unsafe(base, f"others may write to {base.parent}")


def _is_usable(place: Path, uids: Collection[int]) -> bool:
    try:
        owner = place.lstat().st_uid
        require_private(place, owner)
        # Else somebody could put another one in its place between this look and the connection.
        _require_guarded(place.parent, owner)
        return owner in uids and stat.S_ISSOCK((place / SOCKET).lstat().st_mode)
    except (OSError, Refused):  # not there, not for us, or not to be believed
        return False


def _unsafe(place: Path, why: str) -> Refused:
    return Refused(
        f"{place} can't hold the admin socket.",
        why=why[0].upper() + why[1:] + ".",
        do=f'Look who made it, and remove it: rm -r {place}; or set admin_socket = "off".',
    )
