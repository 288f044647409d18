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

# What browsers and proxies send, and our own command line never does.
_FOREIGN = frozenset({b"origin", b"referer", b"cookie", b"forwarded", b"via", b"x-real-ip"})
_FOREIGN_FAMILIES = (b"sec-", b"x-forwarded-")
# A proxy that was pointed at the socket sends another one, or none.
_HOST = "moorage"


class Operators:
    """The `Authenticator` of the admin socket: by the kernel's word alone, no credential counts."""

    def __init__(self) -> None:
        """Let in root and this process's user."""
        self._uids = frozenset({0, os.geteuid()})

    async def authenticate(self, request: Request, *, grace: int = 0) -> Actor:  # noqa: ARG002
        """Return the operator.

        Raises:
            Denied: another user's process is at the other end, or the request has come through
                something that lets others in: a browser or a proxy.
        """
        if _is_foreign(request):
            raise Denied(
                "the admin socket is for the command line, not for pages and proxies",
                hint="Ask it directly, with the header Host: moorage",
            )
        uid = _peer_uid(request)
        if uid is None or uid not in self._uids:
            raise Denied("the admin socket is for root and the server's own user")
        # No account can have a colon in its name: the trail never takes one for the other.
        request.actor = f"unix:{_user_name(uid)}"
        return Actor("operator", request.actor, "socket")


def _is_foreign(request: Request) -> bool:
    names = [name.lower() for name, _ in request.raw_headers]
    if any(name in _FOREIGN or name.startswith(_FOREIGN_FAMILIES) for name in names):
        return True
    return not request.is_http_1_1 or request.headers.get("Host") != _HOST


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
