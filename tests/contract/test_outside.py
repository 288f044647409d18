"""Signing in by an OpenID provider: who comes in, as whom, with which teams, and who does not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, cast

import msgspec
import pytest
import sqlalchemy as sa

import oidc
from contract.conftest import Registries
from identity import CLIENT, SECRET, IdentityProvider
from moorage.auth.attempts import Attempts
from moorage.auth.credentials import Guard
from moorage.auth.openid import LIFE, OpenId
from moorage.clock import DAY, HOUR, MINUTE, SECOND
from moorage.db import access, identities, principals
from moorage.db.access_schema import account
from moorage.db.access_schema import provider as table
from moorage.db.engine import Query
from moorage.errors import (
    Conflicting,
    Denied,
    Invalid,
    NotFound,
    NotPermitted,
    RegistryError,
    TooManyRequests,
    Unauthorized,
)
from moorage.model.access import Action, Actor, Role
from moorage.oci.names import RepositoryName
from moorage.outbound import Fetcher
from moorage.registry import (
    accounts,
    explain,
    grants,
    outside,
    providers,
    rights,
    sign_in,
    teams,
    tokens,
)
from moorage.registry.outside import Answer
from moorage.registry.providers import NewProvider
from moorage.registry.services import Services
from moorage.registry.upkeep import SCHEDULE
from moorage.web.request import Request
from people import BY, again, everything_told, later, organisation, person, team, trail

BACK = "https://registry.example/sign-in/corp/callback"
HOME = "192.0.2.1"
SHOP = RepositoryName.parse("web/shop")
STORED = Query("test_provider", sa.select(table.c.client_secret))

SILENT = Query(
    "test_silent",
    sa.update(account)
    .where(account.c.principal_id == sa.bindparam("number"))
    .values(confirmed_at=sa.bindparam("before")),
)


@pytest.fixture
def corp() -> Iterator[IdentityProvider]:
    """Run a provider that knows one person."""
    with IdentityProvider() as running:
        running.person = {
            "sub": "sub-1",
            "preferred_username": "Alice",
            "name": "Alice Ahoy",
            "email": "alice@example.com",
            "groups": ["dev"],
        }
        yield running


def speaking(s: Services) -> Services:
    """Return the services as they speak to providers on this machine."""
    return msgspec.structs.replace(s, openid=OpenId(s.clock, Fetcher(("127.0.0.0/8",))))


async def registered(s: Services, running: IdentityProvider, name: str = "corp") -> Actor:
    """Register the provider, and return the administrator who did."""
    root = await person(s, f"root-of-{name}", administrator=True)
    await providers.add_provider(s, root, NewProvider(name, running.url, CLIENT, SECRET), BY)
    return root


def answer_of(query: dict[str, str], secret: str, back: str = BACK) -> Answer:
    """Return what a browser brings back."""
    issuer, problem = query.get("iss", ""), query.get("error", "")
    return Answer(query.get("code", ""), query["state"], issuer, problem, secret, back)


async def come(
    s: Services, running: IdentityProvider, name: str = "corp", **changes: str
) -> tuple[Actor, str]:
    """Go all the way, and return who is signed in then, and where to."""
    begun = await outside.begin(s, name, "/web/shop", BACK, HOME)
    query = running.consent(begun.location) | changes
    made, then = await outside.complete(s, name, answer_of(query, begun.secret), HOME, "r")
    return await sign_in.identify(s, made.secret), then


async def may_push(s: Services, actor: Actor) -> bool:
    """Tell whether the actor may push to the shop at this moment."""
    try:
        found = await rights.find(s, actor, SHOP)
        return found.facts.standing > 0 and found.facts.rank >= Role.WRITER.rank
    except RegistryError:
        return False


async def shop(s: Services, *groups: str) -> Actor:
    """Make a team that writes to the shop's namespace, of groups of the provider."""
    owner = await person(s, "owner")
    await organisation(s, owner)
    made = await team(s, owner, "dev")
    await grants.put_grant(s, owner, grants.Where("web"), made, Role.WRITER, BY)
    for group in groups:
        await teams.add_group(s, owner, ("web", "dev"), ("corp", group), BY)
    return owner


