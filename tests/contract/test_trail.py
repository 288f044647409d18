"""The trail of a registry: what was refused becomes entries, and who may see them."""

import asyncio
import itertools
import json
from typing import Any

import msgspec
import psycopg
import pytest
import sqlalchemy as sa

from contract.conftest import OpenDatabase, Registries
from moorage.clock import MINUTE
from moorage.db import audit as rows
from moorage.db import events, jobs, principals, repositories
from moorage.db.access_schema import grant
from moorage.db.engine import Database, Query, Tx
from moorage.errors import Denied, NotPermitted, Unauthorized
from moorage.events.outbox import Event
from moorage.jobs.queue import LEASE, Queue, Running
from moorage.model.access import EARLY, Actor, Role, Subject
from moorage.model.artifacts import TagChange
from moorage.model.audit import Entry, Filter, Refusal
from moorage.oci.names import RepositoryName
from moorage.registry import audit, proof
from moorage.registry.services import Services

NAME = RepositoryName.parse("acme/shop")
OTHER = RepositoryName.parse("other/shop")
BY = TagChange("ann", "password", "request", address="192.0.2.1")
SOME = Refusal(
    minute=5,
    actor="eve",
    address="192.0.2.9",
    repository=str(NAME),
    action="put manifest",
    times=3,
    reason="eve has no push right on acme/shop",
    credential="password",
    request_id="request",
)


def of(**changes: Any) -> Refusal:
    """Return a refusal that differs in that."""
    return msgspec.structs.replace(SOME, **changes)


async def add(db: Database, *refusals: Refusal) -> None:
    """Write refusals as a process does."""
    await db.write(lambda tx: rows.add_refusals(tx, refusals))


async def newest(db: Database) -> list[Entry]:
    """Return all entries, newest first."""
    return (await audit.read_entries(db, {}, 0, 1_000)).entries


async def run_job(s: Services) -> None:
    """Run the job that seals, once, under a lease."""

    async def claim(tx: Tx) -> jobs.Job | None:
        await Queue(s.clock).enqueue(tx, "audit.seal")
        return await jobs.claim_job(tx, "test", s.clock.now(), s.clock.now() + LEASE)

    job = await s.db.write(claim)
    assert job is not None
    await audit.seal(s, Running(s.db, s.clock, job))


def test_refusals_add_up_and_are_taken_once(database: OpenDatabase) -> None:
    async def use(db: Database) -> None:
        await add(db, SOME, of(minute=6))
        await add(db, of(times=4, reason="another", request_id="later", credential="token:1"))
        taken = await db.write(lambda tx: rows.take_refusals(tx, 6, 10))
        assert taken == [of(times=7, reason="another", request_id="later", credential="token:1")]
        assert await db.write(lambda tx: rows.take_refusals(tx, 6, 10)) == []
        await add(db, SOME)
        assert await db.write(lambda tx: rows.take_refusals(tx, 9, 10)) == [SOME, of(minute=6)]

    database.run(use)


def test_what_is_added_while_they_are_taken_is_not_lost(shared: OpenDatabase) -> None:
    """The count grows in a transaction that commits between the look and the removal."""

    async def use(db: Database) -> None:
        await add(db, SOME)
        with psycopg.connect(shared.url) as late:
            values = {name: getattr(SOME, name) for name in SOME.__struct_fields__}
            text = rows.ADD_REFUSAL.text("postgresql")
            late.execute(text, rows.ADD_REFUSAL.bind(values))
            taking = asyncio.create_task(db.write(lambda tx: rows.take_refusals(tx, 9, 10)))
            await asyncio.sleep(0.3)
            assert not taking.done()
            late.commit()
            assert [each.times for each in await taking] == [6]

    shared.run(use)


