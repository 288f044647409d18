"""Who asks: the one place that looks at `Authorization`.

Who somebody is may be remembered for a minute; what it may is read with each request, and whether
its credential is still in force as well (`db/access.py`). What a connection sent last is known at
once when it sends the same again, as clients do, which saves most of what looking at it costs.
"""

import asyncio
import base64
import hashlib
import hmac
import math
import re
import secrets
import time
from typing import Protocol

import msgspec

from moorage.auth.attempts import Attempts
from moorage.auth.bearers import Bearers
from moorage.auth.local import LocalMode
from moorage.auth.passwords import Passwords
from moorage.auth.scopes import decode_scopes
from moorage.auth.secrets import PREFIX, hash_secret, is_secret
from moorage.auth.uses import TokenUses
from moorage.clock import MINUTE, SECOND, Clock
from moorage.db import principals
from moorage.db.access import CONFIRMED
from moorage.db.engine import Database
from moorage.errors import Unauthorized
from moorage.model.access import EARLY, Actor, Subject
from moorage.web.clients import Proxies
from moorage.web.request import Request

# What containers/image sends for nobody at all: an empty name and an empty password.
_NOBODY = "basic og=="
_REMEMBERED = MINUTE
# How long local mode is taken to hold still, for those whose own statement finds out.
_LOOKED_SECONDS = 1.0
_MAX_REMEMBERED = 10_000
# What a connection sent last, in `Request.kept`.
_LAST = "last credential"
_ANONYMOUS = Actor("anonymous", "anonymous", "none")
_LOCAL = Actor("local", "local", "loopback", subject=EARLY)
_LOOKS_SIGNED = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)


class Authenticator(Protocol):
    """Tells who a request is from."""

    async def authenticate(self, request: Request, *, grace: int = 0) -> Actor:
        """Return who asks; anonymous without credentials.

        A bearer token that ran out less than `grace` milliseconds ago is taken as well.

        Raises:
            Unauthorized: there are credentials, and they are wrong.
            TooManyRequests: too many wrong ones have come from there.
        """
        ...

    async def sign_in(self, user: str, password: str, request: Request) -> Actor:
        """Return who a user name and password, or a token in the password's place, stand for.

        Raises:
            Unauthorized: they are wrong; in one text whatever is wrong with them.
            TooManyRequests: too many wrong ones have come.
        """
        ...

    def forget(self, request: Request) -> bool:
        """Have who sent the request be looked up anew; tell whether it had been remembered."""
        ...


class SignedTokens(Protocol):
    """Knows who sent a signed token of an issuer that is trusted."""

    async def identify(self, text: str, *, grace: int, user: str = "") -> Actor:
        """Return who it speaks for; `user` is the name that came with it, if one did.

        Raises:
            Unauthorized: it is not good.
        """
        ...


class _Known(msgspec.Struct, frozen=True):
    actor: Actor
    until: int


class _Last(msgspec.Struct, frozen=True):
    """What a connection sent last, and proved; `host` is the name it asked the registry by.

    `mark` is the header's hash under this process's own key. `asking` is who it is as of
    `asked_at`, which is good for a second, up to `fresh_until`; after `until` it is looked up anew.
    """

    mark: int
    header: str
    host: str | None
    actor: Actor
    until: int
    asking: Actor
    asked_at: int
    fresh_until: int

    def __repr__(self) -> str:
        """Show nothing of it."""
        return "_Last()"


class Guard(msgspec.Struct, frozen=True):
    """What sign-ins share, by whichever door they come; `url` is the registry's, if it is known."""

    proxies: Proxies
    passwords: Passwords = msgspec.field(default_factory=Passwords)
    attempts: Attempts = msgspec.field(default_factory=Attempts)
    uses: TokenUses = msgspec.field(default_factory=TokenUses)
    url: str = ""

    async def address_of(self, request: Request) -> str:
        """Return where the request is from, for counting; empty if that can't be known."""
        return self.proxies.name_of(request)


