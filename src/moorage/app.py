"""The composition root: settings in, one process's services and its handler out.

What speaks to PostgreSQL and S3 are extras, imported only where the settings ask for them.
"""

# ruff: noqa: PLC0415

import asyncio
import importlib
import importlib.util
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from moorage.api import app as api
from moorage.auth.assertions import Assertions
from moorage.auth.attempts import Attempts
from moorage.auth.bearers import Bearers
from moorage.auth.cipher import Cipher
from moorage.auth.credentials import Credentials, Guard
from moorage.auth.fair_use import FairUse
from moorage.auth.issuers import IssuerKeys
from moorage.auth.keys import KeyRing
from moorage.auth.local import LocalMode
from moorage.auth.openid import OpenId
from moorage.auth.operator import Operators
from moorage.auth.passwords import SHORTEST
from moorage.auth.secrets import PURPOSES, Secrets
from moorage.blobs.filesystem import FilesystemBlobs
from moorage.blobs.store import MarkedStore
from moorage.clock import Clock, SystemClock
from moorage.config import Config
from moorage.db.engine import Database, WriteObserver
from moorage.db.loading import RESTORED, Load, State
from moorage.db.loading_sqlite import load_sqlite
from moorage.db.migrate import (
    SchemaState,
    check_schema_sqlite,
    migrate_sqlite,
    secret,
    setting_sqlite,
)
from moorage.db.snapshot import Snapshot
from moorage.db.snapshot_sqlite import SqliteSnapshot
from moorage.db.sqlite import SqliteDatabase
from moorage.errors import Refused, RegistryError, RouteUnknown, Unauthorized
from moorage.events.outbox import Outbox
from moorage.jobs.queue import Queue
from moorage.outbound import Fetcher
from moorage.registry import accounts, links
from moorage.registry.counting import PullCounts
from moorage.registry.following import Follower
from moorage.registry.hashing import Hashes
from moorage.registry.links import NewLink
from moorage.registry.move import COPYING, STATE
from moorage.registry.readiness import Readiness
from moorage.registry.refusals import Refusals
from moorage.registry.services import Services
from moorage.registry.sessions import SessionIds
from moorage.telemetry import Telemetry
from moorage.ui import app as ui
from moorage.ui import files
from moorage.v2 import app as v2
from moorage.v2 import token
from moorage.web.clients import Proxies
from moorage.web.request import Request
from moorage.web.response import Response
from moorage.web.server import Front, Handler


def prepare(config: Config, *, moving: bool = False, restoring: bool = False) -> Secrets:
    """Make the data directory, bring the schema up to date, and return the registry's secrets.

    To be done before any process is forked; `moving` says that the caller is about to fill the
    database from another one, `restoring` that it brings what is missing from a backup.

    Raises:
        Refused: the directory or the database can't be used, what speaks to it is not installed,
            or a move or restore to it has not ended.
    """
    import_drivers(config)
    prepare_store(config)
    state = restore_state(config)
    if state is not None and not state.done and not restoring:
        raise Refused(
            "The registry is being restored from a backup, and that has not ended.",
            why="It lacks some of what the backup has.",
            do="Run `moorage restore` again until it says that everything is there.",
        )
    if config.is_embedded:
        migrate_sqlite(config.directory)
        return Secrets(*(secret(config.directory, name) for name in PURPOSES))
    from moorage.db import server

    server.check_postgres(config.database)
    server.migrate_postgres(config.database)
    if not moving and move_state(config) == COPYING:
        raise Refused(
            "The database is the target of a move that has not ended.",
            why="It lacks some of what the registry has that is being moved.",
            do="Run `moorage move` again until it says that everything is there.",
        )
    return Secrets(*(server.secret_postgres(config.database, name) for name in PURPOSES))


def prepare_store(config: Config) -> None:
    """Make the place for blobs, where it is a directory, and that of an embedded database.

    Raises:
        Refused: it can't be used.
    """
    if not config.storage:
        FilesystemBlobs.prepare(config.directory)
    elif config.is_embedded:
        config.directory.mkdir(parents=True, exist_ok=True, mode=0o700)


def import_drivers(config: Config) -> None:
    """Import what speaks to the settings' database and store, so that every process shares it.

    Raises:
        Refused: it is not installed.
    """
    if not config.is_embedded:
        require_postgres()
        importlib.import_module("moorage.db.postgres")
    if config.storage:
        blob_store(config)


def restore_state(config: Config) -> State | None:
    """Return how far a restore to the settings' database has come, None if there was none.

    Raises:
        Refused: the database can't be read.
    """
    found = _setting(config, RESTORED)
    return msgspec.json.decode(found, type=State) if found else None