def test_refusals_become_sealed_entries(registries: Registries) -> None:
    async def use(s: Services) -> None:
        now = s.clock.now() // MINUTE
        repository = await s.db.write(
            lambda tx: repositories.put_repository(tx, NAME, "private", 1)
        )
        await add(
            s.db,
            of(minute=now - 9),
            of(minute=now - 9, repository="acme/missing", actor=""),
            of(minute=now - 9, repository="", actor="", action="others"),
            of(minute=now),
        )
        await run_job(s)
        entries = await newest(s.db)
        assert len(entries) == 3
        assert all(entry.action == "refused" and entry.place for entry in entries)
        (entry,) = [each for each in entries if each.repository_id]
        assert entry.repository_id == repository[0].id
        assert entry.namespace_id == repository[0].namespace_id
        assert entry.at == (now - 9) * MINUTE
        told = (entry.actor, entry.address, entry.credential, entry.request_id)
        assert told == ("eve", "192.0.2.9", "password", "request")
        assert json.loads(entry.detail) == {
            "refused": "put manifest",
            "repository": "acme/shop",
            "times": 3,
            "reason": "eve has no push right on acme/shop",
        }
        assert sorted(each.namespace_id for each in entries) == [0, *[entry.namespace_id] * 2]
        await run_job(s)
        assert await newest(s.db) == entries
        report = await proof.verify(s.db, (await audit.seal_key(s.db)).public)
        assert (report.sealed, report.unsealed, report.problems) == (3, 0, [])

    registries.run(use)


def test_many_are_sealed_in_one_run(registries: Registries) -> None:
    async def use(s: Services) -> None:
        await add(s.db, *(of(address=f"192.0.2.{number}") for number in range(250)))

        async def write(tx: Tx) -> None:
            for number in range(250):
                await s.events.publish(tx, Event("test", number, number, BY, {}, 4))

        await s.db.write(write)
        await run_job(s)
        entries = await newest(s.db)
        assert len(entries) == 500
        assert sorted(entry.place for entry in entries) == list(range(1, 501))

    registries.run(use)


def test_an_event_has_address_and_namespace(registries: Registries) -> None:
    async def use(s: Services) -> None:
        event = Event("tag.deleted", 7, 5, BY, {"tag": "latest"}, 4)
        await s.db.write(lambda tx: s.events.publish(tx, event))
        (entry,) = await newest(s.db)
        told = (entry.actor, entry.address, entry.namespace_id, entry.repository_id)
        assert told == ("ann", "192.0.2.1", 4, 7)

    registries.run(use)


ADD_GRANT = Query(
    "test_add_grant",
    sa.insert(grant).values(
        {column.name: sa.bindparam(f"the_{column.name}") for column in grant.columns}
    ),
)


async def fill(s: Services) -> dict[str, Actor]:
    """Make two namespaces with an entry each, one of the registry, and accounts of every kind."""
    actors = {
        "nobody": Actor("anonymous", "anonymous", "none"),
        "local": Actor("local", "local", "loopback", subject=EARLY),
    }
    people = itertools.product(("acme", "acme/shop"), Role)

    async def write(tx: Tx) -> None:
        shop, _ = await repositories.put_repository(tx, NAME, "public", 1)
        other, _ = await repositories.put_repository(tx, OTHER, "public", 1)
        for place in (shop, other):
            data = {"repository": place.name}
            event = Event("manifest.pushed", place.id, 1, BY, data, place.namespace_id)
            await s.events.publish(tx, event)
        await s.events.publish(tx, Event("account.made", 0, 1, BY, {}))
        for name in ("stranger", "administrator"):
            is_administrator = name == "administrator"
            number = await principals.add_account(
                tx, name, password="", administrator=is_administrator, now=1
            )
            actors[name] = Actor("account", name, "password", subject=Subject(number or 0, 0, 1))
        for where, role in people:
            name = f"{role} of {where}"
            number = await principals.add_account(tx, name, password="", administrator=False, now=1)
            assert number is not None
            actors[name] = Actor("account", name, "password", subject=Subject(number, 0, 1))
            await tx.run(
                ADD_GRANT,
                the_principal_id=number,
                the_namespace_id=shop.namespace_id,
                the_repository_id=shop.id if where == NAME else 0,
                the_role=role,
                the_rank=role.rank,
                the_audits=int(role.audits),
                the_granted_at=1,
                the_granted_by="",
            )

    await s.db.write(write)
    return actors


