"""What administrators should look at, and how the registry is, on both databases."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from contract.conftest import Registries
from contract.test_jobs_seen import ROOT, Place, within
from moorage.clock import DAY, MINUTE, SECOND
from moorage.config import Limits, Tls
from moorage.db import backups, blobs, collection_runs, damage, replicas
from moorage.db.backups import COMPLETE, Backup
from moorage.db.collection_runs import Pause
from moorage.db.engine import Tx
from moorage.db.replicas import Replica
from moorage.errors import SignInNeeded
from moorage.model.access import Actor, Facts
from moorage.oci.digest import digest_of
from moorage.oci.names import RepositoryName
from moorage.registry import condition, rights
from racing import Client

NOBODY = Actor("anonymous", "anonymous", "none")
CONTENT = b"damaged" * 100


async def concerns(place: Place) -> dict[str, condition.Concern]:
    """Return what an administrator is told, by its kind."""
    found = await condition.list_concerns(place.s, ROOT, Facts(standing=2))
    again = (await condition.find_condition(place.s, ROOT)).concerns
    assert [_steady(each) for each in found] == [_steady(each) for each in again]
    return {each.kind: each for each in found}


def _steady(concern: condition.Concern) -> condition.Concern:
    """Return it without the room that is left, which others on the same disk use meanwhile."""
    if concern.kind in ("disk", "full"):
        return msgspec.structs.replace(concern, count=0)
    return concern


def test_there_is_nothing_to_look_at(registries: Registries) -> None:
    """In a registry that runs, a backup that nobody has ever asked for included."""

    async def use(place: Place) -> None:
        assert await concerns(place) == {}

    within(registries, use)


def test_jobs_that_have_failed_and_a_pause(registries: Registries) -> None:
    async def use(place: Place) -> None:
        for _ in range(2):
            await place.die()
        pause = Pause("too much would go", place.watch.at, 0)
        await place.s.db.write(lambda tx: collection_runs.put_pause(tx, pause))
        found = await concerns(place)
        assert found["jobs"].count == 2
        assert found["paused"].name == "too much would go"
        assert set(found) == {"jobs", "paused"}

    within(registries, use)


def test_a_backup_is_missed_once_there_was_one(registries: Registries) -> None:
    async def use(place: Place) -> None:
        for age, expected in ((8, {"backup"}), (6, set[str]())):
            taken = place.watch.at - age * DAY
            made = Backup(f"{9 - age}", "host", "/srv", COMPLETE, taken, taken, taken)
            await place.s.db.write(lambda tx, made=made: backups.put_backup(tx, made))
            found = await concerns(place)
            assert set(found) == expected
            assert not expected or found["backup"].at == taken
        shown = (await condition.find_condition(place.s, ROOT)).backup
        assert shown is not None
        assert shown.place == "/srv"

    within(registries, use)


def test_servers_that_differ(registries: Registries) -> None:
    async def use(place: Place) -> None:
        async def seen(tx: Tx) -> None:
            for name, version, ago in (("a", "1", 0), ("b", "1", MINUTE), ("c", "0", 3 * MINUTE)):
                there = Replica(name, name, version, "mark", place.watch.at - ago)
                await replicas.put_replica(tx, there)

        await place.s.db.write(seen)
        # One that was not seen for minutes is of before an upgrade.
        assert await concerns(place) == {}
        assert len((await condition.find_condition(place.s, ROOT)).servers) == 2
        other = Replica("d", "d", "1", "another mark", place.watch.at)
        await place.s.db.write(lambda tx: replicas.put_replica(tx, other))
        assert (await concerns(place))["servers"].count == 3

    within(registries, use)


def test_damage(registries: Registries) -> None:
    async def use(place: Place) -> None:
        await Client(place.s, "web/shop").blob(CONTENT)
        there = (await rights.find(place.s, ROOT, RepositoryName.parse("web/shop"))).repository
        assert there is not None

        async def lose(tx: Tx) -> None:
            blob = await blobs.find_linked(tx, there.id, digest_of(CONTENT))
            assert blob is not None
            assert await damage.lose_blob(tx, blob, "digest", "scrub", place.watch.at)

        await place.s.db.write(lose)
        assert (await concerns(place))["damage"].count == 1

    within(registries, use)


@pytest.mark.parametrize(("share", "expected"), [(2.0, "full"), (0.7, "disk"), (0.4, "")])
def test_room(registries: Registries, share: float, expected: str) -> None:
    """It is told while pushes still are taken, and when they are not."""

    async def use(place: Place) -> None:
        free = await place.s.blobs.free()
        assert free is not None
        limits = msgspec.structs.replace(Limits(), free_bytes=int(free * share))
        config = msgspec.structs.replace(place.s.config, limits=limits)
        place.s = msgspec.structs.replace(place.s, config=config)
        found = await concerns(place)
        assert set(found) == ({expected} if expected else set())
        assert not expected or found[expected].count > 0

    within(registries, use)


def test_a_certificate_that_ends(registries: Registries, tmp_path: Path) -> None:
    file = tmp_path / "cert.pem"

    async def use(place: Place) -> None:
        place.s = msgspec.structs.replace(
            place.s,
            config=msgspec.structs.replace(place.s.config, tls=Tls(str(file), str(file))),
        )
        for days, expected in ((13, True), (20, False)):
            until = place.watch.at + days * DAY
            write_certificate(file, until)
            found = await concerns(place)
            assert set(found) == ({"certificate"} if expected else set())
            assert not expected or found["certificate"].at == until
            assert (await condition.find_condition(place.s, ROOT)).certificate_until == until
        file.write_text("none")
        assert await concerns(place) == {}

    within(registries, use)


def write_certificate(file: Path, until: int) -> None:
    """Write a certificate that ends then."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "registry.example")])
    ends = datetime.fromtimestamp(until / SECOND, UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(ends - timedelta(days=90))
        .not_valid_after(ends)
        .sign(key, hashes.SHA256())
    )
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))


def test_nobody_else_is_told(registries: Registries) -> None:
    async def use(place: Place) -> None:
        await place.die()
        assert await condition.list_concerns(place.s, NOBODY, Facts()) == []
        confined = Actor("operator", "root", "uid 0", scopes=())
        assert await condition.list_concerns(place.s, confined, Facts(standing=2)) == []
        with pytest.raises(SignInNeeded):
            await condition.find_condition(place.s, NOBODY)

    within(registries, use)


def test_settings_say_where_they_are_from(registries: Registries) -> None:
    async def use(place: Place) -> None:
        origins = {"workers": "flag", "data": "default"}
        config = msgspec.structs.replace(place.s.config, database="postgresql://u:hidden@h/d")
        place.s = msgspec.structs.replace(place.s, origins=origins, config=config)
        found = {
            each.key: each for each in (await condition.find_condition(place.s, ROOT)).settings
        }
        assert found["workers"] == condition.Setting("workers", "0", "flag")
        assert found["data"].origin == "default"
        assert found["database"].value == '"postgresql://u:***@h/d"'

    within(registries, use)
