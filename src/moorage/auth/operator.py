"""Who asks over the admin socket: root of this machine, or the server's own user.

Both can read the registry's database and signing keys anyway, so the socket gives them nothing that
they have not got; it only spares the first password.
"""

import os
import pwd
import socket
from typing import cast

from moorage.errors import Denied
from moorage.model.access import Actor
from moorage.web.private import uid_of
from moorage.web.request import Request

_BROWSERS = ("Origin", "Referer", "Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest")


class Operators:
    """The `Authenticator` of the admin socket: by the kernel's word alone, no credential counts."""

    def __init__(self) -> None:
        """Let in root and this process's user."""
        self._uids = frozenset({0, os.geteuid()})

    async def authenticate(self, request: Request, *, grace: int = 0) -> Actor:  # noqa: ARG002
        """Return the operator.

        Raises:
            Denied: another user's process is at the other end, or a browser's request.
        """
        if any(name in request.headers for name in _BROWSERS):
            raise Denied("the admin socket takes no requests of web pages")
        uid = _peer_uid(request)
        if uid is None or uid not in self._uids:
            raise Denied("the admin socket is for root and the server's own user")
        # No account can have a colon in its name: the trail never takes one for the other.
        request.actor = f"unix:{_user_name(uid)}"
        return Actor("operator", request.actor, "socket")


def _peer_uid(request: Request) -> int | None:
    found = cast("socket.socket | None", request.connection("socket"))
    if found is None or found.family != socket.AF_UNIX:
        return None
    return uid_of(found)


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # a user that the machine has no name for
        return f"uid {uid}"