def test_the_first_time_and_again(registries: Registries, corp: IdentityProvider) -> None:
    async def use(s: Services) -> None:
        s = speaking(s)
        root = await registered(s, corp)
        actor, then = await come(s, corp)
        assert (actor.kind, actor.name, then) == ("account", "alice", "/web/shop")
        found = await accounts.find_account(s, root, "alice")
        assert (found.full_name, found.email) == ("Alice Ahoy", "alice@example.com")
        assert (found.provider, found.administrator, found.has_password) == ("corp", False, False)
        # Another name and address at the provider is the same person still.
        corp.person |= {"preferred_username": "alicia", "email": "root@example.com"}
        second, _ = await come(s, corp)
        assert second.subject.principal_id == actor.subject.principal_id
        assert second.name == "alice"
        assert (await trail(s)).count("account.added") == 2  # and the administrator's
        assert (await trail(s)).count("session.began") == 2

    registries.run(use)


def test_secrets_are_kept_from_everybody(registries: Registries, corp: IdentityProvider) -> None:
    async def use(s: Services) -> None:
        s = speaking(s)
        root = await registered(s, corp)
        begun = await outside.begin(s, "corp", "/", BACK, HOME)
        query = corp.consent(begun.location)
        answer = answer_of(query, begun.secret)
        made, _ = await outside.complete(s, "corp", answer, HOME, "r")
        told = await everything_told(s)
        shown = repr([await providers.list_providers(s, root, "", 10), begun, answer]).encode()
        for each in (SECRET, begun.secret, query["code"], query["state"], made.secret):
            assert each.encode() not in told
            assert each.encode() not in shown
        (row,) = await s.db.read(lambda tx: tx.many(STORED))
        assert SECRET.encode() not in bytes(row[0])
        await providers.set_secret(s, root, "corp", "another", BY)
        corp.secret = "another"
        await come(s, corp)

    registries.run(use)


def test_what_did_not_begin_here(registries: Registries, corp: IdentityProvider) -> None:
    """The state is good in the browser that began, once, and for ten minutes."""

    async def use(s: Services) -> None:
        s = speaking(s)
        await registered(s, corp)
        mine = await outside.begin(s, "corp", "/", BACK, HOME)
        theirs = await outside.begin(s, "corp", "/", BACK, HOME)
        query = corp.consent(theirs.location)
        refused = [
            answer_of(query, mine.secret),  # the attacker's answer in the victim's browser
            answer_of(query, ""),
            answer_of(query | {"state": ""}, theirs.secret),
            answer_of(query | {"state": query["state"][:-1] + "!"}, theirs.secret),
            answer_of(query | {"state": corp.consent(mine.location)["state"]}, theirs.secret),
        ]
        asked = len(corp.forms)
        for each in refused:
            with pytest.raises(Unauthorized, match="did not begin in this browser"):
                await outside.complete(s, "corp", each, HOME, "r")
        late = later(s, LIFE)
        with pytest.raises(Unauthorized, match="ten minutes"):
            await outside.complete(late, "corp", answer_of(query, theirs.secret), HOME, "r")
        # And with all of that nobody was asked.
        assert len(corp.forms) == asked
        begun = await outside.begin(s, "corp", "/", BACK, HOME)
        answer = answer_of(corp.consent(begun.location), begun.secret)
        await outside.complete(s, "corp", answer, HOME, "r")
        with pytest.raises(Unauthorized, match="used already"):
            await outside.complete(s, "corp", answer, HOME, "r")

    registries.run(use)


def test_a_mix_up_of_providers(registries: Registries, corp: IdentityProvider) -> None:
    """No code of one provider is taken to another one, nor an answer of one for another's."""

    async def use(s: Services) -> None:
        s = speaking(s)
        await registered(s, corp)
        with IdentityProvider() as evil:
            evil.person = {"sub": "sub-1", "preferred_username": "mallory"}
            await registered(s, evil, "evil")
            begun = await outside.begin(s, "corp", "/", BACK, HOME)
            query = corp.consent(begun.location)
            with pytest.raises(Unauthorized, match="began at another provider"):
                await outside.complete(s, "evil", answer_of(query, begun.secret), HOME, "r")
            assert evil.forms == []
            for issuer in (evil.url, "", corp.url + "/"):
                with pytest.raises(Unauthorized, match="came from another provider"):
                    await come(s, corp, iss=issuer)
            assert corp.forms == []
            # A code that was given for another client's attempt, put into one's own.
            stolen = corp.consent((await outside.begin(s, "corp", "/", BACK, HOME)).location)
            with pytest.raises(Unauthorized, match="did not take the code"):
                await come(s, corp, code=stolen["code"])
            # One subject at two providers is two people.
            first, _ = await come(s, corp)
            other, _ = await come(s, evil, "evil")
            assert first.subject.principal_id != other.subject.principal_id
            assert (first.name, other.name) == ("alice", "mallory")

    registries.run(use)


