"""Who is taken at their word about which machine it is that asks: registered by administrators."""

from urllib.parse import urlsplit

import msgspec

from moorage.auth.issuers import KeysUnavailable
from moorage.auth.jws import Malformed, parse_keys
from moorage.db import issuers, trusts
from moorage.db.engine import Raced, Tx
from moorage.errors import Conflicting, Invalid, NotFound
from moorage.events.outbox import Event
from moorage.model.access import Actor
from moorage.model.artifacts import TagChange
from moorage.model.trusts import Issuer, IssuerKind
from moorage.registry import rights
from moorage.registry.services import Services

MOST_KEY_BYTES = 64 << 10
_LONGEST_URL = 512
# Where everybody can run workloads, whatever an administrator says.
_SHARED: dict[str, IssuerKind] = {
    "token.actions.githubusercontent.com": "github",
    "gitlab.com": "gitlab",
    "accounts.google.com": "generic",
    "agent.buildkite.com": "generic",
    "oidc.circleci.com": "generic",
    "app.terraform.io": "generic",
}


class NewIssuer(msgspec.Struct, frozen=True):
    """An issuer as an administrator registers it.

    `url` is what its tokens call it, to the letter. `jwks` is its set of keys where it can't be
    reached; `shared` says that others than this organisation run workloads there. `ca_file` is a
    file of the server's with the certificates that its own is checked against.
    """

    url: str
    kind: IssuerKind = "generic"
    shared: bool = False
    jwks: bytes = b""
    ca_file: str = ""


async def add_issuer(s: Services, actor: Actor, wanted: NewIssuer, by: TagChange) -> Issuer:
    """Register an issuer, once its keys have been seen.

    Raises:
        Unauthorized, NotPermitted: the actor is no administrator.
        Invalid: it can't be one, or its keys can't be had.
        Conflicting: there is one of that address.
    """
    await rights.require_administrator(s, actor)
    now = s.clock.now()
    issuer = await _checked(s, wanted, Issuer(0, "", "", False, b"", "", True, now, by.actor))

    async def write(tx: Tx) -> Issuer:
        await rights.hold_administration(tx, actor)
        number = await issuers.add_issuer(tx, issuer)
        if number is None:
            raise Conflicting(f"there is an issuer {issuer.url} already")
        added = msgspec.structs.replace(issuer, id=number)
        await _publish(s, tx, "issuer.added", added, by)
        return added

    return await s.db.write(write)


async def list_issuers(s: Services, actor: Actor, after: int, limit: int) -> list[Issuer]:
    """Return up to `limit` issuers with ids above `after`.

    Raises:
        Unauthorized, NotPermitted: the actor is no administrator.
    """
    await rights.require_administrator(s, actor)
    return await s.db.read(lambda tx: issuers.list_issuers(tx, after, limit))


async def set_issuer_keys(
    s: Services, actor: Actor, issuer_id: int, jwks: bytes, by: TagChange
) -> Issuer:
    """Give an issuer other keys than before, or none, to have them fetched from now on.

    Raises:
        Unauthorized, NotPermitted: the actor is no administrator.
        NotFound: there is no such issuer.
        Invalid: it is no set of keys.
    """
    await rights.require_administrator(s, actor)
    _check_keys(jwks)

    async def write(tx: Tx) -> Issuer:
        await rights.hold_administration(tx, actor)
        found = _present(await issuers.take_issuer(tx, issuer_id))
        await issuers.set_issuer(tx, found.id, enabled=found.enabled, jwks=jwks)
        changed = msgspec.structs.replace(found, jwks=jwks)
        await _publish(s, tx, "issuer.keys-changed", changed, by)
        return changed

    return await s.db.write(write)


