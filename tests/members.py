"""People, machines and rights, put into a running registry's database beside its own processes."""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import sqlalchemy as sa

from moorage.app import database, prepare
from moorage.auth.address import Address
from moorage.auth.bearers import Access, Bearers
from moorage.auth.keys import KeyRing
from moorage.auth.passwords import hash_password
from moorage.auth.scopes import encode_scopes
from moorage.auth.secrets import hash_secret, mark_of, new_secret
from moorage.clock import SystemClock
from moorage.config import Config, load
from moorage.db import principals
from moorage.db.access_schema import grant, principal, token, trust
from moorage.db.engine import Query, Tx, insert
from moorage.db.repositories import ADD_NAMESPACE, FIND_NAMESPACE, FIND_REPOSITORY
from moorage.db.schema import repository
from moorage.model.access import Actor, Role, Scope, Subject
from process import Server

Value = TypeVar("Value")
MEMBERS_PASSWORD = "a horse of another colour"
HASHED = hash_password(MEMBERS_PASSWORD)


def _adding(table: sa.Table) -> Query:
    columns = [each for each in table.columns if not (each.name == "id" and each.primary_key)]
    values = {each.name: sa.bindparam(each.name) for each in columns}
    made = insert(table).values(values)
    return Query(f"tests_add_{table.name}", made.returning(table.c.id) if "id" in table.c else made)


ADD_TOKEN, ADD_GRANT, ADD_TRUST, ADD_PRINCIPAL = map(_adding, (token, grant, trust, principal))
END_GRANTS = Query(
    "tests_end_grants", sa.delete(grant).where(grant.c.principal_id == sa.bindparam("number"))
)
END_TRUST = Query(
    "tests_end_trust",
    sa.update(trust).where(trust.c.id == sa.bindparam("number")).values(enabled=0),
)
SET_VISIBILITY = Query(
    "tests_set_visibility",
    sa.update(repository)
    .where(repository.c.name == sa.bindparam("which"))
    .values(visibility=sa.bindparam("wanted")),
)
REVOKE = Query(
    "tests_revoke",
    sa.update(token)
    .where(token.c.hash == sa.bindparam("which"))
    .values(revoked_at=sa.bindparam("now")),
)


class Members:
    """Writes to the database of one registry."""

    def __init__(self, config: Config) -> None:
        self._config = config

    @classmethod
    def of(cls, server: Server) -> Members:
        """Return those of a server."""
        return cls(load(None, server.env, {"data": str(server.data)}).config)

    def write(self, body: Callable[[Tx], Awaitable[Value]]) -> Value:
        """Run a transaction."""

        async def run() -> Value:
            db, _ = database(self._config)
            await db.open()
            try:
                return await db.write(body)
            finally:
                await db.close()

        return asyncio.run(run())

    def account(
        self, name: str | None = None, *, administrator: bool = False, password: str = ""
    ) -> Member:
        """Add an account, whose password is `MEMBERS_PASSWORD` by default."""
        hashed = hash_password(password) if password else HASHED
        called = name or f"m{secrets.token_hex(6)}"

        async def add(tx: Tx) -> int | None:
            return await principals.add_account(
                tx, called, password=hashed, administrator=administrator, now=now()
            )

        number = self.write(add)
        assert number is not None, called
        return Member(self, number, called)

    def robot(self, namespace: str) -> Member:
        """Add a robot to a namespace."""
        called = f"r{secrets.token_hex(6)}"

        async def add(tx: Tx) -> int:
            row = await tx.one(
                ADD_PRINCIPAL,
                kind="robot",
                namespace_id=await _namespace(tx, namespace),
                name=called,
                description="",
                enabled=1,
                administrator=0,
                generation=1,
                created_at=now(),
                ended_at=0,
            )
            assert row is not None
            return int(row[0])

        return Member(self, self.write(add), called)

    def trust(self, namespace: str, robot: Member, token_id: int) -> int:
        """Add a trust whose bearers are the robot, and name that token."""

        async def add(tx: Tx) -> int:
            row = await tx.one(
                ADD_TRUST,
                namespace_id=await _namespace(tx, namespace),
                name=secrets.token_hex(6),
                issuer_id=1,
                robot_id=robot.number,
                token_id=token_id,
                audience="",
                rules=b"{}",
                scopes=b"",
                enabled=1,
                created_at=now(),
                created_by="tests",
                last_used_at=0,
            )
            assert row is not None
            return int(row[0])

        return self.write(add)

    def show(self, name: str, visibility: str) -> None:
        """Make a repository private, internal or public."""

        async def change(tx: Tx) -> int:
            return await tx.run(SET_VISIBILITY, which=name, wanted=visibility)

        assert self.write(change) == 1

    def end_trust(self, number: int) -> None:
        """Disable a trust."""

        async def change(tx: Tx) -> int:
            return await tx.run(END_TRUST, number=number)

        assert self.write(change) == 1

    def revoke(self, secret: str) -> None:
        """Revoke a token."""

        async def change(tx: Tx) -> int:
            return await tx.run(REVOKE, which=hash_secret(secret), now=now())

        assert self.write(change) == 1

    def bearer(self, member: Member, base: str, access: Access, seconds: int) -> str:
        """Return the token that a member would have been given so many seconds ago."""
        keys = prepare(self._config).keys

        async def issue() -> str:
            db, clock = database(self._config)
            await db.open()
            try:
                ring, past = KeyRing(db, clock, keys), _Past(seconds)
                actor = Actor(
                    "account", member.name, "password", subject=Subject(member.number, 0, 1)
                )
                bearers = Bearers(ring, past, self._config)
                return (await bearers.issue(actor, [access], Address(base))).text
            finally:
                await db.close()

        return asyncio.run(issue())