SPOILT: list[dict[str, Any]] = [
    {"nonce": "of another sign-in"},
    {"nonce": None},
    {"aud": "another-client"},
    {"aud": None},
    {"aud": [CLIENT, "another"]},
    {"aud": [CLIENT, "another"], "azp": "another"},
    {"azp": "another"},
    {"aud": []},
    {"aud": {"moorage": 1}},
    {"iss": "https://accounts.example"},
    {"iss": None},
    {"sub": None},
    {"sub": ""},
    {"sub": 1},
    {"sub": "a\0b"},
    {"sub": "x" * 256},
    {"exp": 1},
    {"exp": None},
    {"exp": "soon"},
    {"iat": 1 << 33},
    {"iat": None},
    {"nbf": 1 << 33},
    {"groups": {"dev": True}},
    {"groups": ["x"] * 2_001},
]


def test_identity_tokens_that_prove_nothing(registries: Registries, corp: IdentityProvider) -> None:
    async def use(s: Services) -> None:
        s = speaking(s)
        await registered(s, corp)
        for changes in SPOILT:
            corp.changes = changes
            with pytest.raises(Unauthorized):
                await come(s, corp)
        corp.changes = {}
        await come(s, corp)

    registries.run(use)


def test_signatures_that_prove_nothing(registries: Registries, corp: IdentityProvider) -> None:
    async def use(s: Services) -> None:
        s = speaking(s)
        await registered(s, corp)
        begun = await outside.begin(s, "corp", "/", BACK, HOME)
        nonce = begun.location.partition("nonce=")[2].partition("&")[0]
        claims = corp.claims(aud=CLIENT, nonce=nonce, **corp.person)
        parts = [{"alg": "none"}, {"alg": "HS256", "kid": corp.key.kid}]
        tokens_of = [f"{oidc.encoded(each)}.{oidc.encoded(claims)}." for each in parts]
        tokens_of += [each + "AAAA" for each in tokens_of]
        stranger = oidc.new_key(corp.algorithm, corp.key.kid)
        tokens_of += [oidc.sign(stranger, corp.header(), claims), "", "a.b.c", "é"]
        # A key that the token brings along itself.
        own = corp.header(jwk=stranger.as_dict(private=False))
        tokens_of.append(oidc.sign(stranger, own, claims))
        for each in tokens_of:
            corp.raw_token = each
            begun = await outside.begin(s, "corp", "/", BACK, HOME)
            answer = answer_of(corp.consent(begun.location), begun.secret)
            with pytest.raises(Unauthorized):
                await outside.complete(s, "corp", answer, HOME, "r")

    registries.run(use)


ELSEWHERE = [
    "",
    "//evil.example",
    "https://evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "/ok\r\nSet-Cookie: a=b",
    "javascript:alert(1)",
    "evil.example",
    " //evil.example",
    "/é",
    "/" + "a" * 2_000,
]


def test_no_open_redirect(registries: Registries, corp: IdentityProvider) -> None:
    async def use(s: Services) -> None:
        s = speaking(s)
        await registered(s, corp)
        for then in ELSEWHERE:
            with pytest.raises(Invalid):
                await outside.begin(s, "corp", then, BACK, HOME)
        for path in ("/", "/web/shop:1.0?a=b#c", "/a//b"):
            await outside.begin(s, "corp", path, BACK, HOME)

    registries.run(use)


