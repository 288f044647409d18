"""Who a token of another issuer stands for: CI's own identity in the place of a stored secret.

A token is looked at in this order: its form, whether its issuer is registered, its signature, its
times, and then which trust's rules hold. What is not proved never makes the server do more than
look into its own tables, and only what is proved is ever written down.
"""

import asyncio
import contextlib
import hashlib
import math
from collections import OrderedDict, deque
from collections.abc import Mapping
from typing import Any

import msgspec

from moorage.auth.issuers import IssuerKeys, KeysUnavailable
from moorage.auth.jws import Malformed, Parts, take_apart
from moorage.clock import DAY, MINUTE, SECOND, Clock
from moorage.db import issuers, trusts
from moorage.db.engine import Database, Tx
from moorage.errors import Unauthorized, Unavailable
from moorage.model.access import Actor, Subject
from moorage.model.people import ROBOT_MARK
from moorage.model.trusts import Issuer, Trust, Use, pins_of, shown_claims

SKEW = MINUTE
LONGEST = DAY
_LONGEST_TEXT = 1_024
_MOST_REMEMBERED = 10_000
_MOST_NOTED = 1_000
_MOST_NAMED = 5
_MOST_OF_ONE = 500
_FLUSH_SECONDS = 1.0


class Proven(msgspec.Struct, frozen=True):
    """A token that its issuer has signed and that is good at this time; not yet let in."""

    issuer: Issuer
    claims: Mapping[str, Any]
    expires_at: int
    mark: str

    @property
    def pins(self) -> tuple[str, ...]:
        """What says which workload it is of, where the issuer has strangers' as well."""
        return pins_of(self.issuer.kind, shared=self.issuer.shared)


class Uses:
    """The last uses of trusts: gathered here, and written down together every second.

    No more than a trust keeps is gathered for it, so whoever sends many tokens writes no more.
    """

    def __init__(self, db: Database) -> None:
        """Begin with none."""
        self._db = db
        self._noted: dict[int, deque[Use]] = {}
        self._flushing: asyncio.Task[None] | None = None

    def note(self, trust_id: int, use: Use) -> None:
        """Take note of a use, to be written down soon."""
        if trust_id not in self._noted and len(self._noted) >= _MOST_NOTED:
            return
        self._noted.setdefault(trust_id, deque(maxlen=trusts.KEPT_USES)).append(use)
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush_soon())

    async def flush(self) -> None:
        """Write down what was gathered; what can't be written is lost, being only for people."""
        noted, self._noted = self._noted, {}

        async def write(tx: Tx) -> None:
            await trusts.add_uses(tx, noted)

        if noted:
            with contextlib.suppress(Unavailable):
                await self._db.write(write)

    async def _flush_soon(self) -> None:
        while self._noted:
            await asyncio.sleep(_FLUSH_SECONDS)
            await self.flush()