async def set_issuer_enabled(
    s: Services, actor: Actor, issuer_id: int, by: TagChange, *, enabled: bool
) -> Issuer:
    """Put an issuer in or out of force; all that was signed in by its tokens ends at once.

    Raises:
        Unauthorized, NotPermitted: the actor is no administrator.
        NotFound: there is no such issuer.
    """
    await rights.require_administrator(s, actor)

    async def write(tx: Tx) -> Issuer:
        robots = {each.robot_id for each in await trusts.list_trusts_of_issuer(tx, issuer_id)}
        await rights.hold_administration(tx, actor, robots)
        found = _present(await issuers.take_issuer(tx, issuer_id))
        if found.enabled == enabled:
            return found
        now = s.clock.now()
        for each in await trusts.list_trusts_of_issuer(tx, issuer_id):
            if each.robot_id not in robots:
                raise Raced  # it was added just now
            if not enabled:
                await trusts.end_bearers(tx, each, now)
            elif each.enabled:
                await trusts.set_trust(tx, each, enabled=True, now=now)
        await issuers.set_issuer(tx, found.id, enabled=enabled, jwks=found.jwks)
        changed = msgspec.structs.replace(found, enabled=enabled)
        await _publish(s, tx, "issuer.enabled" if enabled else "issuer.disabled", changed, by)
        return changed

    return await s.db.write(write)


async def remove_issuer(s: Services, actor: Actor, issuer_id: int, by: TagChange) -> None:
    """Forget an issuer that no trust names.

    Raises:
        Unauthorized, NotPermitted: the actor is no administrator.
        NotFound: there is no such issuer.
        Conflicting: a trust names it.
    """
    await rights.require_administrator(s, actor)

    async def write(tx: Tx) -> None:
        await rights.hold_administration(tx, actor)
        found = _present(await issuers.take_issuer(tx, issuer_id))
        if not await issuers.end_issuer(tx, found.id):
            raise Conflicting(
                f"there are trusts in {found.url}", hint="Disable it, or remove the trusts first"
            )
        await _publish(s, tx, "issuer.removed", found, by)

    await s.db.write(write)


async def _checked(s: Services, wanted: NewIssuer, blank: Issuer) -> Issuer:
    host = host_of(wanted.url)
    if wanted.ca_file and not wanted.ca_file.startswith("/"):
        raise Invalid("the file of certificates is named by its whole path")
    _check_keys(wanted.jwks)
    kind = _SHARED.get(host)
    issuer = msgspec.structs.replace(
        blank,
        url=wanted.url,
        kind=kind or wanted.kind,
        shared=wanted.shared or kind is not None,
        jwks=wanted.jwks,
        ca_file=wanted.ca_file,
    )
    if not issuer.jwks:
        try:
            keys = await s.assertions.keys.fetch(issuer)
        except KeysUnavailable as problem:
            raise Invalid(
                str(problem), hint="Where it can't be reached, give its set of keys (JWKS)"
            ) from None
        if not keys:
            raise Invalid(f"{issuer.url} has no key for RS256, ES256 or EdDSA")
    return issuer


def host_of(url: str) -> str:
    """Return the host of an issuer's address.

    Raises:
        Invalid: it can't be one.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:  # half a bracket, or a port that is none
        raise _no_address() from None
    if (
        not host
        or not url.isascii()
        or not url.isprintable()
        or " " in url
        or len(url) > _LONGEST_URL
        or parts.scheme not in ("https", "http")
        or any(mark in url for mark in "?#@\\")
    ):
        raise _no_address()
    return host


def _no_address() -> Invalid:
    return Invalid("the address of an issuer is https://HOST/PATH, as its tokens have it")


def _check_keys(jwks: bytes) -> None:
    try:
        usable = not jwks or (len(jwks) <= MOST_KEY_BYTES and parse_keys(jwks))
    except Malformed:
        usable = False
    if not usable:
        raise Invalid("the set of keys (JWKS) has none with an id for RS256, ES256 or EdDSA")


def _present(found: Issuer | None) -> Issuer:
    if found is None:
        raise NotFound("there is no such issuer")
    return found


async def _publish(s: Services, tx: Tx, kind: str, issuer: Issuer, by: TagChange) -> None:
    data = {
        "issuer": issuer.url,
        "kind": issuer.kind,
        "shared": issuer.shared,
        "own_keys": bool(issuer.jwks),
    }
    await s.events.publish(tx, Event(kind, 0, s.clock.now(), by, data))