def test_nobody_is_taken_over(registries: Registries, corp: IdentityProvider) -> None:
    """A name or an address is no proof, whatever the provider says of either."""

    async def use(s: Services) -> None:
        s = speaking(s)
        root = await registered(s, corp)
        local = await person(s, "alice")
        await accounts.set_profile(s, root, "alice", "", "alice@example.com", BY)
        with pytest.raises(Conflicting) as refused:
            await come(s, corp)
        assert "sub-1 of corp" in str(refused.value.hint)
        found = await accounts.find_account(s, root, "alice")
        assert (found.provider, found.id) == ("", local.subject.principal_id)
        for name in ("admin/x", "", "local", "operator", "-", "a b", "\u212aate", None, 7, "a+b"):
            corp.person["preferred_username"] = name
            with pytest.raises(Denied, match="gives no name"):
                await come(s, corp)
        # An administrator says that it is the same person; what it was signed in with ends.
        account_of = await s.db.read(lambda tx: principals.find_account(tx, "alice"))
        assert account_of is not None
        session = await s.db.write(lambda tx: sign_in.open_session(s, tx, account_of, "r"))
        await sign_in.identify(s, session.secret)
        await providers.bind_account(s, root, "alice", ("corp", "sub-1"), BY)
        actor, _ = await come(s, corp)
        assert actor.subject.principal_id == local.subject.principal_id
        assert not await _stands(s, local)
        with pytest.raises(Unauthorized):
            await sign_in.identify(s, session.secret)
        bob = await person(s, "bob")
        with pytest.raises(Conflicting):
            await providers.bind_account(s, root, "bob", ("corp", "sub-1"), BY)
        with pytest.raises(NotPermitted):
            await providers.bind_account(s, bob, "bob", ("corp", "sub-1"), BY)
        for identity in (("corp", ""), ("", "sub-1")):
            with pytest.raises(Invalid):
                await providers.bind_account(s, root, "bob", identity, BY)
        with pytest.raises(NotFound):
            await providers.bind_account(s, root, "bob", ("nowhere", "sub-1"), BY)

    registries.run(use)


def test_who_was_put_out_stays_out(registries: Registries, corp: IdentityProvider) -> None:
    async def use(s: Services) -> None:
        s = speaking(s)
        root = await registered(s, corp)
        actor, _ = await come(s, corp)
        begun = await outside.begin(s, "corp", "/", BACK, HOME)
        answer = answer_of(corp.consent(begun.location), begun.secret)
        await accounts.set_enabled(s, root, "alice", BY, enabled=False)
        assert not await _stands(s, actor)
        with pytest.raises(Denied, match="disabled"):
            await outside.complete(s, "corp", answer, HOME, "r")
        with pytest.raises(Denied, match="disabled"):
            await come(s, corp)
        assert not (await accounts.find_account(s, root, "alice")).enabled
        await accounts.set_enabled(s, root, "alice", BY, enabled=True)
        assert not await _stands(s, actor)
        await come(s, corp)
        await accounts.delete_account(s, root, "alice", BY)
        for _ in range(2):
            with pytest.raises(Denied, match="was deleted"):
                await come(s, corp)
        with pytest.raises(NotFound):
            await accounts.find_account(s, root, "alice")
        # Nor does it come back by somebody who has the name now; only an administrator says so.
        await person(s, "alice")
        with pytest.raises(Denied, match="was deleted"):
            await come(s, corp)
        await providers.bind_account(s, root, "alice", ("corp", "sub-1"), BY)
        again_here, _ = await come(s, corp)
        assert again_here.subject.principal_id != actor.subject.principal_id

    registries.run(use)


def test_groups_are_teams(registries: Registries, corp: IdentityProvider) -> None:
    async def use(s: Services) -> None:
        s = speaking(s)
        await registered(s, corp)
        owner = await shop(s, "dev", "more")
        actor, _ = await come(s, corp)
        assert await may_push(s, actor)
        number = actor.subject.principal_id
        listed = await teams.list_members(s, owner, "web", "dev", (0, 10))
        assert (number, "alice", "corp") in listed
        with pytest.raises(Conflicting):
            await teams.remove_member(s, owner, "web", "dev", "alice", BY)
        # Put in by hand as well, it is in the team until it is taken out by hand.
        await teams.add_member(s, owner, "web", "dev", "alice", BY)
        corp.person["groups"] = "other"
        assert await may_push(s, (await come(s, corp))[0])
        await teams.remove_member(s, owner, "web", "dev", "alice", BY)
        assert not await may_push(s, actor)
        corp.person["groups"] = "more"
        assert await may_push(s, (await come(s, corp))[0])
        # No group is nobody's word any more: the session from before has no right either.
        del corp.person["groups"]
        await come(s, corp)
        assert not await may_push(s, actor)
        changes = [each for each in await trail(s) if each.startswith("team.")]
        assert changes.count("team.joined") == 3
        assert changes.count("team.left") == 3

    registries.run(use)


