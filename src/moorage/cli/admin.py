"""The admin socket as the supervisor holds it: bound once, answered by a process of its own."""

import contextlib
import fcntl
import os
import socket
import sys
from pathlib import Path

from moorage.cli.announce import tell
from moorage.config import Config
from moorage.errors import Refused
from moorage.web.listen import Address, bind
from moorage.web.private import LOCK, SOCKET, clear, is_container, prepare, write_address


class AdminSocket:
    """A listening socket in a directory that only this user may enter, and the lock on that."""

    def __init__(self, directory: Path, descriptor: int, listener: socket.socket) -> None:
        """Hold what `open` has made."""
        self.descriptor = descriptor
        self.listener = listener
        self._directory = directory

    @classmethod
    def open(cls, config: Config) -> "AdminSocket | None":
        """Return the socket, None if there is to be none, or another server here has it already.

        Raises:
            Refused: the settings insist on it, and it can't be had.
        """
        if config.admin_socket == "off":
            return None
        if config.admin_socket == "auto" and (sys.platform != "linux" or is_container()):
            return None
        try:
            return cls._open(config)
        except Refused as refused:
            if config.admin_socket == "on":
                raise
            tell(f"  No admin socket: {refused.what} {refused.why}")
            return None

    @classmethod
    def _open(cls, config: Config) -> "AdminSocket | None":
        directory = prepare(config)
        descriptor = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # another server of this database on this host
            os.close(descriptor)
            return None
        try:
            # Whose socket is there has not got the lock, and so is dead.
            (directory / SOCKET).unlink(missing_ok=True)
            write_address(directory, config)
            listener = bind(Address(path=str(directory / SOCKET)))
        except BaseException:
            os.close(descriptor)
            raise
        return cls(directory, descriptor, listener)

    def close(self) -> None:
        """Remove the socket and its directory."""
        self.listener.close()
        with contextlib.suppress(OSError):
            clear(self._directory)
        os.close(self.descriptor)
