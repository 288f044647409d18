"""The composition root: settings in, one process's services and its handler out."""

from pathlib import Path

from moorage.api import app as api
from moorage.auth.credentials import Administrator, Credentials
from moorage.auth.local import LocalMode
from moorage.auth.passwords import hash_password
from moorage.blobs.filesystem import FilesystemBlobs
from moorage.blobs.store import BlobStore
from moorage.clock import SystemClock
from moorage.config import Config
from moorage.db.migrate import migrate_sqlite, secret
from moorage.db.sqlite import SqliteDatabase
from moorage.errors import Refused
from moorage.events.outbox import Outbox
from moorage.registry.hashing import Hashes
from moorage.registry.services import Services
from moorage.registry.sessions import SessionIds
from moorage.telemetry import Telemetry
from moorage.v2 import app as v2
from moorage.web.clients import Proxies
from moorage.web.request import Request
from moorage.web.response import Response
from moorage.web.server import Front, Handler

_SHORTEST_PASSWORD = 12


def prepare(config: Config) -> bytes:
    """Make the data directory, bring its schema up to date, and return the registry's secret.

    To be done before any process is forked.

    Raises:
        Refused: the directory or the database can't be used.
    """
    if config.storage:
        blob_store(config)
    else:
        FilesystemBlobs.prepare(config.directory)
    migrate_sqlite(config.directory)
    return secret(config.directory, "upload")


def blob_store(config: Config) -> BlobStore:
    """Return where the settings keep blobs; nothing is opened or started yet.

    Raises:
        Refused: what is needed for it is not installed.
    """
    if not config.storage:
        return FilesystemBlobs(config.directory)
    try:
        from moorage.blobs.s3 import S3Blobs  # noqa: PLC0415 - only where it is asked for
    except ImportError as error:
        raise Refused(
            f"Blobs can't be kept in {config.storage}.",
            why=f"The package for it is missing: {error}.",
            do="Install moorage[s3].",
        ) from error
    return S3Blobs(config.storage, config.s3, SystemClock())


def administrator(config: Config) -> Administrator | None:
    """Return the administrator that the settings name, with the password hashed.

    Raises:
        Refused: the password can't be read or is too short.
    """
    if not config.admin_user:
        return None
    try:
        text = Path(config.admin_password_file).read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(
            f"The administrator's password file {config.admin_password_file} can't be read.",
            why=str(error),
            do="Point MOORAGE_ADMIN_PASSWORD_FILE to a file that this user may read.",
            exit_code=2,
        ) from error
    if len(text) < _SHORTEST_PASSWORD:
        raise Refused(
            "The administrator's password is too short.",
            why=f"It has {len(text)} characters, {_SHORTEST_PASSWORD} are the least.",
            do=f"Put a longer one into {config.admin_password_file}.",
            exit_code=2,
        )
    return Administrator(config.admin_user, hash_password(text))


def build(
    config: Config,
    key: bytes,
    admin: Administrator | None,
    worker: str,
    run_directory: Path | None = None,
) -> Services:
    """Return the services of one process; call it after the fork, it opens the database.

    `key` is what `prepare` returned, `worker` the process's name in logs and metrics.
    """
    telemetry = Telemetry(worker, config.log.format, access=config.log.access)
    db = SqliteDatabase(config.directory, telemetry.metrics)
    db.open()
    return Services(
        config=config,
        clock=SystemClock(),
        db=db,
        blobs=blob_store(config),
        events=Outbox(),
        auth=Credentials(admin, LocalMode(config)),
        hashes=Hashes(),
        session_ids=SessionIds(key),
        telemetry=telemetry,
        proxies=Proxies(config.trusted_proxies),
        run_directory=run_directory,
    )


def handler(s: Services) -> Handler:
    """Return the one handler of every request."""

    async def answer(request: Request) -> Response:
        if request.path.startswith(("/v2", "/v1")):
            return await v2.answer(s, request)
        return await api.respond(s, request)

    return answer


def front(s: Services) -> Front:
    """Return what answers a process's connections."""
    return Front(handler(s), s.telemetry, s.config.limits)