def test_a_group_is_taken_from_a_team(registries: Registries, corp: IdentityProvider) -> None:
    """By the next request, nobody has a right from it."""

    async def use(s: Services) -> None:
        s = speaking(s)
        root = await registered(s, corp)
        owner = await shop(s, "dev", "more")
        corp.person["groups"] = ["more", "dev", "dev", 7]
        actor, _ = await come(s, corp)
        assert await may_push(s, actor)
        assert await teams.list_groups(s, owner, "web", "dev") == [
            ("corp", "dev"),
            ("corp", "more"),
        ]
        await teams.remove_group(s, owner, ("web", "dev"), ("corp", "dev"), BY)
        assert not await may_push(s, actor)
        await come(s, corp)
        assert await may_push(s, actor)
        with pytest.raises(NotFound):
            await teams.remove_group(s, owner, ("web", "dev"), ("corp", "dev"), BY)
        with pytest.raises(NotFound):
            await teams.add_group(s, owner, ("web", "dev"), ("nowhere", "dev"), BY)
        stranger = await person(s, "stranger")
        for change in (teams.add_group, teams.remove_group):
            with pytest.raises(NotPermitted):
                await change(s, stranger, ("web", "dev"), ("corp", "more"), BY)
        with pytest.raises(Conflicting):
            await providers.remove_provider(s, root, "corp", BY)
        await teams.delete_team(s, owner, "web", "dev", BY)
        assert not await may_push(s, actor)
        await come(s, corp)
        assert not await may_push(s, actor)

    registries.run(use)


def test_groups_of_another_provider_are_nothing(
    registries: Registries, corp: IdentityProvider
) -> None:
    async def use(s: Services) -> None:
        s = speaking(s)
        await registered(s, corp)
        await shop(s, "dev")
        with IdentityProvider() as evil:
            evil.person = {"sub": "2", "preferred_username": "mallory", "groups": ["dev"]}
            await registered(s, evil, "evil")
            actor, _ = await come(s, evil, "evil")
            assert not await may_push(s, actor)

    registries.run(use)


def test_a_day_without_a_word(registries: Registries, corp: IdentityProvider) -> None:
    """Tokens, refresh tokens and sessions of a person end when its provider has been silent."""

    async def use(s: Services) -> None:
        s = speaking(s)
        root = await registered(s, corp)
        owner = await shop(s, "dev")
        actor, _ = await come(s, corp)
        made = await tokens.create_token(s, actor, "alice", tokens.Wanted("laptop"), BY)
        token = await _as_asked(s, made.secret)
        assert await may_push(s, token)
        early, late = later(s, DAY - MINUTE), later(s, DAY + MINUTE)
        assert await may_push(early, _at(early, token))
        assert not await may_push(late, _at(late, token))
        assert await may_push(late, _at(late, owner))
        with pytest.raises(Unauthorized, match="no longer good"):
            await rights.require_namespace(late, _at(late, token), Action.PUSH, "web")
        with pytest.raises(Unauthorized):
            await late.db.write(lambda tx: rights.hold_own(tx, _at(late, token)))
        # With the next sign-in all of it is good again.
        hour = (s.clock.now() + HOUR) // SECOND
        corp.changes = {"iat": hour, "nbf": hour, "exp": hour + 60}
        await come(speaking(later(s, HOUR)), corp)
        assert await may_push(late, _at(late, token))
        # Whoever is nobody's outside is asked about nowhere.
        await providers.bind_account(s, root, "alice", ("", ""), BY)
        far = later(s, 30 * DAY)
        back = await again(s, Actor("account", "alice", "password"))
        assert await _stands(far, _at(far, back))

    registries.run(use)


