"""Trusts: which of an issuer's tokens stand for a robot of a namespace; its owners decide."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from moorage.auth.jws import Malformed, take_apart
from moorage.auth.scopes import encode_scopes
from moorage.db import issuers, trusts
from moorage.db.engine import Raced, Tx
from moorage.errors import Conflicting, Invalid, NameInvalid, NotFound, Unauthorized, Unavailable
from moorage.events.outbox import Event
from moorage.model.access import Action, Actor, Scope
from moorage.model.artifacts import TagChange
from moorage.model.people import ROBOT_MARK, NamespaceRecord
from moorage.model.trusts import (
    Issuer,
    Rule,
    RuleRefused,
    Trust,
    Use,
    Verdict,
    check_rules,
    pins_of,
)
from moorage.oci.names import RepositoryName, is_component
from moorage.registry import rights
from moorage.registry.services import Services

MOST_TRUSTS = 500
_MOST_SCOPES = 50
_ACTIONS = frozenset({"pull", "push", "delete"})
_AUDIENCE = re.compile(r"[\x21-\x7e]{1,512}", re.ASCII)


class NewTrust(msgspec.Struct, frozen=True):
    """A trust as an owner writes it; without an audience it is the registry's own address.

    `issuer` is its address, `robot` the name of a robot of the same namespace.
    """

    name: str
    issuer: str
    robot: str
    rules: tuple[Rule, ...]
    audience: str = ""
    scopes: tuple[Scope, ...] | None = None


class Tried(msgspec.Struct, frozen=True):
    """What one trust says of a token, rule by rule."""

    trust: str
    enabled: bool
    verdicts: tuple[Verdict, ...]

    @property
    def holds(self) -> bool:
        """Whether the token would be let in by it."""
        return self.enabled and all(verdict.holds for verdict in self.verdicts)


class Explanation(msgspec.Struct, frozen=True):
    """Why a token is let in or not; `problem` is what is wrong with it whatever the rules say."""

    problem: str
    tried: tuple[Tried, ...]

    @property
    def allowed(self) -> bool:
        """Whether it is let in by one of them."""
        return not self.problem and any(each.holds for each in self.tried)


async def add_trust(
    s: Services, actor: Actor, namespace: str, wanted: NewTrust, by: TagChange
) -> Trust:
    """Let tokens of an issuer stand for a robot.

    Raises:
        Unauthorized, NotPermitted: the actor does not own the namespace.
        Invalid: the rules say too little, or something of it can't be.
        NotFound: there is no such issuer or robot.
        Conflicting: the name is taken, or there are as many as there may be.
    """
    await rights.require_namespace(s, actor, Action.MANAGE_ACCESS, namespace)
    _check(namespace, wanted)

    async def write(tx: Tx) -> Trust:
        home = await rights.hold_namespace(tx, actor, Action.MANAGE_ACCESS, namespace)
        issuer = await _hold_issuer(tx, wanted.issuer)
        trust = await _made(s, tx, home, issuer, wanted, by)
        if len(await trusts.list_trusts(tx, home.id, "", MOST_TRUSTS)) >= MOST_TRUSTS:
            raise Conflicting(f"{namespace} has {MOST_TRUSTS} trusts, which are the most")
        number = await trusts.add_trust(tx, trust, encode_scopes(wanted.scopes))
        added = await trusts.find_trust_by_id(tx, number) if number is not None else None
        if added is None:
            raise Conflicting(f"{namespace} has a trust {wanted.name} already")
        await _publish(s, tx, "trust.added", added, by)
        return added

    return await s.db.write(write)


async def list_trusts(
    s: Services, actor: Actor, namespace: str, after: str, limit: int
) -> list[Trust]:
    """Return up to `limit` trusts of the namespace with names behind `after`.

    Raises:
        Unauthorized, NotPermitted: the actor may not see who may what there.
    """

    async def read(tx: Tx) -> list[Trust]:
        home = await rights.allow_namespace(tx, actor, Action.SEE_ACCESS, namespace)
        return await trusts.list_trusts(tx, home.id, after, limit)

    return await s.db.read(read)


async def find_trust(s: Services, actor: Actor, namespace: str, name: str) -> Trust:
    """Return the namespace's trust of that name.

    Raises:
        Unauthorized, NotPermitted: the actor may not see who may what there.
        NotFound: there is no such trust.
    """

    async def read(tx: Tx) -> Trust:
        home = await rights.allow_namespace(tx, actor, Action.SEE_ACCESS, namespace)
        return _present(await trusts.find_trust(tx, home.id, name), name)

    return await s.db.read(read)


async def list_uses(s: Services, actor: Actor, namespace: str, name: str) -> list[Use]:
    """Return the last uses of a trust with why they were refused, the newest first.

    Raises:
        Unauthorized, NotPermitted: the actor may not see who may what there.
        NotFound: there is no such trust.
    """

    async def read(tx: Tx) -> list[Use]:
        home = await rights.allow_namespace(tx, actor, Action.SEE_ACCESS, namespace)
        found = _present(await trusts.find_trust(tx, home.id, name), name)
        return await trusts.list_uses(tx, found.id)

    return await s.db.read(read)


async def set_trust_enabled(
    s: Services, actor: Actor, namespace: str, name: str, by: TagChange, *, enabled: bool
) -> Trust:
    """Put a trust in or out of force; out of it, all that was signed in by it ends at once.

    Raises:
        Unauthorized, NotPermitted: the actor does not own the namespace.
        NotFound: there is no such trust.
    """
    await rights.require_namespace(s, actor, Action.MANAGE_ACCESS, namespace)

    async def write(tx: Tx) -> Trust:
        found = await _hold_trust(tx, actor, namespace, name)
        if found.enabled == enabled:
            return found
        await trusts.set_trust(tx, found, enabled=enabled, now=s.clock.now())
        changed = _present(await trusts.find_trust_by_id(tx, found.id), name)
        await _publish(s, tx, "trust.enabled" if enabled else "trust.disabled", changed, by)
        return changed

    return await s.db.write(write)


async def remove_trust(s: Services, actor: Actor, namespace: str, name: str, by: TagChange) -> None:
    """Remove a trust; all that was signed in by it ends at once.

    Raises:
        Unauthorized, NotPermitted: the actor does not own the namespace.
        NotFound: there is no such trust.
    """
    await rights.require_namespace(s, actor, Action.MANAGE_ACCESS, namespace)

    async def write(tx: Tx) -> None:
        found = await _hold_trust(tx, actor, namespace, name)
        await trusts.end_trust(tx, found, s.clock.now())
        await _publish(s, tx, "trust.removed", found, by)

    await s.db.write(write)


async def explain(s: Services, actor: Actor, namespace: str, text: str) -> Explanation:
    """Return what the namespace's trusts say of a token, rule by rule; it changes nothing.

    The rules are gone through as well for a token that has run out, or that can't be checked.

    Raises:
        Unauthorized, NotPermitted: the actor does not own the namespace.
        Invalid: it is no token.
    """
    home = await rights.require_namespace(s, actor, Action.MANAGE_ACCESS, namespace)
    try:
        claims = take_apart(text.strip()).claims
    except Malformed as problem:
        raise Invalid(f"this is no identity token that can be used: {problem}") from None
    wrong = ""
    try:
        await s.assertions.prove(text.strip())
    except (Unauthorized, Unavailable) as refused:
        wrong = refused.message

    async def read(tx: Tx) -> list[Trust]:
        url = str(claims.get("iss", "")).replace("\0", "")
        issuer = await issuers.find_issuer_by_url(tx, url)
        found = await trusts.list_trusts(tx, home.id, "", MOST_TRUSTS) if issuer else []
        return [each for each in found if issuer and each.issuer_id == issuer.id]

    found = await s.db.read(read, pages=True)
    return Explanation(wrong, tuple(_tried(each, claims) for each in found))


def _tried(trust: Trust, claims: Mapping[str, Any]) -> Tried:
    return Tried(trust.name, trust.enabled, tuple(trust.judge(claims)))


def _check(namespace: str, wanted: NewTrust) -> None:
    if not is_component(wanted.name):
        raise Invalid("a trust's name has lower-case letters, digits, and single . _ or - in it")
    if wanted.scopes is not None:
        if not 1 <= len(wanted.scopes) <= _MOST_SCOPES:
            raise Invalid(f"a trust is confined to from 1 to {_MOST_SCOPES} patterns, or to none")
        for scope in wanted.scopes:
            if not scope.actions or not scope.actions <= _ACTIONS:
                raise Invalid("what a trust is for is pull, push and delete")
            if _namespace_of(scope.pattern) != namespace:
                raise Invalid(f"{scope.pattern[:100]!r} names nothing in {namespace}")


def _namespace_of(pattern: str) -> str:
    """Return the namespace that a scope is in; empty if it is none that a trust may have."""
    if is_component(pattern.removesuffix("/**")) and pattern.endswith("/**"):
        return pattern.removesuffix("/**")
    try:
        return RepositoryName.parse(pattern.removesuffix("/**")).namespace
    except NameInvalid:
        return ""


async def _made(
    s: Services,
    tx: Tx,
    home: NamespaceRecord,
    issuer: Issuer,
    wanted: NewTrust,
    by: TagChange,
) -> Trust:
    own = s.config.url
    audience = wanted.audience or own
    if not _AUDIENCE.fullmatch(audience):
        raise Invalid("say which audience its tokens have: the setting url is not set")
    if issuer.shared and own and audience not in (own, urlsplit(own).netloc):
        raise Invalid(
            f"others run workloads at {issuer.url} too: the audience must be {own}, "
            "so that no token for somebody else is good here"
        )
    try:
        check_rules(wanted.rules, pins_of(issuer.kind, shared=issuer.shared))
    except RuleRefused as refused:
        raise Invalid(str(refused)) from None
    named = wanted.robot
    if ROBOT_MARK not in named:
        named = f"{home.name}{ROBOT_MARK}{named}"
    robot = await trusts.find_robot(tx, home.id, named)
    if robot is None:
        raise NotFound(f"{home.name} has no robot {wanted.robot[:100]!r}")
    return Trust(
        id=0,
        namespace_id=home.id,
        namespace=home.name,
        name=wanted.name,
        issuer_id=issuer.id,
        robot_id=robot,
        robot=named,
        token_id=0,
        audience=audience,
        rules=wanted.rules,
        scopes=wanted.scopes,
        enabled=True,
        created_at=s.clock.now(),
        created_by=by.actor,
    )


async def _hold_issuer(tx: Tx, url: str) -> Issuer:
    found = await issuers.find_issuer_by_url(tx, url.replace("\0", ""))
    held = await issuers.hold_issuer(tx, found.id) if found is not None else None
    if held is None or not held.enabled:
        raise NotFound(
            f"there is no issuer {url[:100]!r}", hint="Ask an administrator to register it"
        )
    return held


async def _hold_trust(tx: Tx, actor: Actor, namespace: str, name: str) -> Trust:
    """Return the trust, with nothing being written in its robot's name."""
    home = await rights.allow_namespace(tx, actor, Action.MANAGE_ACCESS, namespace)
    seen = _present(await trusts.find_trust(tx, home.id, name), name)
    home = await rights.hold_namespace(tx, actor, Action.MANAGE_ACCESS, namespace, [seen.robot_id])
    found = _present(await trusts.find_trust(tx, home.id, name), name)
    if found.robot_id != seen.robot_id:
        raise Raced  # it was removed and made anew just now
    return found


def _present(found: Trust | None, name: str) -> Trust:
    if found is None:
        raise NotFound(f"there is no trust {name[:100]!r}")
    return found


async def _publish(s: Services, tx: Tx, kind: str, trust: Trust, by: TagChange) -> None:
    data = {
        "namespace": trust.namespace,
        "trust": trust.name,
        "robot": trust.robot,
        "audience": trust.audience,
        "rules": {rule.claim: rule.patterns for rule in trust.rules},
    }
    await s.events.publish(tx, Event(kind, 0, s.clock.now(), by, data, trust.namespace_id))
