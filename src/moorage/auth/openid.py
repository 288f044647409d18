"""People's sign-in at an OpenID provider: the authorization code flow with PKCE.

What comes back by the browser is worth nothing by itself. A code is turned into an identity token
at the provider's own door, by the secret that the registry has there, and the token must be signed
by the provider, for this registry, for this very attempt. Who the person is, is `iss` and `sub`;
an address or a name can be somebody else's tomorrow, or today already.

https://openid.net/specs/openid-connect-core-1_0.html, RFC 7636, RFC 9207, RFC 9700
"""

import asyncio
import base64
import hashlib
import hmac
import math
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_plus, urlencode

import msgspec

from moorage.auth.issuers import IssuerKeys, KeysUnavailable
from moorage.auth.jws import Malformed, Parts, parse_object, take_apart
from moorage.clock import MINUTE, SECOND, Clock
from moorage.errors import Unauthorized, Unavailable
from moorage.model.providers import Attempt, Person, Provider
from moorage.model.trusts import Issuer
from moorage.oci.names import is_component
from moorage.outbound import AddressRefused, Fetcher, FetchFailed

_DISCOVERY = "/.well-known/openid-configuration"
LIFE = 10 * MINUTE
SKEW = MINUTE
_FRESH_SECONDS = 600.0
_RETRY_SECONDS = 10.0
_LONGEST_SUBJECT = 255
_LONGEST_CODE = 2_048
_LONGEST_TEXT = 256
_MOST_GROUPS = 2_000
_MOST_KEPT = 1_000


class Endpoints(msgspec.Struct, frozen=True):
    """Where a provider's doors are, and how it wants to be spoken to."""

    authorization: str
    token: str
    names_itself: bool  # in the answer that comes by the browser (RFC 9207)
    takes_basic: bool


class Returned(msgspec.Struct, frozen=True):
    """What a browser brought back; `issuer` is empty if the answer names none."""

    code: str
    issuer: str
    back: str

    def __repr__(self) -> str:
        """Show no code."""
        return f"Returned(issuer={self.issuer!r})"


class _Looked(msgspec.Struct, frozen=True):
    at: float
    endpoints: Endpoints | None
    problem: str