def restored_at(config: Config) -> int | None:
    """Return when the settings' database was last restored, 0 if it never was.

    None where it is in the data directory, which a server has for itself.

    Raises:
        Refused: the database can't be read.
    """
    if config.is_embedded:
        return None
    from moorage.db import server

    return server.restored_postgres(config.database)


def load_backup(config: Config, load: Load) -> None:
    """Fill the settings' database, which must be empty, with the rows of a backup.

    Raises:
        Refused: it is not empty, or in use.
        StoreUnavailable: it could not be written.
    """
    if config.is_embedded:
        load_sqlite(config.directory, load)
        return
    require_postgres()
    from moorage.db import server
    from moorage.db.loading_postgres import load_postgres

    server.check_postgres(config.database)
    load_postgres(config.database, load)


def move_state(config: Config) -> str | None:
    """Return how far a move to the settings' database has come, None if there was none.

    Raises:
        Refused: the database can't be read.
    """
    return _setting(config, STATE)


def _setting(config: Config, key: str) -> str | None:
    if config.is_embedded:
        return setting_sqlite(config.directory, key)
    if not schema_state(config).found:
        return None
    from moorage.db import server

    return server.setting_postgres(config.database, key)


def schema_state(config: Config) -> SchemaState:
    """Return what schema the settings' database has, and what this release would make of it.

    Raises:
        Refused: the database can't be read.
    """
    if config.is_embedded:
        return check_schema_sqlite(config.directory)
    require_postgres()
    from moorage.db import server

    return server.check_schema_postgres(config.database)


def database(config: Config, observer: WriteObserver | None = None) -> tuple[Database, Clock]:
    """Return the database that the settings name, not yet open, and the clock that it goes by.

    Raises:
        Refused: what speaks to it is not installed.
    """
    if config.is_embedded:
        return SqliteDatabase(config.directory, observer), SystemClock()
    require_postgres()
    from moorage.db.postgres import PostgresDatabase

    db = PostgresDatabase(config.database, config.database_connections, observer)
    return db, db.clock


@asynccontextmanager
async def opened(config: Config) -> AsyncIterator[tuple[Database, Clock]]:
    """Open the database that the settings name, with the clock that it goes by; close it after.

    Raises:
        Refused: what speaks to it is not installed.
        StoreUnavailable: it does not answer.
    """
    db, clock = database(config)
    await db.open()
    try:
        yield db, clock
    finally:
        await db.close()


def snapshot(config: Config, file: Path) -> Snapshot:
    """Return what the settings' database has now; an embedded one is copied to the file for it.

    Raises:
        Refused: what speaks to it is not installed.
        StoreUnavailable: it does not answer.
    """
    if config.is_embedded:
        return SqliteSnapshot(config.directory, file)
    require_postgres()
    from moorage.db.snapshot_postgres import PostgresSnapshot

    return PostgresSnapshot(config.database)


def require_postgres() -> None:
    """Do nothing where PostgreSQL's driver is installed.

    Raises:
        Refused: it is not.
    """
    for name in ("psycopg", "psycopg_pool"):
        if importlib.util.find_spec(name) is None:
            raise Refused(
                "The database is PostgreSQL, but what speaks to it is not installed.",
                why=f"There is no Python package {name}.",
                do="Install it: pip install 'moorage[postgres]'.",
            )


def blob_store(config: Config) -> MarkedStore:
    """Return where the settings keep blobs; nothing is opened or started yet.

    Raises:
        Refused: what is needed for it is not installed.
    """
    if not config.storage:
        return FilesystemBlobs(config.directory)
    try:
        from moorage.blobs.s3 import S3Blobs
    except ImportError as error:
        raise Refused(
            f"Blobs can't be kept in {config.storage}.",
            why=f"The package for it is missing: {error}.",
            do="Install moorage[s3].",
        ) from error
    return S3Blobs(config.storage, config.s3, SystemClock())


def administrator_password(config: Config) -> str:
    """Return the password of the administrator that the settings name, empty if they name none.

    Raises:
        Refused: it can't be read or is too short.
    """
    if not config.admin_user:
        return ""
    try:
        text = Path(config.admin_password_file).read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(
            f"The administrator's password file {config.admin_password_file} can't be read.",
            why=str(error),
            do="Point MOORAGE_ADMIN_PASSWORD_FILE to a file that this user may read.",
            exit_code=2,
        ) from error
    if len(text) < SHORTEST:
        raise Refused(
            "The administrator's password is too short.",
            why=f"It has {len(text)} characters, {SHORTEST} are the least.",
            do=f"Put a longer one into {config.admin_password_file}.",
            exit_code=2,
        )
    return text


def put_administrator(config: Config) -> None:
    """Give the administrator of the settings its account, with the password that they name.

    Raises:
        Refused: the password can't be used, or the name is no name of an account.
    """
    password = administrator_password(config)
    if password:
        asyncio.run(_put_administrator(config, password))


