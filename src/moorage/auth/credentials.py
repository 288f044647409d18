"""Who asks: the one place that looks at `Authorization`."""

import base64
import hmac
from typing import Protocol

import msgspec

from moorage.auth.local import LocalMode
from moorage.auth.passwords import Passwords
from moorage.errors import Unauthorized
from moorage.model.access import Actor
from moorage.web.request import Request

CHALLENGE = 'Basic realm="Moorage", charset="UTF-8"'


# What containers/image sends for nobody at all: an empty name and an empty password.
_NOBODY = "basic og=="


class Authenticator(Protocol):
    """Tells who a request is from."""

    async def authenticate(self, request: Request) -> Actor:
        """Return who asks; anonymous without credentials.

        Raises:
            Unauthorized: there are credentials, and they are wrong.
        """
        ...


class Administrator(msgspec.Struct, frozen=True):
    """The one account that comes from the environment."""

    name: str
    password_hash: str


class Credentials:
    """The `Authenticator` of a server: its administrator if it has one, else local mode."""

    def __init__(self, administrator: Administrator | None, local: LocalMode) -> None:
        """Use the administrator; with none, whoever local mode lets in."""
        self._administrator = administrator
        self._local = local
        self._passwords = Passwords()

    async def authenticate(self, request: Request) -> Actor:
        """Return who asks."""
        if self._administrator is None:
            actor = self._local_actor(request)
        else:
            actor = await self._account(request, self._administrator)
        request.actor = actor.name
        return actor

    def _local_actor(self, request: Request) -> Actor:
        refusal = self._local.refusal(request)
        if refusal:
            return Actor("anonymous", "anonymous", "none", refusal)
        return Actor("local", "local", "loopback")

    async def _account(self, request: Request, administrator: Administrator) -> Actor:
        header = request.headers.get("Authorization")
        if header is None or header.lower() == _NOBODY:
            return Actor("anonymous", "anonymous", "none")
        user, password = _basic(header)
        right = await self._passwords.verify(user, password, administrator.password_hash)
        known = hmac.compare_digest(user.encode(), administrator.name.encode())
        if not (right and known):
            raise unauthorized("the user name or password is wrong")
        return Actor("administrator", administrator.name, "password")


def unauthorized(message: str) -> Unauthorized:
    """Return the refusal that asks a client for a user name and password."""
    return Unauthorized(
        message,
        hint="Sign in with docker login",
        headers={"WWW-Authenticate": CHALLENGE},
    )


def _basic(header: str) -> tuple[str, str]:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        raise unauthorized("only a user name and password are accepted")
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
    except ValueError:  # not base64, not ASCII, not UTF-8
        raise unauthorized("the credentials are malformed") from None
    user, colon, password = text.partition(":")
    if not colon or not user or not password or "\0" in text:
        raise unauthorized("a user name and a password are needed")
    return user, password
