"""Sessions of pages, and second factors: what signs in, once, and in one text what does not."""

import asyncio
import base64
from typing import Any, cast

import msgspec
import pyotp
import pytest
from multidict import CIMultiDict

from contract.conftest import Registries
from moorage.auth.attempts import Attempts
from moorage.auth.credentials import Guard
from moorage.auth.passwords import hash_password
from moorage.clock import MINUTE, SECOND
from moorage.db import access, principals
from moorage.errors import (
    Conflicting,
    Invalid,
    NotFound,
    NotPermitted,
    TooManyRequests,
    Unauthorized,
)
from moorage.model.access import Actor
from moorage.registry import accounts, sign_in, tokens, totp
from moorage.registry.services import Services
from moorage.web.request import Request
from people import ANONYMOUS, BY, PASSWORD, again, everything_told, later, person, still

HASHED = hash_password(PASSWORD)
Refused = (Unauthorized, NotPermitted)
HOME = "192.0.2.1"


class Asked:
    """A request with a header, as far as credentials are concerned."""

    def __init__(self, authorization: str, address: str = HOME) -> None:
        self.headers = CIMultiDict({"Authorization": authorization})
        self.actor, self.address = "", address
        self.kept: dict[str, Any] = {}

    def connection(self, name: str) -> Any:
        """Return where it is from."""
        return (self.address, 1) if name == "peername" else None


async def basic(s: Services, user: str, password: str, address: str = HOME) -> Actor:
    """Return who that is at the registry's door."""
    text = base64.b64encode(f"{user}:{password}".encode()).decode()
    return await s.auth.authenticate(cast("Request", Asked(f"Basic {text}", address)))


async def with_password(s: Services, name: str = "alice") -> Actor:
    """Make an account with the password."""
    actor = await person(s, name)
    number = actor.subject.principal_id
    await s.db.write(lambda tx: principals.set_password(tx, number, HASHED, 1))
    return await again(s, actor)