async def _put_administrator(config: Config, password: str) -> None:
    async with opened(config) as (db, clock):
        await accounts.put_administrator(db, clock, config.admin_user, password)


def make_setup_link(config: Config, proposed: str) -> NewLink | None:
    """Return a fresh link for the first account; None once there is or has been one.

    Its page proposes the name, if an account can have it.
    """
    return asyncio.run(_make_setup_link(config, proposed))


async def _make_setup_link(config: Config, proposed: str) -> NewLink | None:
    async with opened(config) as (db, clock):
        return await links.put_setup_link(db, clock, proposed)


async def build(
    config: Config,
    secrets: Secrets,
    worker: str,
    run_directory: Path | None = None,
    fair_use: FairUse | None = None,
    origins: Mapping[str, str] | None = None,
) -> Services:
    """Return the services of one process; call it after the fork, it opens the database.

    `secrets` is what `prepare` returned, `worker` the process's name in logs and metrics,
    `fair_use` what all processes of the server count in, `origins` where the settings are from.
    """
    telemetry = Telemetry(worker, config.log.format, access=config.log.access)
    db, clock = database(config, telemetry.metrics)
    await db.open()
    blobs = blob_store(config)
    keys = KeyRing(db, clock, secrets.keys)
    bearers = Bearers(keys, clock, config)
    proxies = Proxies(config.trusted_proxies)
    unknown = await proxies.resolve()
    if unknown:
        telemetry.log.warning("proxies not found", names=unknown)
    attempts = Attempts(per_name=config.limits.failed_sign_ins)
    guard = Guard(proxies, attempts=attempts, url=config.url)
    fetcher = Fetcher(config.outbound.allow)
    assertions = Assertions(db, clock, IssuerKeys(clock, fetcher))
    return Services(
        config=config,
        clock=clock,
        db=db,
        blobs=blobs,
        events=Outbox(),
        auth=Credentials(db, clock, LocalMode(config), guard, bearers, assertions),
        assertions=assertions,
        guard=guard,
        fair_use=fair_use or FairUse(config.limits),
        keys=keys,
        bearers=bearers,
        jobs=Queue(clock),
        second_factors=Cipher(secrets.keys, "totp"),
        openid=OpenId(clock, fetcher),
        provider_secrets=Cipher(secrets.keys, "provider"),
        hashes=Hashes(),
        session_ids=SessionIds(secrets.upload),
        telemetry=telemetry,
        proxies=proxies,
        readiness=Readiness(db, blobs, telemetry),
        refusals=Refusals(db, clock, telemetry),
        follower=Follower(db, telemetry),
        pulls=PullCounts(clock),
        origins=origins or {},
        openapi=api.openapi_document,
        run_directory=run_directory,
    )


def handler(s: Services) -> Handler:
    """Return the one handler of every request."""

    async def answer(request: Request) -> Response:
        request.client = s.proxies.name_of(request)
        try:
            return await attempt(request)
        except RegistryError as refused:
            s.refusals.count(request, refused)
            raise

    async def attempt(request: Request) -> Response:
        try:
            return await _choose(s, request)
        except Unauthorized as refused:
            # What ended may be what is remembered of it: the password itself may be good still.
            ended = refused.error == "invalid_token" and s.auth.forget(request)
            if not ended or request.body_read:
                raise
        return await _choose(s, request)

    return answer


async def _choose(s: Services, request: Request) -> Response:
    if request.path.startswith(("/v2", "/v1")):
        return await v2.answer(s, request)
    if request.path in token.ROUTES:
        return await token.answer(s, request)
    if files.is_one(request.path):
        return await files.respond(request)
    is_wanted = ui.is_wanted(request)
    page = ui.find(request.path)
    # What clients that are no browsers are told at the root is a line of text.
    if page is not None and (is_wanted or request.path != "/"):
        return await ui.respond(s, request, page)
    try:
        return await api.respond(s, request)
    except RouteUnknown as unknown:
        if request.path.startswith("/api/"):
            raise
        return await ui.respond_nowhere(s, request, unknown)


def front(s: Services) -> Front:
    """Return what answers a process's connections."""
    return Front(handler(s), s.telemetry, s.config.limits, ui.refused_page)


def admin_front(s: Services) -> Front:
    """Return what answers the connections of the admin socket: the management API, and no more."""
    operators = Operators()
    theirs = msgspec.structs.replace(s, auth=operators)

    async def answer(request: Request) -> Response:
        await operators.authenticate(request)
        if not request.path.startswith("/api/v1/"):
            raise RouteUnknown
        return await api.respond(theirs, request)

    return Front(answer, s.telemetry, s.config.limits)
