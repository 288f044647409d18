"""A registry with somebody of every kind, and one repository of every visibility.

All of it stands in the database before the server starts; what ends (a revoked token, a disabled
account, a role that is taken back) has been used once before, so that nothing that a server may
remember of it counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Self

import sqlalchemy as sa

from moorage.app import database, prepare
from moorage.auth.passwords import hash_password
from moorage.auth.scopes import encode_scopes
from moorage.auth.secrets import hash_secret, mark_of, new_secret
from moorage.clock import HOUR, SystemClock
from moorage.config import load
from moorage.db import principals, repositories
from moorage.db.access_schema import grant, principal, token
from moorage.db.engine import Query, Tx
from moorage.db.schema import repository
from moorage.model.access import Role, Scope
from moorage.oci.names import RepositoryName
from process import Server
from registry import Manifest, Registry

PASSWORD = "a rather long password"
NAMESPACE = "acme"
# Where everybody who is signed in may push.
COMMON = "common"
PLACES = {each: f"{NAMESPACE}/{each}" for each in ("private", "internal", "public")}
ROLES = (Role.READER, Role.WRITER, Role.MAINTAINER, Role.OWNER, Role.AUDITOR)
ACCOUNTS = (
    "stranger",
    *(role.value for role in ROLES),
    "administrator",
    "disabled",
    "former",
    "guest",  # who owns the private repository alone
)
# Whom the others ask about, and who asks nothing.
BYSTANDER = "bystander"
ADD_GRANT = Query(
    "cast_add_grant",
    sa.insert(grant).values(
        principal_id=sa.bindparam("principal_id"),
        namespace_id=sa.bindparam("namespace_id"),
        repository_id=sa.bindparam("repository_id"),
        role=sa.bindparam("role"),
        rank=sa.bindparam("rank"),
        audits=sa.bindparam("audits"),
        granted_at=1,
        granted_by="test",
    ),
)
END_GRANT = Query(
    "cast_end_grant", sa.delete(grant).where(grant.c.principal_id == sa.bindparam("principal_id"))
)
ADD_TOKEN = Query(
    "cast_add_token",
    sa.insert(token)
    .values(
        principal_id=sa.bindparam("principal_id"),
        kind="personal",
        name=sa.bindparam("name"),
        mark=sa.bindparam("mark"),
        hash=sa.bindparam("hash"),
        scopes=sa.bindparam("scopes"),
        created_at=1,
        expires_at=sa.bindparam("expires_at"),
        last_used_at=0,
        revoked_at=0,
    )
    .returning(token.c.id),
)
REVOKE = Query(
    "cast_revoke",
    sa.update(token).where(token.c.id == sa.bindparam("token_id")).values(revoked_at=2),
)
SHOW = Query(
    "cast_show",
    sa.update(repository)
    .where(repository.c.id == sa.bindparam("number"))
    .values(visibility=sa.bindparam("shown")),
)
REVIVE = Query(
    "cast_revive",
    sa.update(token).where(token.c.id == sa.bindparam("token_id")).values(revoked_at=0),
)
DISABLE = Query(
    "cast_disable",
    sa.update(principal).where(principal.c.id == sa.bindparam("number")).values(enabled=0),
)


class Cast:
    """The server with its people; `asked_by` has a client for each of them."""

    def __init__(self, env: Mapping[str, str] | None = None) -> None:
        self.server = Server(
            env={
                **(env or {}),
                "MOORAGE_LIMITS__FREE_BYTES": "1",
                # Where people from outside sign in is on this machine.
                "MOORAGE_OUTBOUND__ALLOW": "127.0.0.0/8",
                # Each of these is refused hundreds of times.
                "MOORAGE_LIMITS__FAILED_SIGN_INS": "100000",
            },
            workers=1,
        )
        self._ids: dict[str, int] = {}
        self._secrets: dict[str, tuple[int, str]] = {}
        self.asked_by: dict[str, Registry] = {}
        self.images: dict[str, Manifest] = {}
        self.blobs: dict[str, str] = {}

    def __enter__(self) -> Self:
        flags = {"data": str(self.server.data)}
        self._config = load(None, self.server.env, flags).config
        prepare(self._config)
        self.change(self._fill)
        self.server.start()
        url = self.server.url
        self.asked_by = {"anonymous": Registry(url)}
        for name in ACCOUNTS:
            self.asked_by[name] = Registry(url, (name, PASSWORD))
        for name, (_, secret) in self._secrets.items():
            self.asked_by[name] = Registry(url, (name, secret))
        self._push()
        for name in ("disabled", "former", "revoked"):
            self.asked_by[name].get(f"/v2/{PLACES['private']}/tags/list").expect(200)
        self.change(self._end)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.server.close()

    def change(self, body: Callable[[Tx], Awaitable[Any]]) -> None:
        """Change what the server's database holds, as another process of it would."""

        async def run() -> None:
            db, _ = database(self._config)
            await db.open()
            try:
                await db.write(body)
            finally:
                await db.close()

        asyncio.run(run())

    def revive(self) -> None:
        """Put the tokens in force again that somebody ended by the way, but for those that did."""
        self.change(self._revive)

    async def _revive(self, tx: Tx) -> None:
        for name, (number, _) in self._secrets.items():
            if name != "revoked":
                await tx.run(REVIVE, token_id=number)

    async def _fill(self, tx: Tx) -> None:
        namespaces = {}
        for name, shown in ((PLACES[each], each) for each in PLACES):
            made, _ = await repositories.put_repository(tx, RepositoryName(name), "private", 1)
            await tx.run(SHOW, number=made.id, shown=shown)
            shown_now = await repositories.find_repository(tx, made.name)
            assert shown_now is not None
            await repositories.put_everybody(tx, shown_now)
            namespaces[NAMESPACE] = made.namespace_id
        common, _ = await repositories.put_repository(
            tx, RepositoryName(f"{COMMON}/first"), "private", 1
        )
        hashed = hash_password(PASSWORD)
        for name in (*ACCOUNTS, BYSTANDER):
            number = await principals.add_account(
                tx, name, password=hashed, administrator=name == "administrator", now=1
            )
            assert number is not None
            self._ids[name] = number
            await self._grant(tx, number, common.namespace_id, Role.WRITER)
            role = Role.OWNER if name in ("disabled", "former") else name
            if role in list(Role):
                await self._grant(tx, number, namespaces[NAMESPACE], Role(role))
            if name == "guest":
                await self._grant(tx, number, namespaces[NAMESPACE], Role.OWNER, PLACES["private"])
        row = await tx.one(
            principals.ADD_PRINCIPAL,
            kind="robot",
            namespace_id=namespaces[NAMESPACE],
            name=f"{NAMESPACE}+ci",
            description="",
            administrator=0,
            now=1,
        )
        assert row is not None
        for place in (namespaces[NAMESPACE], common.namespace_id):
            await self._grant(tx, row[0], place, Role.WRITER)
        owner = self._ids["owner"]
        reads = (Scope(f"{NAMESPACE}/**", frozenset({"pull"})),)
        await self._token(tx, "robot", row[0])
        await self._token(tx, "scoped", owner, reads)
        # Lately: what expired long ago is forgotten, and refused as a secret of nobody is.
        await self._token(tx, "expired", owner, expires_at=SystemClock().now() - HOUR)
        await self._token(tx, "revoked", owner)
        await self._token(tx, "stranger's token", self._ids["stranger"])
        elsewhere = (Scope(f"{COMMON}/**", frozenset({"*"})),)
        await self._token(tx, "token for elsewhere", owner, elsewhere)

    async def _grant(
        self, tx: Tx, number: int, namespace_id: int, role: Role, only: str = ""
    ) -> None:
        one = await repositories.find_repository(tx, RepositoryName(only)) if only else None
        await tx.run(
            ADD_GRANT,
            principal_id=number,
            namespace_id=namespace_id,
            repository_id=one.id if one else 0,
            role=role.value,
            rank=role.rank,
            audits=int(role.audits),
        )
        for place in PLACES.values():
            found = await repositories.find_repository(tx, RepositoryName(place))
            if found is None or only not in ("", place):
                continue
            if found.namespace_id == namespace_id:
                values = {"principal_id": number, "name": place, "number": found.id}
                await tx.run(repositories.PUT_READER, **values)

    async def _token(
        self,
        tx: Tx,
        name: str,
        number: int,
        scopes: tuple[Scope, ...] | None = None,
        expires_at: int = 0,
    ) -> None:
        secret = new_secret()
        row = await tx.one(
            ADD_TOKEN,
            principal_id=number,
            name=name,
            mark=mark_of(secret),
            hash=hash_secret(secret),
            scopes=encode_scopes(scopes),
            expires_at=expires_at,
        )
        assert row is not None
        self._secrets[name] = (row[0], secret)

    async def _end(self, tx: Tx) -> None:
        await tx.run(DISABLE, number=self._ids["disabled"])
        await tx.run(END_GRANT, principal_id=self._ids["former"])
        await tx.run(REVOKE, token_id=self._secrets["revoked"][0])

    def _push(self) -> None:
        for place, name in PLACES.items():
            there = self.asked_by["administrator"].repository(name)
            self.images[place] = there.push_image("latest")
            self.blobs[place] = str(there.push_blob(f"content of {place}".encode())["digest"])