class _Past(SystemClock):
    """A clock that is slow."""

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds

    def now(self) -> int:
        return super().now() - self._seconds * 1_000


class Member:
    """A principal of the registry."""

    def __init__(self, members: Members, number: int, name: str) -> None:
        self._members = members
        self.number = number
        self.name = name

    @property
    def credentials(self) -> tuple[str, str]:
        """Its name and password."""
        return self.name, MEMBERS_PASSWORD

    def allow(self, place: str, role: Role) -> Member:
        """Grant a role on a namespace, or on a repository that exists."""

        async def add(tx: Tx) -> None:
            namespace, _, rest = place.partition("/")
            number = 0
            if rest:
                found = await tx.one(FIND_REPOSITORY, name=place)
                assert found is not None, place
                number = found[0]
            await tx.run(
                ADD_GRANT,
                principal_id=self.number,
                namespace_id=await _namespace(tx, namespace),
                repository_id=number,
                role=role.value,
                rank=role.rank,
                audits=int(role.audits),
                granted_at=now(),
                granted_by="tests",
            )

        self._members.write(add)
        return self

    def disallow(self) -> None:
        """Take every grant away."""

        async def end(tx: Tx) -> int:
            return await tx.run(END_GRANTS, number=self.number)

        self._members.write(end)

    def token(self, *scopes: Scope, expires_at: int = 0) -> str:
        """Return a token of its own, confined to the scopes if there are any."""
        secret = new_secret()

        async def add(tx: Tx) -> None:
            await tx.run(
                ADD_TOKEN,
                principal_id=self.number,
                kind="personal",
                name="tests",
                mark=mark_of(secret),
                hash=hash_secret(secret),
                scopes=encode_scopes(scopes or None),
                created_at=now(),
                expires_at=expires_at,
                last_used_at=0,
                revoked_at=0,
            )

        self._members.write(add)
        return secret

    def enable(self, *, enabled: bool) -> None:
        """Put it in or out of force."""

        async def change(tx: Tx) -> None:
            await principals.set_standing(tx, self.number, enabled=enabled, administrator=False)

        self._members.write(change)

    def end_credentials(self) -> None:
        """End everything that it signed in with."""

        async def change(tx: Tx) -> None:
            await principals.end_credentials(tx, self.number)

        self._members.write(change)


def now() -> int:
    """Return the time in milliseconds."""
    return time.time_ns() // 1_000_000


async def _namespace(tx: Tx, name: str) -> int:
    await tx.run(ADD_NAMESPACE, name=name, kind="organisation", visibility="private", now=now())
    found = await tx.one(FIND_NAMESPACE, name=name)
    assert found is not None
    return int(found[0])


def main() -> None:
    """Add an owner to the registry in a directory: DIRECTORY NAME PASSWORD NAMESPACE..."""
    directory, name, password, *namespaces = sys.argv[1:]
    owner = Members(load(None, {}, {"data": directory}).config).account(name, password=password)
    for namespace in namespaces:
        owner.allow(namespace, Role.OWNER)


if __name__ == "__main__":
    main()