class Credentials:
    """The `Authenticator` of a server: accounts and tokens; before there are any, local mode."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        local: LocalMode,
        guard: Guard,
        bearers: Bearers | None = None,
        assertions: SignedTokens | None = None,
    ) -> None:
        """Ask the database for accounts and tokens; with no account yet, let local mode decide."""
        self._db = db
        self._clock = clock
        self._local = local
        self._bearers = bearers
        self._assertions = assertions
        self._guard = guard
        self._key = secrets.token_bytes(32)
        self._known: dict[bytes, _Known] = {}
        # What is being found out at this moment; whoever sends the same waits for the one answer.
        self._asked: dict[bytes, asyncio.Task[_Known]] = {}
        self._has_accounts = False
        self._looked_at = -math.inf

    async def authenticate(self, request: Request, *, grace: int = 0) -> Actor:
        """Return who asks."""
        header = request.headers.get("Authorization")
        if not (self._has_accounts or await self._look_for_accounts(request)):
            actor = self._local_actor(request)
        elif header is None:
            actor = _ANONYMOUS
        else:
            actor = self._last_of(request, header) or await self._find_out(request, header, grace)
        request.actor, request.credential = actor.name, actor.credential
        if actor.subject.token_id:
            self._guard.uses.note(actor.subject.token_id, self._clock.now())
        return actor

    async def sign_in(self, user: str, password: str, request: Request) -> Actor:
        """Return who a user name and password, or a token in the password's place, stand for.

        Raises:
            Unauthorized: they are wrong; in one text whatever is wrong with them.
            TooManyRequests: too many wrong ones have come from where the request is from.
        """
        return self._asking((await self._sign_in(user, password, request)).actor)

    def forget(self, request: Request) -> bool:
        """Have who sent the request be looked up anew; tell whether it had been remembered."""
        scheme, _, rest = request.headers.get("Authorization", "").partition(" ")
        text = rest.strip()
        given = _basic(text) if scheme.lower() == "basic" else ("token", text)
        # Both: another connection may have had the one forgotten before.
        last = request.kept.pop(_LAST, None)
        return self._known.pop(self._mark(*given), None) is not None or last is not None

    def _last_of(self, request: Request, header: str) -> Actor | None:
        """Return who the connection's last request was from, if this one has sent the same.

        What is compared is only ever what this very connection has proved before. A proxy may send
        requests of several clients on it, so none may learn by the time that takes how much of its
        guess is right: texts are compared only if their hashes are the same, and nobody knows
        another text of the same hash without the key and the hash. Both take 0.3 µs for a bearer
        token, where a keyed BLAKE2 takes 1.4.
        """
        last: _Last | None = request.kept.get(_LAST)
        if (
            last is None
            or last.mark != hash(header)
            or last.header != header
            # A bearer is good at the host that it was got from.
            or last.host != request.headers.get("Host")
        ):
            return None
        now = self._clock.now()
        if last.asked_at <= now < last.fresh_until:
            return last.asking
        return self._keep(request, last, now).asking if now < last.until else None

    async def _find_out(self, request: Request, header: str, grace: int) -> Actor:
        host = request.headers.get("Host")
        known = await self._identify(header, request, grace)
        actor, now = known.actor, self._clock.now()
        last = _Last(hash(header), header, host, actor, known.until, actor, now, now)
        return self._keep(request, last, now).asking

    def _keep(self, request: Request, last: _Last, now: int) -> _Last:
        kept = request.kept[_LAST] = msgspec.structs.replace(
            last,
            asking=self._asking(last.actor),
            asked_at=now,
            fresh_until=min(now + SECOND, last.until),
        )
        return kept

    async def _sign_in(self, user: str, password: str, request: Request) -> _Known:
        now = self._clock.now()
        if not user or not password or "\0" in user or "\0" in password:
            raise Unauthorized("a user name and a password are needed")
        mark = self._mark(user, password)
        known = self._known.get(mark)
        if known is not None and known.until > now:
            return known
        address = await self._guard.address_of(request)
        key = mark + address.encode()
        task = self._asked.get(key)
        if task is None:
            finding = self._know(user, password, address)
            task = self._asked[key] = asyncio.create_task(finding)
            task.add_done_callback(lambda done: self._found(key, mark, done))
        # One that goes away must not take the answer from the others.
        return await asyncio.shield(task)

    def _mark(self, user: str, password: str) -> bytes:
        return hmac.digest(self._key, f"{user}\0{password}".encode(), hashlib.sha256)

    async def _find(self, user: str, password: str, address: str) -> Actor:
        attempts = self._guard.attempts
        assertions = self._assertions if _LOOKS_SIGNED.fullmatch(password) else None
        if assertions is None and not password.startswith(PREFIX):
            with attempts.attempt(address, user):
                return await self._account(user, password)
        with attempts.token(address):
            if assertions is not None:
                return await assertions.identify(password, grace=0, user=user)
            return await self._holder(password)

    async def _know(self, user: str, password: str, address: str) -> _Known:
        return self._now_known(await self._find(user, password, address))

    def _now_known(self, actor: Actor) -> _Known:
        until = self._clock.now() + _REMEMBERED
        return _Known(actor, min(until, actor.expires_at or until))

    def _found(self, key: bytes, mark: bytes, done: asyncio.Task[_Known]) -> None:
        del self._asked[key]
        if done.cancelled() or done.exception() is not None:
            return
        if len(self._known) >= _MAX_REMEMBERED:
            self._known.clear()
        self._known[mark] = done.result()

    async def _look_for_accounts(self, request: Request) -> bool:
        """Tell whether anybody has had an account; once somebody has, accounts always decide.

        For a request that proves nothing, what was so a second ago will do: whether local mode
        still holds is decided by what its own statement finds (`Facts.standing`).
        """
        proves = "Authorization" in request.headers or "Cookie" in request.headers
        if proves or self._looked_at + _LOOKED_SECONDS <= time.monotonic():
            self._has_accounts = await self._db.read(principals.has_accounts)
            self._looked_at = time.monotonic()
        return self._has_accounts

    def _local_actor(self, request: Request) -> Actor:
        refusal = self._local.refusal(request)
        if refusal:
            return Actor("anonymous", "anonymous", "none", refusal, EARLY)
        return _LOCAL

    async def _identify(self, header: str, request: Request, grace: int) -> _Known:
        if header.lower() == _NOBODY:
            return self._now_known(_ANONYMOUS)
        scheme, _, rest = header.partition(" ")
        text = rest.strip()
        if scheme.lower() == "basic":
            return await self._sign_in(*_basic(text), request)
        if scheme.lower() != "bearer":
            raise Unauthorized("only Basic and Bearer credentials are accepted")
        if text.startswith(PREFIX):
            return await self._sign_in("token", text, request)
        if self._bearers is None:
            raise Unauthorized("the token is not good", error="invalid_token")
        return self._now_known(await self._bearers.identify(text, request, grace=grace))

    def _asking(self, actor: Actor) -> Actor:
        """Return who was found, maybe some time ago, as it asks now."""
        if actor.kind != "account":
            return actor
        subject = msgspec.structs.replace(actor.subject, asked_at=self._clock.now())
        return msgspec.structs.replace(actor, subject=subject)

    async def _account(self, user: str, password: str) -> Actor:
        account = await self._db.read(lambda tx: principals.find_account(tx, user))
        stored = account.password if account is not None else ""
        right = await self._guard.passwords.verify(user, password, stored)
        # With a second factor, a password alone is good for the sign-in page only.
        if account is None or not right or not account.enabled or account.totp:
            raise _wrong()
        subject = Subject(account.id, 0, account.generation)
        return Actor("account", account.name, "password", subject=subject)

    async def _holder(self, secret: str) -> Actor:
        if not is_secret(secret):
            raise _wrong()
        holder = await self._db.read(lambda tx: principals.find_holder(tx, hash_secret(secret)))
        now = self._clock.now()
        if holder is None or holder.revoked_at or not holder.enabled:
            raise _wrong()
        if holder.expires_at and holder.expires_at <= now:
            raise Unauthorized("the token has expired", hint="Make a new one")
        if holder.provider and holder.confirmed_at + CONFIRMED <= now:
            raise Unauthorized(
                f"{holder.provider} has not confirmed the account for a day",
                hint=f"Sign in again at {self._guard.url}/sign-in/{holder.provider}",
            )
        return Actor(
            "robot" if holder.kind == "robot" else "account",
            holder.name,
            f"token:{holder.token_id}",
            subject=Subject(holder.principal_id, holder.token_id, 0),
            scopes=decode_scopes(holder.scopes),
            expires_at=holder.expires_at,
        )


def _wrong() -> Unauthorized:
    return Unauthorized("the user name or password is wrong")


def _basic(encoded: str) -> tuple[str, str]:
    try:
        text = base64.b64decode(encoded, validate=True).decode("utf-8")
    except ValueError:  # not base64, not ASCII, not UTF-8
        raise Unauthorized("the credentials are malformed") from None
    user, colon, password = text.partition(":")
    if not colon:
        raise Unauthorized("a user name and a password are needed")
    return user, password