class OpenId:
    """Speaks to the providers; what it learns of one is kept for ten minutes."""

    def __init__(self, clock: Clock, fetcher: Fetcher) -> None:
        """Speak by the fetcher."""
        self._clock = clock
        self._fetcher = fetcher
        self._keys = IssuerKeys(clock, fetcher)
        self._known: dict[str, _Looked] = {}
        self._asked: dict[str, asyncio.Task[_Looked]] = {}

    async def look(self, url: str) -> Endpoints:
        """Return what the provider says of itself now; for whoever registers it.

        Raises:
            Unavailable: it does not answer, or not as a provider must.
        """
        self._known.pop(url, None)
        return await self._endpoints(url)

    async def begin(
        self, provider: Provider, state: str, back: str, then: str
    ) -> tuple[str, Attempt]:
        """Return where to send the browser, and what to keep until it comes back.

        Raises:
            Unavailable: the provider does not answer.
        """
        endpoints = await self._endpoints(provider.url)
        verifier = secrets.token_urlsafe(32)
        attempt = Attempt(
            provider.name, verifier, secrets.token_urlsafe(32), then, self._clock.now() + LIFE
        )
        challenge = hashlib.sha256(verifier.encode()).digest()
        asked = {
            "response_type": "code",
            "client_id": provider.client_id,
            "redirect_uri": back,
            "scope": provider.scopes,
            "state": state,
            "nonce": attempt.nonce,
            "code_challenge": base64.urlsafe_b64encode(challenge).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        mark = "&" if "?" in endpoints.authorization else "?"
        return f"{endpoints.authorization}{mark}{urlencode(asked)}", attempt

    async def complete(
        self, provider: Provider, secret: str, attempt: Attempt, returned: Returned
    ) -> Person:
        """Return who came back, proved by the provider.

        Raises:
            Unauthorized: it is another provider's answer, or the provider does not stand by it.
            Unavailable: the provider does not answer.
        """
        endpoints = await self._endpoints(provider.url)
        # Another provider's code must not be taken to this one, nor this one's to another.
        if returned.issuer != provider.url and (returned.issuer or endpoints.names_itself):
            raise _refused("the answer came from another provider")
        if not 0 < len(returned.code) <= _LONGEST_CODE:
            raise _refused("the answer has no code")
        text = await self._exchange(provider, secret, attempt, endpoints, returned)
        claims = await self._verified(provider, text)
        self._check(provider, attempt, claims)
        return _person(provider, claims)

    async def _exchange(
        self,
        provider: Provider,
        secret: str,
        attempt: Attempt,
        endpoints: Endpoints,
        returned: Returned,
    ) -> str:
        form = {
            "grant_type": "authorization_code",
            "code": returned.code,
            "redirect_uri": returned.back,
            "code_verifier": attempt.verifier,
        }
        authorization = ""
        if secret and endpoints.takes_basic:
            pair = f"{quote_plus(provider.client_id)}:{quote_plus(secret)}"
            authorization = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            form["client_id"] = provider.client_id
            if secret:
                form["client_secret"] = secret
        try:
            told = parse_object(await self._fetcher.post(endpoints.token, form, authorization))
        except (AddressRefused, FetchFailed, Malformed) as problem:
            # A wrong secret and a code that is spent look alike here.
            if isinstance(problem, FetchFailed) and 400 <= problem.status < 500:
                raise _refused(f"the provider did not take the code: {problem}") from None
            raise Unavailable(
                f"{provider.name} can't be asked: {problem}", headers={"Retry-After": "10"}
            ) from None
        text = told.get("id_token")
        if not isinstance(text, str):
            raise _refused("the provider gave no identity token; its scopes must have openid")
        return text

    async def _verified(self, provider: Provider, text: str) -> Mapping[str, Any]:
        try:
            token = take_apart(text)
            await self._check_signature(provider, token)
        except Malformed as problem:
            raise _refused(f"its identity token is refused: {problem}") from None
        except KeysUnavailable as problem:
            raise Unavailable(str(problem), headers={"Retry-After": "60"}) from None
        return token.claims

    async def _check_signature(self, provider: Provider, token: Parts) -> None:
        issuer = Issuer(0, provider.url, "generic", False, b"", "", True, 0, "")
        key = await self._keys.find(issuer, token)
        if key is None or not key.verifies(token):
            raise Malformed("no key of the provider has signed it")

    def _check(self, provider: Provider, attempt: Attempt, claims: Mapping[str, Any]) -> None:
        """Do nothing if the token is this provider's, for us, for this attempt, and at this time.

        Raises:
            Unauthorized: it is not.
        """
        if claims.get("iss") != provider.url:
            raise _refused("its identity token is of another issuer")
        audience = claims.get("aud")
        named = audience if isinstance(audience, list) else [audience]
        party = claims.get("azp", provider.client_id if len(named) == 1 else None)
        if provider.client_id not in named or party != provider.client_id:
            raise _refused("its identity token is for another client")
        nonce = claims.get("nonce")
        if not isinstance(nonce, str) or not hmac.compare_digest(
            nonce.encode(), attempt.nonce.encode()
        ):
            raise _refused("its identity token is of another sign-in")
        now = self._clock.now()
        expires_at, issued_at = _time(claims, "exp"), _time(claims, "iat")
        if expires_at + SKEW <= now or issued_at > now + SKEW:
            raise _refused("its identity token is not good now: compare the clocks")
        if "nbf" in claims and _time(claims, "nbf") > now + SKEW:
            raise _refused("its identity token is not good yet: compare the clocks")

    async def _endpoints(self, url: str) -> Endpoints:
        now = self._clock.monotonic()
        known = self._known.get(url)
        wait = _FRESH_SECONDS if known and known.endpoints else _RETRY_SECONDS
        if known is None or now - known.at >= wait:
            known = await self._look_once(url, now)
        if known.endpoints is None:
            raise Unavailable(
                f"the provider can't be asked: {known.problem}", headers={"Retry-After": "10"}
            )
        return known.endpoints

    async def _look_once(self, url: str, now: float) -> _Looked:
        """Ask the provider, whoever else waits for the same."""
        task = self._asked.get(url)
        if task is None:
            task = self._asked[url] = asyncio.create_task(self._looked(url, now))
            task.add_done_callback(lambda _: self._asked.pop(url, None))
        known = await asyncio.shield(task)
        if len(self._known) >= _MOST_KEPT:
            self._known.clear()
        self._known[url] = known
        return known

    async def _looked(self, url: str, now: float) -> _Looked:
        try:
            about = parse_object(await self._fetcher.fetch(url.rstrip("/") + _DISCOVERY))
            return _Looked(now, self._read(url, about), "")
        except (AddressRefused, FetchFailed, Malformed) as problem:
            return _Looked(now, None, f"{url}: {problem}")

    def _read(self, url: str, about: Mapping[str, Any]) -> Endpoints:
        if about.get("issuer") != url:
            raise Malformed("what answers there calls itself otherwise")
        doors = [about.get(name) for name in ("authorization_endpoint", "token_endpoint")]
        if not all(isinstance(door, str) for door in doors):
            raise Malformed("it does not say where people sign in")
        authorization, token = (str(door) for door in doors)
        # The browser goes to the one, the server to the other: neither by plain HTTP.
        self._fetcher.read(authorization)
        self._fetcher.read(token)
        methods = about.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        takes_basic = isinstance(methods, list) and "client_secret_basic" in methods
        names_itself = about.get("authorization_response_iss_parameter_supported") is True
        return Endpoints(authorization, token, names_itself, takes_basic)


def _person(provider: Provider, claims: Mapping[str, Any]) -> Person:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= _LONGEST_SUBJECT:
        raise _refused("its identity token is nobody's")
    if not subject.isprintable():
        raise _refused("its identity token is nobody's")
    # Of an address, what stands before the @: names of accounts are those of namespaces. There are
    # other letters than ASCII's whose small ones are ASCII.
    told = _text(claims, provider.name_claim)
    name = told.lower().partition("@")[0]
    return Person(
        subject=subject,
        name=name if is_component(name) and told.isascii() else "",
        full_name=_text(claims, "name"),
        email=_text(claims, "email"),
        groups=_groups(claims.get(provider.groups_claim)) if provider.groups_claim else frozenset(),
    )


def _groups(listed: Any) -> frozenset[str]:
    """Return the groups that a claim lists; a claim that lists none is no groups."""
    found = [listed] if isinstance(listed, str) else listed
    if found is None:
        return frozenset()
    if not isinstance(found, list) or len(found) > _MOST_GROUPS:
        raise _refused("its claim of groups is no list that can be read")
    return frozenset(each for each in found if isinstance(each, str))


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT or not value.isprintable():
        return ""
    return value


def _time(claims: Mapping[str, Any], name: str) -> int:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _refused(f"the {name} of its identity token is no time")
    return int(max(-1, min(value, 1 << 40)) * SECOND)


def _refused(why: str) -> Unauthorized:
    return Unauthorized(f"the sign-in is refused: {why}", hint="Begin again")