def code_of(secret: str, s: Services, ahead: int = 0) -> str:
    """Return the code of the moment, or of so many steps later."""
    return pyotp.TOTP(secret).generate_otp(s.clock.now() // (30 * SECOND) + ahead)


async def with_totp(s: Services, alice: Actor) -> str:
    """Give the account a second factor, and return its secret."""
    begun = await totp.begin(s, alice)
    given = totp.Confirmation(begun.ticket, code_of(begun.secret, s, -1), PASSWORD)
    await totp.confirm(s, alice, given, HOME, BY)
    return begun.secret


def test_a_session(registries: Registries) -> None:
    async def use(s: Services) -> None:
        alice = await with_password(s)
        made = await sign_in.sign_in(s, "alice", PASSWORD, "", HOME, "r")
        actor = await sign_in.identify(s, made.secret)
        assert (actor.kind, actor.name, actor.scopes) == ("account", "alice", None)
        assert actor.subject.principal_id == alice.subject.principal_id
        assert await tokens.list_tokens(s, alice, "alice", 0, 10) == []
        for number in (actor.subject.token_id,):
            with pytest.raises(NotFound):
                await tokens.rotate_token(s, alice, number, BY)
        # A cookie's secret is no token and no password.
        for attempt in (
            basic(s, "alice", made.secret),
            s.auth.authenticate(cast("Request", Asked(f"Bearer {made.secret}"))),
        ):
            with pytest.raises(Unauthorized):
                await attempt
        token = await tokens.create_token(s, alice, "alice", tokens.Wanted("x"), BY)
        with pytest.raises(Unauthorized):
            await sign_in.identify(s, token.secret)
        with pytest.raises(Unauthorized):
            await sign_in.identify(later(s, sign_in.LIFE), made.secret)
        await sign_in.sign_out(s, made.secret, "r")
        await sign_in.sign_out(s, made.secret, "r")
        with pytest.raises(Unauthorized):
            await sign_in.identify(s, made.secret)
        facts = await s.db.read(lambda tx: access.find_standing(tx, actor.subject))
        assert facts.standing == 0
        assert made.secret.encode() not in await everything_told(s)

    registries.run(use)


def test_refused_in_one_text(registries: Registries) -> None:
    async def use(s: Services) -> None:
        root = await person(s, "root", administrator=True)
        await with_password(s)
        await with_password(s, "gone")
        await with_password(s, "off")
        await accounts.delete_account(s, root, "gone", BY)
        await accounts.set_enabled(s, root, "off", BY, enabled=False)
        told = set()
        for user, password in (
            ("alice", PASSWORD + "x"),
            ("nobody", PASSWORD),
            ("off", PASSWORD),
            ("gone", PASSWORD),
            ("root", ""),
            ("", ""),
        ):
            with pytest.raises(Unauthorized) as refused:
                await sign_in.sign_in(s, user, password, "", HOME, "r")
            told.add((refused.value.message, refused.value.hint))
        assert len(told) == 1

    registries.run(use)


def test_wrong_passwords_are_counted(registries: Registries) -> None:
    """At the page and at the registry's door alike, and before any is hashed."""

    async def use(s: Services) -> None:
        attempts = Attempts(lambda: 0.0)
        s = msgspec.structs.replace(s, guard=Guard(s.proxies, attempts=attempts))
        s.auth._guard = s.guard  # type: ignore[attr-defined]
        await with_password(s)
        await basic(s, "alice", PASSWORD)
        evil = "198.51.100.1"
        for _ in range(10):
            with pytest.raises(Unauthorized):
                await sign_in.sign_in(s, "alice", "wrong", "", evil, "r")
            with pytest.raises(Unauthorized):
                await basic(s, "alice", "wrong", evil)
        for attempt in (
            sign_in.sign_in(s, "alice", PASSWORD, "", evil, "r"),
            basic(s, "alice", "wrong", evil),
        ):
            with pytest.raises(TooManyRequests) as refused:
                await attempt
            assert int(refused.value.headers["Retry-After"]) > 0
        await sign_in.sign_in(s, "alice", PASSWORD, "", HOME, "r")

    registries.run(use)


def test_the_same_at_once_is_one_attempt(registries: Registries) -> None:
    """Docker asks with one password many times at once; none of them is a guess."""

    async def use(s: Services) -> None:
        await with_password(s)
        found = await asyncio.gather(*(basic(s, "alice", PASSWORD) for _ in range(100)))
        assert {each.name for each in found} == {"alice"}
        refused = await asyncio.gather(
            *(basic(s, "alice", "wrong") for _ in range(100)), return_exceptions=True
        )
        assert {type(each) for each in refused} == {Unauthorized}

    registries.run(use)


def test_a_second_factor(registries: Registries) -> None:
    async def use(s: Services) -> None:
        (s,) = still(s)
        alice = await with_password(s)
        secret = await with_totp(s, alice)
        # What the password alone had got is over, and it gets nothing more.
        facts = await s.db.read(lambda tx: access.find_standing(tx, alice.subject))
        assert facts.standing == 0
        with pytest.raises(Unauthorized):
            await basic(s, "alice", PASSWORD)
        for wrong in ("", "000000", "abcdef", "١٢٣٤٥٦", "0" * 1_000, code_of(secret, s, 9)):
            with pytest.raises(Unauthorized):
                await sign_in.sign_in(s, "alice", PASSWORD, wrong, HOME, "r")
        with pytest.raises(Unauthorized):
            await sign_in.sign_in(s, "alice", PASSWORD + "x", code_of(secret, s), HOME, "r")
        code = code_of(secret, s)
        await sign_in.sign_in(s, "alice", PASSWORD, code, HOME, "r")
        with pytest.raises(Unauthorized):
            await sign_in.sign_in(s, "alice", PASSWORD, code, HOME, "r")
        row = await s.db.read(lambda tx: principals.find_account(tx, "alice"))
        assert row is not None
        assert secret.encode() not in row.totp
        told = await everything_told(s)
        assert secret.encode() not in told

    registries.run(use)


def test_one_code_twice_at_once(registries: Registries) -> None:
    async def use(s: Services, t: Services) -> None:
        s, t = still(s, t)
        alice = await with_password(s)
        secret = await with_totp(s, alice)
        code = code_of(secret, s)
        done = await asyncio.gather(
            *(sign_in.sign_in(each, "alice", PASSWORD, code, HOME, "r") for each in (s, t)),
            return_exceptions=True,
        )
        assert sorted(type(each).__name__ for each in done) == ["SignedIn", "Unauthorized"], done

    registries.run(use, 2)


def test_the_code_of_the_enrolment_is_spent(registries: Registries) -> None:
    async def use(s: Services) -> None:
        (s,) = still(s)
        alice = await with_password(s)
        begun = await totp.begin(s, alice)
        code = code_of(begun.secret, s)
        given = totp.Confirmation(begun.ticket, code, PASSWORD)
        await totp.confirm(s, alice, given, HOME, BY)
        with pytest.raises(Unauthorized):
            await sign_in.sign_in(s, "alice", PASSWORD, code, HOME, "r")

    registries.run(use)


def test_what_confirms_nothing(registries: Registries) -> None:
    async def use(s: Services) -> None:
        (s,) = still(s)
        alice, bob = await with_password(s), await with_password(s, "bob")
        begun, other = await totp.begin(s, alice), await totp.begin(s, bob)
        code = code_of(begun.secret, s)
        for ticket, digits in (
            (begun.ticket, "000000"),
            (begun.ticket, ""),
            ("", code),
            ("!", code),
            ("AAAA", code),
            (begun.ticket[:-8], code),
            (other.ticket, code_of(other.secret, s)),
        ):
            given = totp.Confirmation(ticket, digits, PASSWORD)
            with pytest.raises(Invalid):
                await totp.confirm(s, alice, given, HOME, BY)
        given = totp.Confirmation(begun.ticket, code, "wrong")
        with pytest.raises(NotPermitted):
            await totp.confirm(s, alice, given, HOME, BY)
        given = totp.Confirmation(begun.ticket, code, PASSWORD)
        with pytest.raises(Invalid):
            await totp.confirm(later(s, 16 * MINUTE), alice, given, HOME, BY)
        with pytest.raises(Unauthorized):
            await totp.begin(s, ANONYMOUS)
        await basic(s, "alice", PASSWORD)

    registries.run(use)


def test_taken_away(registries: Registries) -> None:
    async def use(s: Services) -> None:
        (s,) = still(s)
        root = await person(s, "root", administrator=True)
        alice, bob = await with_password(s), await with_password(s, "bob")
        await with_totp(s, alice)
        alice = await again(s, alice)
        with pytest.raises(Conflicting):
            await totp.begin(s, alice)
        with pytest.raises(NotPermitted):
            await totp.remove(s, alice, "alice", BY, password="wrong", address=HOME)
        with pytest.raises(NotPermitted):
            await totp.remove(s, bob, "alice", BY, password=PASSWORD, address=HOME)
        await totp.remove(s, alice, "alice", BY, password=PASSWORD, address=HOME)
        await basic(s, "alice", PASSWORD)
        await with_totp(s, alice)
        await totp.remove(s, root, "alice", BY)
        assert not (await accounts.find_account(s, root, "alice")).has_totp

    registries.run(use)