def test_what_a_token_is_told_after_a_day(registries: Registries, corp: IdentityProvider) -> None:
    """At the door: where to sign in again; also one that was remembered, and what explains it."""

    async def use(s: Services) -> None:
        s = speaking(s)
        root = await registered(s, corp)
        await shop(s, "dev")
        actor, _ = await come(s, corp)
        made = await tokens.create_token(s, actor, "alice", tokens.Wanted("laptop"), BY)
        known = await _as_asked(s, made.secret)
        place = grants.Where.of(SHOP)
        assert (await explain.explain(s, root, "alice", Action.PUSH, place)).allowed
        before = s.clock.now() - DAY
        await s.db.write(
            lambda tx: tx.run(SILENT, number=actor.subject.principal_id, before=before)
        )
        told = await explain.explain(s, root, "alice", Action.PUSH, place)
        assert not told.allowed
        assert not await may_push(s, await _as_asked(s, made.secret))
        assert known.subject.asked_at
        other = msgspec.structs.replace(s.guard, url="https://registry.example")
        s.auth._known.clear()  # type: ignore[attr-defined]
        s.auth._guard = other  # type: ignore[attr-defined]
        with pytest.raises(Unauthorized, match="corp has not confirmed") as refused:
            await _as_asked(s, made.secret)
        assert "https://registry.example/sign-in/corp" in str(refused.value.hint)
        await come(s, corp)
        assert await may_push(s, await _as_asked(s, made.secret))

    registries.run(use)


def test_a_provider_out_of_force(registries: Registries, corp: IdentityProvider) -> None:
    async def use(s: Services) -> None:
        s = speaking(s)
        root = await registered(s, corp)
        begun = await outside.begin(s, "corp", "/", BACK, HOME)
        answer = answer_of(corp.consent(begun.location), begun.secret)
        await providers.set_enabled(s, root, "corp", BY, enabled=False)
        for attempt in (
            outside.begin(s, "corp", "/", BACK, HOME),
            outside.complete(s, "corp", answer, HOME, "r"),
            outside.begin(s, "nowhere", "/", BACK, HOME),
        ):
            with pytest.raises(NotFound, match="nobody signs in here by"):
                await attempt
        await providers.set_enabled(s, root, "corp", BY, enabled=True)
        await come(s, corp)
        with pytest.raises(Conflicting):
            await providers.remove_provider(s, root, "corp", BY)
        await accounts.delete_account(s, root, "alice", BY)
        await providers.remove_provider(s, root, "corp", BY)
        with pytest.raises(NotFound):
            await providers.find_provider(s, root, "corp")
        told = [each for each in await trail(s) if each.startswith("provider.")]
        assert told == [
            *("provider.added", "provider.disabled", "provider.enabled", "provider.removed")
        ]

    registries.run(use)


def test_who_never_comes_back_is_forgotten(registries: Registries, corp: IdentityProvider) -> None:
    async def use(s: Services) -> None:
        s = speaking(s)
        await registered(s, corp)
        for _ in range(3):
            begun = await outside.begin(s, "corp", "/", BACK, HOME)
        now = s.clock.now()
        assert await s.db.write(lambda tx: identities.forget_attempts(tx, now, 10)) == 0
        ends = now + LIFE
        assert await s.db.write(lambda tx: identities.forget_attempts(tx, ends, 2)) == 2
        assert await s.db.write(lambda tx: identities.forget_attempts(tx, ends, 2)) == 1
        assert "sign-ins.forget" in SCHEDULE
        answer = answer_of(corp.consent(begun.location), begun.secret)
        with pytest.raises(Unauthorized):
            await outside.complete(s, "corp", answer, HOME, "r")

    registries.run(use)


def test_too_many_beginnings(registries: Registries, corp: IdentityProvider) -> None:
    """Nobody fills the registry with sign-ins that nobody will end."""

    async def use(s: Services) -> None:
        s = speaking(s)
        guard = Guard(s.proxies, attempts=Attempts(lambda: 0.0, per_name=1))
        s = msgspec.structs.replace(s, guard=guard)
        await registered(s, corp)
        for _ in range(30):
            await outside.begin(s, "corp", "/", BACK, HOME)
        with pytest.raises(TooManyRequests):
            await outside.begin(s, "corp", "/", BACK, HOME)
        await outside.begin(s, "corp", "/", BACK, "192.0.2.2")

    registries.run(use)


