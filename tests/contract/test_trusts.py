"""Trusts from end to end below HTTP: a real issuer, both databases, every use case and refusal."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

import oidc
from contract.conftest import OpenDatabase, Registries
from moorage.auth.policy import decide
from moorage.config import Outbound
from moorage.db import access, grants, issuers, members, namespaces, principals, trusts
from moorage.db.engine import Tx
from moorage.db.events import LIST_OUTBOX
from moorage.errors import (
    Conflicting,
    Invalid,
    NotFound,
    NotPermitted,
    RegistryError,
    Unauthorized,
    Unavailable,
)
from moorage.model import presets
from moorage.model.access import Action, Actor, RepositoryTarget, Role, Scope, Subject
from moorage.model.artifacts import TagChange
from moorage.model.trusts import Rule
from moorage.oci.names import RepositoryName
from moorage.registry import exchange, rights, upkeep
from moorage.registry import issuers as issuer_cases
from moorage.registry import trusts as cases
from moorage.registry.issuers import NewIssuer
from moorage.registry.services import Services
from moorage.registry.trusts import NewTrust

URL = "https://registry.example"
BY = TagChange("admin", "password", "request-1")
NAME = RepositoryName.parse("web/shop")
MAIN = {
    "sub": "repo:acme/shop:ref:refs/heads/main",
    "aud": URL,
    "repository": "acme/shop",
    "repository_id": "77",
    "ref": "refs/heads/main",
    "event_name": "push",
}
RULES = presets.github("acme/shop", "77", branch="main")


class Scene:
    """A registry with people, a namespace with a robot, and a running issuer."""

    def __init__(self, s: Services, running: oidc.Issuer, ids: dict[str, int]) -> None:
        self.s, self.running, self.ids = s, running, ids

    def actor(self, name: str) -> Actor:
        """Return somebody who has signed in."""
        subject = Subject(self.ids[name], 0, 1)
        kind = "robot" if "+" in name else "account"
        return Actor(kind, name, "password", subject=subject)

    async def register(self, **changes: Any) -> Any:
        """Register the issuer."""
        wanted = {"url": self.running.url, "kind": "github", "shared": True, **changes}
        return await issuer_cases.add_issuer(self.s, self.actor("admin"), NewIssuer(**wanted), BY)

    async def add(self, who: str = "owner", namespace: str = "web", **changes: Any) -> Any:
        """Add a trust."""
        wanted = {
            "name": "ci",
            "issuer": self.running.url,
            "robot": "ci",
            "rules": RULES,
            **changes,
        }
        return await cases.add_trust(self.s, self.actor(who), namespace, NewTrust(**wanted), BY)

    def token(self, **changes: Any) -> str:
        """Return a token of the main branch, with changes."""
        return self.running.sign({**MAIN, **changes})

    async def identify(self, **changes: Any) -> Actor:
        """Return who such a token stands for."""
        return await self.s.assertions.identify(self.token(**changes), grace=0)

    async def may(self, actor: Actor, action: Action = Action.PUSH) -> bool:
        """Tell whether the actor may do this in web/shop, by what is in force now."""
        found = await rights.find(self.s, actor, NAME)
        return decide(actor, action, RepositoryTarget(NAME), found.facts).allowed

    async def uses(self, name: str = "ci") -> list[Any]:
        """Return the last uses of a trust."""
        await self.s.assertions.uses.flush()
        return await cases.list_uses(self.s, self.actor("owner"), "web", name)


async def people(tx: Tx) -> dict[str, int]:
    """Make an administrator, owners of two namespaces, others, and a robot in each."""
    ids: dict[str, int] = {}
    for name in ("admin", "owner", "writer", "auditor", "stranger", "other-owner"):
        number = await principals.add_account(
            tx, name, password="", administrator=name == "admin", now=1
        )
        assert number is not None
        ids[name] = number
    for home, owner in (("web", "owner"), ("other", "other-owner")):
        place = await namespaces.add_namespace(tx, home, "organisation", "private", 1)
        assert place is not None
        robot = await members.add_principal(tx, "robot", place, f"{home}+ci", "", 1)
        assert robot is not None
        ids[f"{home}+ci"] = robot
        await grants.put_grant(tx, ids[owner], (place, 0), Role.OWNER, "admin", 1)
        await grants.put_grant(tx, robot, (place, 0), Role.WRITER, "admin", 1)
        if home == "web":
            await grants.put_grant(tx, ids["writer"], (place, 0), Role.MAINTAINER, "admin", 1)
            await grants.put_grant(tx, ids["auditor"], (place, 0), Role.AUDITOR, "admin", 1)
    return ids


@pytest.fixture
def running() -> Iterator[oidc.Issuer]:
    """Run an issuer for one test."""
    with oidc.Issuer() as found:
        yield found


class Claimed:
    """A job under way, as far as those of upkeep ask anything of it."""

    def __init__(self, s: Services) -> None:
        self.write = s.db.write


Play = Callable[..., None]


@pytest.fixture
def play(database: OpenDatabase, running: oidc.Issuer) -> Play:
    """Return a function that runs a coroutine function on a scene."""
    config = msgspec.structs.replace(
        database.config, url=URL, outbound=Outbound(allow=("127.0.0.0/8",))
    )

    def run(use: Callable[..., Awaitable[Any]], count: int = 1) -> None:
        async def body(*built: Services) -> None:
            ids = await built[0].db.write(people)
            await use(*(Scene(s, running, ids) for s in built))
            for s in built:
                await s.assertions.uses.flush()

        Registries(config).run(body, count)

    return run


@asynccontextmanager
async def refused(kind: type[RegistryError], words: str = "") -> AsyncIterator[None]:
    """Expect a refusal in those words."""
    with pytest.raises(kind) as caught:
        yield
    assert words in caught.value.message, caught.value.message


def test_a_token_stands_for_the_robot(play: Play) -> None:
    async def use(scene: Scene) -> None:
        await scene.register()
        trust = await scene.add(scopes=(Scope("web/shop", frozenset({"pull", "push"})),))
        began = time.time()
        actor = await scene.identify()
        assert (actor.kind, actor.name, actor.credential) == ("robot", "web+ci", "trust:1")
        assert actor.subject == Subject(scene.ids["web+ci"], trust.token_id, 0)
        assert actor.scopes == (Scope("web/shop", frozenset({"pull", "push"})),)
        assert 290_000 < actor.expires_at - began * 1_000 < 310_000
        assert await scene.may(actor)
        assert not await scene.may(actor, Action.DELETE)

    play(use)


WRONG_TOKENS: list[tuple[dict[str, Any], str]] = [
    ({"exp": None}, "never runs out"),
    ({"exp": int(time.time()) - 1}, "has run out"),
    ({"exp": 0}, "has run out"),
    ({"exp": -(10**30)}, "has run out"),
    ({"exp": int(time.time()) + 90_000}, "24 hours"),
    ({"exp": 10**30}, "24 hours"),
    ({"exp": "soon"}, "no time"),
    ({"exp": True}, "no time"),
    ({"exp": [5]}, "no time"),
    ({"nbf": int(time.time()) + 3_600}, "not good yet"),
    ({"iat": int(time.time()) + 3_600}, "not good yet"),
    ({"nbf": "x"}, "no time"),
    ({"aud": None}, "audience is none"),
    ({"aud": "https://other.example"}, "audience is https://other.example"),
    ({"aud": [URL, "https://other.example"]}, "audience is"),
    ({"aud": URL + "/"}, "audience is"),
    ({"iss": None}, "no issuer"),
    ({"iss": 5}, "no issuer"),
    ({"iss": "x" * 2_000}, "no issuer"),
    ({"iss": "https://a\0b"}, "no issuer"),
    ({"iss": "https://evil.example"}, "not trusted here"),
    ({"repository": "acme/shop-evil"}, "repository acme/shop-evil"),
    ({"repository_id": "78"}, "no trust here is about"),
    ({"ref": "refs/heads/dev"}, "only allows branch main"),
    ({"ref": "refs/heads/main/x"}, "only allows branch main"),
    ({"event_name": "pull_request"}, "event_name pull_request"),
]


@pytest.mark.requirement("S-24", "S-25", "S-26", "S-32")
def test_tokens_that_are_refused(play: Play, running: oidc.Issuer) -> None:
    async def use(scene: Scene) -> None:
        await scene.register()
        await scene.add()
        await scene.identify()
        asked = len(running.asked)
        for changes, told in WRONG_TOKENS:
            async with refused(Unauthorized, told):
                await scene.identify(**changes)
        assert len(running.asked) == asked

    play(use)


@pytest.mark.requirement("S-24", "S-25")
def test_forgeries_are_refused_and_ask_nobody(play: Play, running: oidc.Issuer) -> None:
    async def use(scene: Scene) -> None:
        await scene.register()
        await scene.add()
        await scene.identify()
        asked = len(running.asked)
        own = oidc.new_key("ES256", "key-1")
        claims = running.claims(**MAIN)
        evil = "https://evil.example/keys"
        for header in (
            {"jwk": own.as_dict(private=False)},
            {"jku": evil},
            {"x5u": evil},
            {"x5c": ["MIIB"]},
            {"crit": ["exp"]},
            {"alg": "none"},
            {"alg": "RS256"},
            {"kid": "made-up"},
            {"kid": evil},
            {"kid": "../../etc/passwd"},
            {},
        ):
            async with refused(Unauthorized, "the identity token is refused"):
                text = oidc.sign(own, running.header(**header), claims)
                await scene.s.assertions.identify(text, grace=0)
        assert len(running.asked) == asked
        good = scene.token()
        for text in (
            good[:-8] + "AAAAAAAA",
            good.rpartition(".")[0] + ".",
            "eyJ.eyJ.x",
            "a" * 9_000,
        ):
            async with refused(Unauthorized):
                await scene.s.assertions.identify(text, grace=0)

    play(use)


def test_skew_and_rotation(play: Play, running: oidc.Issuer) -> None:
    async def use(scene: Scene) -> None:
        await scene.register()
        await scene.add()
        now = int(time.time())
        assert await scene.identify(nbf=now + 30, iat=now + 30)
        assert await scene.identify(nbf=None, iat=None)
        assert await scene.identify(exp=now + 86_000)
        running.rotate()
        assert "key-1" in str(running.jwks)

    play(use)


def test_old_keys_do_while_the_issuer_is_away(play: Play, running: oidc.Issuer) -> None:
    async def use(scene: Scene, other: Scene) -> None:
        await scene.register()
        await scene.add()
        await scene.identify()
        running.status = 500
        assert await scene.identify()
        async with refused(Unavailable, "500"):
            await other.identify()
        running.status = 200

    play(use, count=2)


@pytest.mark.parametrize("how", ["disable", "remove", "issuer", "robot", "robot's end"])
def test_everything_ends_at_once_on_every_replica(play: Play, how: str) -> None:
    async def use(scene: Scene, other: Scene) -> None:
        issuer = await scene.register()
        await scene.add()
        text = scene.token()
        known = await other.s.assertions.identify(text, grace=0)
        given = await exchange.exchange(scene.s, text, "r")
        exchanged = await other.s.auth._holder(given.token)
        assert await other.may(known)
        assert await other.may(exchanged)
        if how == "disable":
            await cases.set_trust_enabled(
                scene.s, scene.actor("owner"), "web", "ci", BY, enabled=False
            )
        elif how == "remove":
            await cases.remove_trust(scene.s, scene.actor("owner"), "web", "ci", BY)
        elif how == "issuer":
            await issuer_cases.set_issuer_enabled(
                scene.s, scene.actor("admin"), issuer.id, BY, enabled=False
            )
        else:

            async def end(tx: Tx) -> None:
                robot = scene.ids["web+ci"]
                if how == "robot":
                    await principals.set_standing(tx, robot, enabled=False, administrator=False)
                else:
                    await members.end_principal(tx, robot, 5)

            await scene.s.db.write(end)
        again = await other.s.assertions.identify(text, grace=0)
        assert not await other.may(known)
        assert not await other.may(again)
        assert not await other.may(exchanged)
        if how in ("disable", "remove", "issuer"):
            async with refused(Unauthorized):
                await other.identify()
        async with refused(Unauthorized):
            await exchange.exchange(scene.s, scene.token(), "r")

    play(use, count=2)


def test_putting_in_force_again_gives_nothing_back(play: Play) -> None:
    async def use(scene: Scene) -> None:
        issuer = await scene.register()
        await scene.add()
        admin, owner = scene.actor("admin"), scene.actor("owner")
        first = await scene.identify()
        for enabled in (False, True):
            await cases.set_trust_enabled(scene.s, owner, "web", "ci", BY, enabled=enabled)
        second = await scene.identify()
        assert (await scene.may(first), await scene.may(second)) == (False, True)
        for enabled in (False, True):
            await issuer_cases.set_issuer_enabled(scene.s, admin, issuer.id, BY, enabled=enabled)
        third = await scene.identify()
        assert (await scene.may(second), await scene.may(third)) == (False, True)
        await cases.set_trust_enabled(scene.s, owner, "web", "ci", BY, enabled=False)
        for enabled in (False, True):
            await issuer_cases.set_issuer_enabled(scene.s, admin, issuer.id, BY, enabled=enabled)
        async with refused(Unauthorized):
            await scene.identify()

    play(use)


def test_what_was_let_in_ends_before_the_trust_does(play: Play) -> None:
    """A write by right of a trust is over once its end has been acknowledged, or is refused."""

    async def use(scene: Scene, other: Scene) -> None:
        await scene.register()
        await scene.add()
        actor = await scene.identify()
        inside, order, loop = asyncio.Event(), [], asyncio.get_running_loop()

        async def push(tx: Tx) -> None:
            await rights.hold(tx, actor, Action.PUSH, RepositoryTarget(NAME))
            loop.call_soon_threadsafe(inside.set)
            for _ in range(500):  # for long enough that the other one comes
                await access.find_target(tx, actor.subject, NAME)
            order.append("pushed")

        async def disable() -> None:
            await inside.wait()
            owner = other.actor("owner")
            await cases.set_trust_enabled(other.s, owner, "web", "ci", BY, enabled=False)
            order.append("disabled")

        await asyncio.gather(scene.s.db.write(push), disable())
        assert order == ["pushed", "disabled"]
        async with refused(Unauthorized, "no longer good"):
            await scene.s.db.write(push)

    play(use, count=2)


def test_exchange_is_good_once(play: Play) -> None:
    async def use(scene: Scene, other: Scene) -> None:
        await scene.register()
        await scene.add(scopes=(Scope("web/**", frozenset({"pull"})),))
        text = scene.token()
        answers = await asyncio.gather(
            *(exchange.exchange(each.s, text, "r") for each in (scene, other) * 3),
            return_exceptions=True,
        )
        given = [each for each in answers if isinstance(each, exchange.Exchanged)]
        assert len(given) == 1
        assert all(isinstance(each, Unauthorized) for each in answers if each not in given)
        assert given[0].robot == "web+ci"
        assert given[0].token not in repr(given[0])
        actor = await scene.s.auth._holder(given[0].token)
        assert (await scene.may(actor, Action.PULL), await scene.may(actor)) == (True, False)
        assert actor.scopes == (Scope("web/**", frozenset({"pull"})),)
        # The same once more, in another form: what was signed counts, not how.
        async with refused(Unauthorized, "exchanged already"):
            await exchange.exchange(scene.s, text, "r")
        assert await exchange.exchange(scene.s, scene.token(), "r")
        no_jti = scene.token(jti=None)
        assert await exchange.exchange(scene.s, no_jti, "r")
        async with refused(Unauthorized, "exchanged already"):
            await exchange.exchange(other.s, no_jti, "r")
        assert await scene.s.assertions.identify(text, grace=0), "as a password it still is"

    play(use, count=2)


def test_used_tokens_are_forgotten_after_their_time(play: Play) -> None:
    async def use(scene: Scene) -> None:
        issuer = await scene.register()

        async def write(tx: Tx) -> None:
            for number in range(5):
                assert await issuers.spend_assertion(tx, issuer.id, f"jti-{number}", number * 10)

        await scene.s.db.write(write)

        async def forget(tx: Tx) -> list[int]:
            return [await issuers.forget_assertions(tx, 20, 2) for _ in range(3)]

        assert await scene.s.db.write(forget) == [2, 1, 0]
        assert "assertions.forget" in upkeep.SCHEDULE
        await upkeep.work(scene.s)["assertions.forget"](Claimed(scene.s))

        async def again(tx: Tx) -> list[bool]:
            found = [
                await issuers.spend_assertion(tx, issuer.id, f"jti-{n}", 100) for n in range(5)
            ]
            return [*found, await issuers.spend_assertion(tx, issuer.id + 1, "jti-4", 100)]

        assert await scene.s.db.write(again) == [True] * 6, "the job forgets what has run out"

    play(use)


@pytest.mark.parametrize("who", ["writer", "stranger", "other-owner"])
def test_trusts_are_for_owners(play: Play, who: str) -> None:
    async def use(scene: Scene) -> None:
        await scene.register()
        await scene.add()
        actor = scene.actor(who)
        for attempt in (
            lambda: scene.add(who, name="evil"),
            lambda: cases.list_trusts(scene.s, actor, "web", "", 10),
            lambda: cases.list_uses(scene.s, actor, "web", "ci"),
            lambda: cases.list_uses(scene.s, actor, "web", "missing"),
            lambda: cases.set_trust_enabled(scene.s, actor, "web", "ci", BY, enabled=False),
            lambda: cases.remove_trust(scene.s, actor, "web", "ci", BY),
            lambda: cases.explain(scene.s, actor, "web", scene.token()),
            lambda: cases.list_trusts(scene.s, actor, "missing", "", 10),
        ):
            async with refused(NotPermitted, f"{who} has no"):
                await attempt()
        async with refused(Unauthorized):
            await cases.list_trusts(scene.s, Actor("anonymous", "anonymous", "none"), "web", "", 9)
        assert await scene.identify()

    play(use)


def test_auditors_see_and_change_nothing(play: Play) -> None:
    async def use(scene: Scene) -> None:
        await scene.register()
        await scene.add()
        auditor = scene.actor("auditor")
        assert [each.name for each in await cases.list_trusts(scene.s, auditor, "web", "", 9)]
        assert await cases.list_uses(scene.s, auditor, "web", "ci") == []
        async with refused(NotPermitted):
            await cases.remove_trust(scene.s, auditor, "web", "ci", BY)

    play(use)


def test_issuers_are_for_administrators(play: Play) -> None:
    async def use(scene: Scene) -> None:
        issuer = await scene.register()
        for who in ("owner", "auditor", "stranger", "web+ci"):
            actor = scene.actor(who)
            wanted = NewIssuer(scene.running.url + "/x", jwks=scene.running.jwks)
            for attempt in (
                lambda actor=actor, wanted=wanted: issuer_cases.add_issuer(
                    scene.s, actor, wanted, BY
                ),
                lambda actor=actor: issuer_cases.list_issuers(scene.s, actor, 0, 10),
                lambda actor=actor: issuer_cases.set_issuer_enabled(
                    scene.s, actor, issuer.id, BY, enabled=False
                ),
                lambda actor=actor: issuer_cases.set_issuer_keys(
                    scene.s, actor, issuer.id, scene.running.jwks, BY
                ),
                lambda actor=actor: issuer_cases.remove_issuer(scene.s, actor, issuer.id, BY),
            ):
                async with refused(NotPermitted):
                    await attempt()
        found = await issuer_cases.list_issuers(scene.s, scene.actor("admin"), 0, 10)
        assert found == [issuer]

    play(use)


def test_registering_issuers(play: Play, running: oidc.Issuer) -> None:
    async def use(scene: Scene) -> None:
        issuer = await scene.register(kind="generic", shared=False)
        async with refused(Conflicting, "already"):
            await scene.register()
        for url in (
            "",
            "ftp://x.example",
            "https://",
            "https://x.example?y",
            "https://u@x.example",
            "https://x.example#y",
            "https://x.exa mple",
            "https://x.example\n",
            "https://é.example",
            "https://x.example/" + "a" * 600,
        ):
            async with refused(Invalid, "address of an issuer"):
                await scene.register(url=url, jwks=running.jwks)
        for url in ("https://10.0.0.1", "http://10.0.0.1", "https://[::1]", "http://127.0.0.1:1"):
            async with refused(Invalid, "can't be had"):
                await scene.register(url=url)
        async with refused(Invalid, "call itself"):
            await scene.register(url=running.url + "/")
        for jwks in (b"x", b"{}", b'{"keys":[]}', b" " * 70_000):
            async with refused(Invalid, "set of keys"):
                await scene.register(url="https://cluster.internal", jwks=jwks)
        async with refused(Invalid, "whole path"):
            await scene.register(url="https://c.internal", jwks=running.jwks, ca_file="../x")
        cluster = await scene.register(
            url="https://kubernetes.default.svc", kind="kubernetes", shared=False, jwks=running.jwks
        )
        assert not cluster.shared
        for url, kind in (
            ("https://token.actions.githubusercontent.com", "github"),
            ("https://token.actions.githubusercontent.com/acme", "github"),
            ("https://gitlab.com", "gitlab"),
        ):
            found = await scene.register(url=url, kind="generic", shared=False, jwks=running.jwks)
            assert (found.kind, found.shared) == (kind, True)
        await scene.add(rules=(Rule("sub", ("repo:acme/*:ref:refs/heads/main",)),))
        admin = scene.actor("admin")
        async with refused(Conflicting, "there are trusts"):
            await issuer_cases.remove_issuer(scene.s, admin, issuer.id, BY)
        await cases.remove_trust(scene.s, scene.actor("owner"), "web", "ci", BY)
        await issuer_cases.remove_issuer(scene.s, admin, issuer.id, BY)
        async with refused(NotFound):
            await issuer_cases.remove_issuer(scene.s, admin, issuer.id, BY)
        async with refused(Unauthorized, "not trusted here"):
            await scene.identify()

    play(use)


def test_keys_that_an_administrator_gives(play: Play, running: oidc.Issuer) -> None:
    async def use(scene: Scene) -> None:
        issuer = await scene.register(jwks=running.jwks)
        await scene.add()
        assert await scene.identify()
        running.rotate(keep=False)
        async with refused(Unauthorized, "no key"):
            await scene.identify()
        admin = scene.actor("admin")
        await issuer_cases.set_issuer_keys(scene.s, admin, issuer.id, running.jwks, BY)
        assert await scene.identify()
        assert running.asked == []
        await issuer_cases.set_issuer_keys(scene.s, admin, issuer.id, b"", BY)
        assert await scene.identify()
        assert len(running.asked) == 2
        async with refused(NotFound):
            await issuer_cases.set_issuer_keys(scene.s, admin, 999, b"", BY)

    play(use)


WRONG_TRUSTS: list[tuple[dict[str, Any], type[RegistryError], str]] = [
    ({"name": "CI"}, Invalid, "name"),
    ({"name": "../x"}, Invalid, "name"),
    ({"issuer": "https://unknown.example"}, NotFound, "no issuer"),
    ({"issuer": "https://unknown.example\0"}, NotFound, "no issuer"),
    ({"robot": "missing"}, NotFound, "no robot"),
    ({"robot": "other+ci"}, NotFound, "no robot"),
    ({"rules": ()}, Invalid, "rules"),
    ({"rules": (Rule("repository", ("acme/shop",)),)}, Invalid, "repository_id"),
    ({"rules": (Rule("repository_id", ("7*",)),)}, Invalid, "repository_id"),
    ({"audience": "https://other.example"}, Invalid, "audience must be"),
    ({"audience": "registry.example.evil"}, Invalid, "audience must be"),
    ({"audience": "a b"}, Invalid, "audience"),
    ({"scopes": ()}, Invalid, "patterns"),
    ({"scopes": (Scope("web/shop", frozenset()),)}, Invalid, "pull, push"),
    ({"scopes": (Scope("web/shop", frozenset({"*"})),)}, Invalid, "pull, push"),
    ({"scopes": (Scope("other/shop", frozenset({"pull"})),)}, Invalid, "nothing in web"),
    ({"scopes": (Scope("other/**", frozenset({"pull"})),)}, Invalid, "nothing in web"),
    ({"scopes": (Scope("**", frozenset({"pull"})),)}, Invalid, "nothing in web"),
    ({"scopes": (Scope("web", frozenset({"pull"})),)}, Invalid, "nothing in web"),
    ({"scopes": (Scope("web*", frozenset({"pull"})),)}, Invalid, "nothing in web"),
]


def test_trusts_that_are_refused(play: Play) -> None:
    async def use(scene: Scene) -> None:
        await scene.register()
        for changes, kind, told in WRONG_TRUSTS:
            async with refused(kind, told):
                await scene.add(**changes)
        assert await cases.list_trusts(scene.s, scene.actor("owner"), "web", "", 9) == []

    play(use)


def test_pages_and_names(play: Play) -> None:
    async def use(scene: Scene) -> None:
        await scene.register()
        for name in ("c", "a", "b"):
            await scene.add(name=name, audience="registry.example" if name == "b" else "")
        await scene.add("other-owner", "other", name="a")
        async with refused(Conflicting, "already"):
            await scene.add(name="a")
        owner = scene.actor("owner")
        first = await cases.list_trusts(scene.s, owner, "web", "", 2)
        rest = await cases.list_trusts(scene.s, owner, "web", "b", 2)
        assert [each.name for each in first + rest] == ["a", "b", "c"]
        assert [each.audience for each in first] == [URL, "registry.example"]
        assert first[0].rules == RULES
        for case in (
            cases.remove_trust(scene.s, owner, "web", "missing", BY),
            cases.set_trust_enabled(scene.s, owner, "web", "missing", BY, enabled=True),
            cases.list_uses(scene.s, owner, "web", "missing"),
        ):
            async with refused(NotFound):
                await case
        # Of another namespace, and untouched by all this.
        kept = await cases.list_trusts(scene.s, scene.actor("other-owner"), "other", "", 9)
        assert [each.enabled for each in kept] == [True]

    play(use)


def test_the_first_trust_that_holds(play: Play) -> None:
    async def use(scene: Scene) -> None:
        await scene.register()
        await scene.add(name="dev", rules=presets.github("acme/shop", "77", branch="dev"))
        await scene.add(name="main")
        await scene.add(name="later")
        assert (await scene.identify()).credential == "trust:2"
        assert (await scene.identify(ref="refs/heads/dev")).credential == "trust:1"
        async with refused(Unauthorized, "only allows branch"):
            await scene.identify(ref="refs/heads/x")

    play(use)


@pytest.mark.requirement("S-32")
def test_nobody_takes_a_workload_from_another(play: Play) -> None:
    async def use(scene: Scene) -> None:
        await scene.register()
        await scene.add("other-owner", "other")
        await scene.add()
        text = scene.token()
        for user in ("web+ci", "other+ci"):
            actor = await scene.s.assertions.identify(text, grace=0, user=user)
            assert actor.name == user
        for user in ("", "oidc", "web"):
            async with refused(Unauthorized, "several robots"):
                await scene.s.assertions.identify(text, grace=0, user=user)
        async with refused(Unauthorized, "no trust here"):
            await scene.s.assertions.identify(text, grace=0, user="none+ci")
        async with refused(Unauthorized, "several robots"):
            await exchange.exchange(scene.s, text, "r")
        assert (await exchange.exchange(scene.s, text, "r", "web+ci")).robot == "web+ci"

    play(use)


@pytest.mark.requirement("S-32")
def test_last_uses_with_why_they_were_refused(play: Play) -> None:
    async def use(scene: Scene) -> None:
        await scene.register()
        await scene.add()
        text = scene.token()
        for _ in range(3):
            await scene.s.assertions.identify(text, grace=0)
        async with refused(Unauthorized):
            await scene.identify(ref="refs/heads/dev", secret="hidden")
        uses = await scene.uses()
        assert [each.accepted for each in uses] == [False, True], "the same token is one use"
        assert uses[0].reason == (
            "subject repo:acme/shop:ref:refs/heads/main: it has ref refs/heads/dev, "
            "this trust only allows branch main"
        )
        assert uses[0].claims["ref"] == "refs/heads/dev"
        assert "hidden" not in str(uses)
        [trust] = await cases.list_trusts(scene.s, scene.actor("owner"), "web", "", 9)
        assert trust.last_used_at == uses[1].at

    play(use)


def test_a_flood_leaves_no_more_than_the_last(play: Play) -> None:
    async def use(scene: Scene) -> None:
        await scene.register()
        await scene.add()
        for _ in range(3):
            for number in range(50):
                async with refused(Unauthorized):
                    await scene.identify(ref=f"refs/heads/{number}")
                # Neither unproved tokens nor those of strangers are written down.
                async with refused(Unauthorized):
                    await scene.identify(repository_id="666")
                async with refused(Unauthorized):
                    await scene.s.assertions.identify(scene.token()[:-4] + "AAAA", grace=0)
            uses = await scene.uses()
        assert [each.claims["ref"] for each in uses] == [
            f"refs/heads/{number}" for number in range(49, 29, -1)
        ]

        async def count(tx: Tx) -> int:
            return len(await tx.many(trusts.LIST_USES, trust_id=1, limit=1_000))

        assert await scene.s.db.read(count) == trusts.KEPT_USES

    play(use)


def test_trying_a_token_explains_and_changes_nothing(play: Play) -> None:
    async def use(scene: Scene) -> None:
        await scene.register()
        await scene.add()
        await scene.add("other-owner", "other", name="theirs")
        owner = scene.actor("owner")
        good = await cases.explain(scene.s, owner, "web", scene.token() + "\n")
        assert (good.allowed, good.problem) == (True, "")
        assert [each.trust for each in good.tried] == ["ci"]
        assert [each.claim for each in good.tried[0].verdicts][:2] == ["aud", "repository_id"]
        late = await cases.explain(scene.s, owner, "web", scene.token(exp=5, ref="refs/heads/dev"))
        assert not late.allowed
        assert "has run out" in late.problem
        wrong = [each for each in late.tried[0].verdicts if not each.holds]
        assert [(each.claim, each.value, each.allowed) for each in wrong] == [
            ("ref", "refs/heads/dev", ("refs/heads/main",))
        ]
        foreign = await cases.explain(
            scene.s, owner, "web", scene.token(iss="https://evil.example")
        )
        assert (foreign.allowed, foreign.tried) == (False, ())
        assert "not trusted here" in foreign.problem
        for text in ("", "x", "a.b.c", "\0"):
            async with refused(Invalid):
                await cases.explain(scene.s, owner, "web", text)
        assert await scene.uses() == []
        assert await exchange.exchange(scene.s, scene.token(), "r", "web+ci")

    play(use)


def test_every_change_is_told(play: Play) -> None:
    async def use(scene: Scene) -> None:
        issuer = await scene.register()
        admin, owner = scene.actor("admin"), scene.actor("owner")
        await scene.add()
        text = scene.token()
        given = await exchange.exchange(scene.s, text, "r")
        for enabled in (False, False, True):
            await cases.set_trust_enabled(scene.s, owner, "web", "ci", BY, enabled=enabled)
            await issuer_cases.set_issuer_enabled(scene.s, admin, issuer.id, BY, enabled=enabled)
        await cases.remove_trust(scene.s, owner, "web", "ci", BY)
        await issuer_cases.set_issuer_keys(scene.s, admin, issuer.id, scene.running.jwks, BY)
        await issuer_cases.remove_issuer(scene.s, admin, issuer.id, BY)

        async def read(tx: Tx) -> list[Any]:
            return await tx.many(LIST_OUTBOX, limit=100)

        rows = await scene.s.db.read(read)
        assert [row[1] for row in rows] == [
            "issuer.added",
            "trust.added",
            "trust.exchanged",
            "trust.disabled",
            "issuer.disabled",
            "trust.enabled",
            "issuer.enabled",
            "trust.removed",
            "issuer.keys-changed",
            "issuer.removed",
        ]
        assert given.token not in str(rows)
        assert text not in str(rows)

    play(use)


def test_two_add_the_same_and_one_disables_meanwhile(play: Play) -> None:
    async def use(scene: Scene, other: Scene) -> None:
        issuer = await scene.register()
        answers = await asyncio.gather(
            *(each.add(name="same") for each in (scene, other) * 3), return_exceptions=True
        )
        assert sum(isinstance(each, Conflicting) for each in answers) == 5
        admin = scene.actor("admin")
        answers = await asyncio.gather(
            issuer_cases.set_issuer_enabled(scene.s, admin, issuer.id, BY, enabled=False),
            *(other.add(name=f"new-{number}") for number in range(5)),
            return_exceptions=True,
        )
        assert not [each for each in answers if isinstance(each, Unavailable)], answers
        await issuer_cases.set_issuer_enabled(scene.s, admin, issuer.id, BY, enabled=True)
        assert await scene.identify()

    play(use, count=2)