ADMINISTRATOR = {"administrator"}
OF_NAMESPACE = {"owner of acme", "auditor of acme"}
OF_REPOSITORY = {"owner of acme/shop", "auditor of acme/shop"}


@pytest.mark.parametrize(
    ("filters", "allowed", "shown"),
    [
        ({}, ADMINISTRATOR, 3),
        ({Filter.ACTOR: "ann"}, ADMINISTRATOR, 3),
        ({Filter.NAMESPACE: "acme"}, ADMINISTRATOR | OF_NAMESPACE, 1),
        ({Filter.NAMESPACE: "other"}, ADMINISTRATOR, 1),
        ({Filter.NAMESPACE: "missing"}, ADMINISTRATOR, 0),
        ({Filter.REPOSITORY: "acme/shop"}, ADMINISTRATOR | OF_NAMESPACE | OF_REPOSITORY, 1),
        ({Filter.REPOSITORY: "acme/missing"}, ADMINISTRATOR | OF_NAMESPACE, 0),
        ({Filter.REPOSITORY: "other/shop"}, ADMINISTRATOR, 1),
        # A repository's own filter decides, whatever else is asked for.
        ({Filter.REPOSITORY: "other/shop", Filter.NAMESPACE: "acme"}, ADMINISTRATOR, 1),
        ({Filter.NAMESPACE: "acme", Filter.ACTOR: "bob"}, ADMINISTRATOR | OF_NAMESPACE, 0),
    ],
)
def test_who_may_see_what(
    registries: Registries, filters: dict[Filter, str], allowed: set[str], shown: int
) -> None:
    async def use(s: Services) -> None:
        actors = await fill(s)
        seen = set()
        for name, actor in actors.items():
            try:
                page = await audit.list_entries(s, actor, filters, 0, 10)
            except (Denied, Unauthorized):
                continue
            seen.add(name)
            assert len(page.entries) == shown
        assert seen == allowed

    registries.run(use)


def test_a_credential_of_the_past_sees_nothing(registries: Registries) -> None:
    async def use(s: Services) -> None:
        actors = await fill(s)
        admin = actors["administrator"]
        number = admin.subject.principal_id
        await s.db.write(lambda tx: principals.end_credentials(tx, number))
        with pytest.raises(Unauthorized):
            await audit.list_entries(s, admin, {}, 0, 10)
        confined = msgspec.structs.replace(
            admin, subject=Subject(number, 0, 2), scopes=(), bound=None
        )
        with pytest.raises(NotPermitted):
            await audit.list_entries(s, confined, {}, 0, 10)

    registries.run(use)


def test_the_key_is_made_once(database: OpenDatabase) -> None:
    async def use(one: Database) -> None:
        two = database.make()
        await two.open()
        try:
            keys = await asyncio.gather(*(audit.seal_key(db) for db in (one, two) * 4))
            assert len({key.public.id for key in keys}) == 1
        finally:
            await two.close()

    database.run(use)


def test_audit_rows_are_written_unsealed(database: OpenDatabase) -> None:
    async def use(db: Database) -> None:
        async def write(tx: Tx) -> None:
            await events.add_audit(
                tx,
                actor="ann",
                credential="password",
                request_id="request",
                action="test",
                repository_id=0,
                detail=b"{}",
                now=1,
            )

        await db.write(write)
        (entry,) = await newest(db)
        assert (entry.place, entry.seal, entry.namespace_id, entry.address) == (0, b"", 0, "")

    database.run(use)