def test_only_administrators(registries: Registries, corp: IdentityProvider) -> None:
    async def use(s: Services) -> None:
        s = speaking(s)
        await registered(s, corp)
        alice = await person(s, "alice")
        for attempt in (
            providers.add_provider(s, alice, NewProvider("b", corp.url, CLIENT), BY),
            providers.list_providers(s, alice, "", 10),
            providers.find_provider(s, alice, "corp"),
            providers.set_enabled(s, alice, "corp", BY, enabled=False),
            providers.set_secret(s, alice, "corp", "x", BY),
            providers.remove_provider(s, alice, "corp", BY),
        ):
            with pytest.raises(NotPermitted):
                await attempt

    registries.run(use)


NO_PROVIDERS: list[dict[str, str]] = [
    {"name": "a/b"},
    {"name": ""},
    {"url": "https://user@login.example"},
    {"url": "https://login.example?x"},
    {"url": "ftp://login.example"},
    {"client_id": ""},
    {"client_id": "a\nb"},
    {"secret": "a\0"},
    {"scopes": "profile"},
    {"name_claim": ""},
]


def test_what_is_no_provider(registries: Registries, corp: IdentityProvider) -> None:
    async def use(s: Services) -> None:
        s = speaking(s)
        root = await registered(s, corp)
        for changes in NO_PROVIDERS:
            wanted = msgspec.structs.replace(NewProvider("other", corp.url, CLIENT), **changes)
            with pytest.raises(Invalid):
                await providers.add_provider(s, root, wanted, BY)

    registries.run(use)


def test_what_does_not_answer_as_one(registries: Registries, corp: IdentityProvider) -> None:
    async def use(s: Services) -> None:
        inside = s
        s = speaking(s)
        root = await registered(s, corp)
        wanted = NewProvider("other", corp.url, CLIENT)
        with pytest.raises(Invalid, match="https://"):
            await providers.add_provider(inside, root, wanted, BY)
        good = corp.about
        for about in (
            {**good, "issuer": "https://other.example"},
            {**good, "token_endpoint": None},
            {**good, "token_endpoint": "http://10.0.0.1/token"},
            {**good, "authorization_endpoint": "javascript:alert(1)"},
        ):
            corp.about = about
            with pytest.raises(Invalid):
                await providers.add_provider(s, root, wanted, BY)
        corp.about = good
        await providers.add_provider(s, root, wanted, BY)
        with pytest.raises(Conflicting):
            await providers.add_provider(s, root, wanted, BY)

    registries.run(use)


def test_two_at_once_are_one(registries: Registries, corp: IdentityProvider) -> None:
    """Whoever comes for the first time in two tabs has one account."""

    async def use(first: Services, second: Services) -> None:
        first, second = speaking(first), speaking(second)
        await registered(first, corp)
        found = await asyncio.gather(*(come(each, corp) for each in (first, second) * 3))
        assert len({actor.subject.principal_id for actor, _ in found}) == 1

    registries.run(use, 2)


def test_a_group_goes_while_its_people_come(registries: Registries, corp: IdentityProvider) -> None:
    """Whichever is first: once the group has gone, nobody is in the team by it."""

    async def use(first: Services, second: Services) -> None:
        first, second = speaking(first), speaking(second)
        await registered(first, corp)
        owner = await shop(first)
        await come(first, corp)
        place, group = ("web", "dev"), ("corp", "dev")
        for _ in range(8):
            await teams.add_group(first, owner, place, group, BY)
            (actor, _), *_ = await asyncio.gather(
                come(first, corp), teams.remove_group(second, owner, place, group, BY)
            )
            assert not await may_push(first, actor)

    registries.run(use, 2)


async def _stands(s: Services, actor: Actor) -> bool:
    """Tell whether what the actor signed in with is good at this moment."""
    return (await s.db.read(lambda tx: access.find_standing(tx, actor.subject))).standing > 0


def _at(s: Services, actor: Actor) -> Actor:
    """Return the actor as it asks at the services' time."""
    subject = msgspec.structs.replace(actor.subject, asked_at=s.clock.now())
    return msgspec.structs.replace(actor, subject=subject)


async def _as_asked(s: Services, secret: str) -> Actor:
    """Return who a token stands for at the registry's door."""
    return await s.auth.sign_in("token", secret, cast("Request", _Asked()))


class _Asked:
    """A request as far as its address is concerned."""

    def connection(self, name: str) -> Any:
        """Return where it is from."""
        return (HOME, 1) if name == "peername" else None