class Assertions:
    """The `SignedTokens` of other issuers."""

    def __init__(
        self, db: Database, clock: Clock, keys: IssuerKeys, uses: Uses | None = None
    ) -> None:
        """Look for issuers and trusts in the database."""
        self._db = db
        self._clock = clock
        self.keys = keys
        self.uses = uses or Uses(db)
        self._known: OrderedDict[bytes, Actor] = OrderedDict()

    async def identify(
        self,
        text: str,
        *,
        grace: int,  # noqa: ARG002 - they get none
        user: str = "",
    ) -> Actor:
        """Return the robot that the token stands for, until the token runs out.

        The name of a robot as the user's asks for that robot, any other name for the only one.
        Whether the robot and the trust are still in force is read with every request.
        """
        robot = user if ROBOT_MARK in user else ""
        mark = hashlib.sha256(f"{robot}\0{text}".encode()).digest()
        known = self._known.get(mark)
        if known is not None and known.expires_at > self._clock.now():
            return known
        actor = self.actor_of(await self.admit(await self.prove(text), robot))
        while len(self._known) >= _MOST_REMEMBERED:
            self._known.popitem(last=False)
        self._known[mark] = actor
        return actor

    async def prove(self, text: str) -> Proven:
        """Return the token with its issuer, once its signature and its times are right.

        Raises:
            Unauthorized: they are not, or nobody has registered the issuer.
            Unavailable: the issuer's keys can't be had.
        """
        try:
            token = take_apart(text)
        except Malformed as problem:
            raise _refused(str(problem)) from None
        issuer = await self._issuer(token.claims.get("iss"))
        try:
            key = await self.keys.find(issuer, token)
        except KeysUnavailable as problem:
            raise Unavailable(
                f"the token can't be checked: {problem}", headers={"Retry-After": "60"}
            ) from None
        if key is None or not key.verifies(token):
            raise _refused("no key of its issuer has signed it")
        expires_at = self._check_times(token.claims)
        return Proven(issuer, token.claims, expires_at, _mark(token))

    async def admit(self, proven: Proven, robot: str = "") -> tuple[Trust, Proven]:
        """Return the first trust whose rules hold for the token, and take note of it.

        Anybody who owns a namespace may trust any workload, so where several robots are meant, the
        token's bearer has to say which: no owner takes a workload away from another one.

        Raises:
            Unauthorized: there is none; says what the nearest one asks for, if the token is of the
                workload that it is about. Or there are several robots, and none was named.
        """
        now = self._clock.now()
        found = [trust for trust in await self._trusts(proven.issuer, robot) if trust.enabled]
        holding = [trust for trust in found if not trust.refusal(proven.claims)]
        robots = dict.fromkeys(trust.robot for trust in holding)
        if len(robots) > 1:
            raise _refused(
                f"it stands for several robots: sign in under the name of one, "
                f"{' or '.join(list(robots)[:_MOST_NAMED])}"
            )
        if holding:
            self.note(holding[0], proven, now, "")
            return holding[0], proven
        near = [trust for trust in found if trust.is_near(proven.claims, proven.pins)]
        if not near:
            raise _refused("no trust here is about its workload")
        nearest = max(
            near, key=lambda trust: sum(each.holds for each in trust.judge(proven.claims))
        )
        reason = nearest.refusal(proven.claims)
        self.note(nearest, proven, now, reason)
        raise _refused(reason)

    def actor_of(self, admitted: tuple[Trust, Proven]) -> Actor:
        """Return who a token that was let in stands for."""
        trust, proven = admitted
        return Actor(
            "robot",
            trust.robot,
            f"trust:{trust.id}",
            subject=Subject(trust.robot_id, trust.token_id, 0),
            scopes=trust.scopes,
            expires_at=proven.expires_at,
        )

    def note(self, trust: Trust, proven: Proven, now: int, reason: str) -> None:
        """Take note of a use of the trust; a reason says why there was none."""
        claims = shown_claims(proven.claims, trust.rules)
        self.uses.note(trust.id, Use(now, not reason, reason, claims))

    async def _issuer(self, url: Any) -> Issuer:
        if not isinstance(url, str) or len(url) > _LONGEST_TEXT or "\0" in url:
            raise _refused("it has no issuer")
        found = await self._db.read(lambda tx: issuers.find_issuer_by_url(tx, url))
        if found is None or not found.enabled:
            raise _refused("its issuer is not trusted here")
        return found

    async def _trusts(self, issuer: Issuer, robot: str) -> list[Trust]:
        robot = robot.replace("\0", "")
        home = robot.partition(ROBOT_MARK)[0]

        async def read(tx: Tx) -> list[Trust]:
            if robot:
                return await trusts.list_trusts_of_robot(tx, issuer.id, home, robot, _MOST_OF_ONE)
            return await trusts.list_trusts_of_issuer(tx, issuer.id)

        return await self._db.read(read, pages=True)

    def _check_times(self, claims: Mapping[str, Any]) -> int:
        """Return when the token runs out.

        Raises:
            Unauthorized: it has, or it is not yet good, or good for longer than one can answer for.
        """
        now = self._clock.now()
        expires_at = _time(claims, "exp")
        if expires_at is None:
            raise _refused("it never runs out")
        if expires_at <= now:
            raise _refused("it has run out")
        if expires_at > now + LONGEST:
            raise _refused("it runs out more than 24 hours from now")
        for name in ("nbf", "iat"):
            begins = _time(claims, name)
            if begins is not None and begins > now + SKEW:
                raise _refused(f"it is not good yet ({name}): compare the clocks")
        return expires_at


def _time(claims: Mapping[str, Any], name: str) -> int | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _refused(f"its {name} is no time")
    # What is out of any range is so in milliseconds as well, whatever the database could hold.
    return int(max(-1, min(value, 1 << 40)) * SECOND)


def _mark(token: Parts) -> str:
    """Return what the token is used up by: its `jti`, else what was signed.

    Not the signature, of which there can be several for the same.
    """
    named = token.claims.get("jti")
    if isinstance(named, str) and 0 < len(named) <= _LONGEST_TEXT and "\0" not in named:
        return named
    return f"sha256:{hashlib.sha256(token.signed).hexdigest()}"


def _refused(why: str) -> Unauthorized:
    return Unauthorized(
        f"the identity token is refused: {why}",
        error="invalid_token",
        hint="The namespace's trusts show their last uses",
    )
