"""The keys of other issuers: found by discovery, kept for a while, and asked for rarely.

Nothing that a token says makes the server call out, but that it names a registered issuer and a key
that is not known there; and that once a minute for each issuer, whoever sends how many tokens.
"""

import asyncio
from collections.abc import Mapping
from hashlib import blake2b

from moorage.auth.jws import Key, Malformed, Parts, parse_keys, parse_object
from moorage.clock import Clock
from moorage.model.trusts import Issuer
from moorage.outbound import AddressRefused, Fetcher, FetchFailed

_DISCOVERY = "/.well-known/openid-configuration"
# All in seconds: how long keys are taken as they are, how long they are good while no newer ones
# can be had, and how long to wait before the next attempt, with keys and without.
FRESH = 600.0
STALE = 86_400.0
COOL_DOWN = 60.0
RETRY = 10.0
_MOST_ISSUERS = 1_000


class KeysUnavailable(Exception):
    """The issuer's keys can't be had at this moment; the text says why, for its administrator."""


class _Held:
    """What is known of one issuer's keys."""

    __slots__ = ("asked_at", "asking", "found_at", "keys", "mark", "problem")

    def __init__(self, mark: bytes) -> None:
        self.mark = mark
        self.asking: asyncio.Task[None] | None = None
        self.keys: Mapping[tuple[str, str], Key] = {}
        self.found_at: float | None = None
        self.asked_at: float | None = None
        self.problem = "they were not asked for yet"

    def choose(self, token: Parts) -> Key | None:
        """Return the key that the token names, or the only one there is for its algorithm."""
        if token.key_id:
            return self.keys.get((token.key_id, token.algorithm))
        found = [key for key in self.keys.values() if key.algorithm == token.algorithm]
        return found[0] if len(found) == 1 else None

    def is_within(self, seconds: float, now: float) -> bool:
        """Tell whether the keys were found so lately."""
        return self.found_at is not None and now - self.found_at < seconds

    def may_ask(self, now: float) -> bool:
        """Tell whether the last attempt was long enough ago."""
        wait = RETRY if self.found_at is None else COOL_DOWN
        return self.asked_at is None or now - self.asked_at >= wait


class IssuerKeys:
    """Finds the key that a token of an issuer names."""

    def __init__(self, clock: Clock, fetcher: Fetcher) -> None:
        """Begin with none; what is fetched is fetched by the fetcher."""
        self._clock = clock
        self._fetcher = fetcher
        self._held: dict[str, _Held] = {}

    async def find(self, issuer: Issuer, token: Parts) -> Key | None:
        """Return the issuer's key for the token, None if there is none of that id and kind.

        Raises:
            KeysUnavailable: its keys could not be had, for longer than older ones are good for.
        """
        held = self._of(issuer)
        if issuer.jwks:
            self._read_own(held, issuer)
            return held.choose(token)
        if self._is_due(held, token):
            held.asking = asyncio.create_task(self._ask(held, issuer))
        if held.asking is not None:
            # All wait for one attempt, which goes on when whoever began it goes away.
            await asyncio.shield(held.asking)
        if not held.is_within(STALE, self._clock.monotonic()):
            raise KeysUnavailable(held.problem)
        return held.choose(token)

    def _of(self, issuer: Issuer) -> _Held:
        mark = blake2b(f"{issuer.url}\0{issuer.ca_file}\0".encode() + issuer.jwks).digest()
        held = self._held.get(issuer.url)
        if held is None or held.mark != mark:
            if len(self._held) >= _MOST_ISSUERS:
                self._held.clear()
            held = self._held[issuer.url] = _Held(mark)
        return held

    def _is_due(self, held: _Held, token: Parts) -> bool:
        now = self._clock.monotonic()
        if held.asking is not None or (held.is_within(FRESH, now) and held.choose(token)):
            return False
        return held.may_ask(now)

    async def _ask(self, held: _Held, issuer: Issuer) -> None:
        held.asked_at = self._clock.monotonic()
        try:
            held.keys = await self.fetch(issuer)
            held.found_at = self._clock.monotonic()
        except KeysUnavailable as problem:
            held.problem = str(problem)
        finally:
            held.asking = None

    def _read_own(self, held: _Held, issuer: Issuer) -> None:
        if held.found_at is None:
            held.found_at = self._clock.monotonic()
            held.keys = parse_keys(issuer.jwks)

    async def fetch(self, issuer: Issuer) -> dict[tuple[str, str], Key]:
        """Return the issuer's keys as they are now, by OpenID Connect Discovery.

        Raises:
            KeysUnavailable: they can't be had, or it is another issuer that answers there.
        """
        try:
            about = parse_object(await self._get(issuer, issuer.url.rstrip("/") + _DISCOVERY))
            if about.get("issuer") != issuer.url:
                raise KeysUnavailable(f"{issuer.url} does not call itself so")
            place = about.get("jwks_uri")
            if not isinstance(place, str):
                raise KeysUnavailable(f"{issuer.url} does not say where its keys are")
            return parse_keys(await self._get(issuer, place))
        except (AddressRefused, FetchFailed, Malformed) as problem:
            raise KeysUnavailable(f"the keys of {issuer.url} can't be had: {problem}") from None

    async def _get(self, issuer: Issuer, url: str) -> bytes:
        return await self._fetcher.fetch(url, ca_file=issuer.ca_file)
