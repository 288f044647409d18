"""Pages of lists of a thousand and of a million entries on both databases, and starts over them.

The entries are made by SQL, since pushing a million takes hours; the rows are those of a push. The
two databases of a kind are asked in turn in one run, so that their ratio does not know the machine.
"""

import hashlib
import itertools
import statistics
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import apsw
import psycopg

from bench import bodies, load, seeds, uploads
from bench.pages import PAGE
from bench.report import Row, most
from bench.rounds import Bench, say
from bench.servers import Moorage, Server
from bench.stores import FLEET, Alone, Replica, Stores, running
from bench.wire import request

REPOSITORY = "bench/tags"
FEW = 1000
ASKED = 300
KINDS = ("PostgreSQL", "SQLite")

# `{six}` and `{three}` are n and n / 1000 with leading zeros.
NUMBERS = "WITH RECURSIVE g(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM g WHERE n + 1 < {amount})"
SEEDS = (
    NUMBERS + " INSERT INTO tag (repository_id, name, manifest_id, digest, version, updated_at)"
    " SELECT t.repository_id, 't' || {six}, t.manifest_id, t.digest, 1, t.updated_at"
    " FROM g, tag t WHERE t.name = 'first'",
    NUMBERS + " INSERT INTO tag_change (repository_id, name, version, digest, at, actor,"
    " credential, request_id, cause, cause_id) SELECT t.repository_id, 't' || {six}, 1, t.digest,"
    " t.at, t.actor, t.credential, t.request_id, t.cause, t.cause_id"
    " FROM g, tag_change t WHERE t.name = 'first'",
    NUMBERS + " INSERT INTO namespace (name, kind, created_at)"
    " SELECT DISTINCT 'n' || {three}, 'organisation', 0 FROM g",
    NUMBERS + " INSERT INTO repository (namespace_id, name, kind, visibility, generation,"
    " created_at, trash_until) SELECT s.id, s.name || '/r' || {last}, 'hosted', 'private', 1, 0, 0"
    " FROM g JOIN namespace s ON s.name = 'n' || {three}",
)
POSTGRES = {"six": "right('00000' || n, 6)", "three": "left(right('00000' || n, 6), 3)"}
POSTGRES |= {"last": "right('00000' || n, 3)"}
SQLITE = {"six": "substr('00000' || n, -6)", "three": "substr(substr('00000' || n, -6), 1, 3)"}
SQLITE |= {"last": "substr('00000' || n, -3)"}


@dataclass(frozen=True, slots=True)
class Scale:
    """Two servers over the same kind of database, one with few entries and one with many."""

    kind: str
    few: Moorage
    many: Moorage
    amount: int

    @property
    def sides(self) -> tuple[str, str]:
        """What the two are called in a table."""
        return f"{self.amount:,} entries", f"{FEW:,} entries"


def pages(bench: Bench) -> list[Row]:
    """Pages at random places, and the start of a server over a million tags and repositories."""
    amount = bench.size(1_000_000, 100_000)
    rows: list[Row] = []
    with Stores(bench.directory()) as stores, scales(bench, stores, amount) as both:
        for scale in both:
            rows += _compared(bench, scale, "tags page", tags_path)
            rows += _compared(bench, scale, "catalog page", catalog_path)
            rows += _starts(bench, scale)
        grown = _stored(stores, both[0]) / (2 * amount)
        rows.append(Row("on disk", "bytes per tag or repository", (grown,), sides=FLEET))
    return rows


def tags_path(number: int) -> str:
    """Return the address of the page of tags behind the one of that number."""
    return f"/v2/{REPOSITORY}/tags/list?n={PAGE}&last={seeds.tag_name(number)}"


def catalog_path(number: int) -> str:
    """Return the address of the page of repositories behind the one of that number."""
    return f"/v2/_catalog?n={PAGE}&last={seeds.repository_name(number)}"


@contextmanager
def scales(bench: Bench, stores: Stores, amount: int) -> Iterator[list[Scale]]:
    """Start a server over few and one over many entries for each kind of database."""
    with ExitStack() as stack:
        found: list[Scale] = []
        for kind in KINDS:
            servers: list[Moorage] = []
            for entries in (FEW, amount):
                settings = stores.settings() if kind == KINDS[0] else None
                server = _server(bench, settings)
                stack.enter_context(running([server]))
                _seed(server, settings, entries)
                say("s")
                servers.append(server)
            found.append(Scale(kind, servers[0], servers[1], amount))
        yield found


def _server(bench: Bench, settings: Mapping[str, str] | None) -> Moorage:
    if settings is not None:
        return Replica.make(bench, settings)
    alone = Alone(bench.directory())
    alone.workers = 1
    return alone


def _seed(server: Moorage, settings: Mapping[str, str] | None, amount: int) -> None:
    """Push one image, multiply its tag and add repositories while the server is stopped."""
    connection = server.connection()
    uploads.push_image(connection, REPOSITORY, "first", bodies.image("tags"))
    connection.close()
    server.stop()
    if settings is not None:
        with psycopg.connect(settings["MOORAGE_DATABASE"], autocommit=True) as database:
            with database.transaction():
                for text in SEEDS:
                    database.execute(text.format(amount=amount, **POSTGRES).encode())
            # What autovacuum does within minutes of such a load.
            database.execute("VACUUM ANALYZE")
    else:
        path = next((server.directory / "data").glob("*.db"))
        file = apsw.Connection(str(path))
        with file:
            for text in SEEDS:
                file.execute(text.format(amount=amount, **SQLITE))
        file.close()
    server.start()


def _compared(bench: Bench, scale: Scale, what: str, path: Callable[[int], str]) -> list[Row]:
    """Ask both for pages in turn; the figure is the median time of a page."""
    seen: dict[int, list[float]] = {}
    turns = {FEW: scale.few, scale.amount: scale.many}
    for server in turns.values():
        _walk(bench, server, [path(0)] * 50)
    for number, (entries, server) in itertools.product(range(bench.rounds), turns.items()):
        places = [path(_place(f"{number}/{page}", entries - PAGE)) for page in range(ASKED)]
        seen.setdefault(entries, []).append(_walk(bench, server, places))
        say(".")
    many, few = tuple(seen[scale.amount]), tuple(seen[FEW])
    return [Row(f"{what}, {scale.kind}", "median ms", many, few, most(1.5), sides=scale.sides)]


def _walk(bench: Bench, server: Server, paths: list[str]) -> float:
    messages = [request(server.endpoint, "GET", path) for path in paths]
    work = bench.load(load.walk, server.endpoint, messages, 60)
    return statistics.median(work.waits) * 1e3


def _place(seed: str, below: int) -> int:
    """Return a place that looks random and is the same in each run."""
    return int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big") % below


def _starts(bench: Bench, scale: Scale) -> list[Row]:
    """Restart the servers over many and over few entries in turn; the page cache stays warm."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(bench.long_rounds):
        for server, seen in zip((scale.many, scale.few), seconds, strict=True):
            server.stop()
            seen.append(server.start())
    many, few = map(tuple, seconds)
    return [Row(f"start, {scale.kind}", "s to ready", many, few, most(1.5), sides=scale.sides)]


def _stored(stores: Stores, scale: Scale) -> int:
    """Return the bytes of the larger PostgreSQL database, tables and indexes."""
    environment = scale.many.environment or {}
    name = environment["MOORAGE_DATABASE"].rpartition("/")[2]
    return int(stores.database.execute("SELECT pg_database_size(%s)", name)[0][0])
