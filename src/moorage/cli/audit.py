"""`moorage audit`: the trail, read from the database itself, beside the running server."""

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TypeVar

import click
import msgspec

from moorage.app import opened
from moorage.auth.chain import Point, PublicKey
from moorage.cli.absent import no_registry
from moorage.cli.words import moment_of
from moorage.config import Config
from moorage.db.engine import Database
from moorage.errors import NameInvalid, Refused
from moorage.model.audit import Entry, Filter
from moorage.registry import proof
from moorage.registry.audit import Broken, read_entries, seal_key

Value = TypeVar("Value")

FILTERS = tuple(each.value for each in Filter)
_ALWAYS = 2**62
_MOST = 1_000
_HEAD = re.compile(r"([0-9]{1,18}):([0-9a-f]{64})", re.ASCII)


def verify(config: Config, kept: Path | None, head: str) -> None:
    """Follow the whole trail in the database, and say what is found.

    Raises:
        Refused: it is not as it was sealed; or there is none, or nothing to verify it with.
    """
    key = _read_key(kept) if kept is not None else None
    anchor = _anchor(head) if head else None

    async def use(db: Database) -> proof.Report:
        public = key or (await seal_key(db)).public
        return await proof.verify(db, public, anchor)

    report = _run(config, use)
    click.echo(f"{report.sealed} entries are sealed.")
    click.echo(f"{report.unsealed} entries are not yet: the tail, which nothing proves so far.")
    if report.head is not None:
        told = f"{report.head.place}:{report.head.seal.hex()}"
        click.echo(f"The head is {told}, signed by the key {report.head.key_id}.")
    _refuse_if_broken(report)


def verify_file(path: Path, kept: Path | None) -> None:
    """Follow an exported part, with nothing but the key.

    Raises:
        Refused: it is not as it was exported; or it or the key can't be read.
    """
    if kept is None:
        raise Refused(
            "There is no key to verify the file with.",
            why="A key beside the file could have been changed with it.",
            do="Give --key the public key that `moorage audit key` printed.",
            exit_code=2,
        )
    key = _read_key(kept)
    try:
        with path.open("rb") as lines:
            report = proof.verify_lines(lines, key)
    except OSError as error:
        raise _unreadable(path, error) from error
    click.echo(f"{report.sealed} entries are in the file.")
    _refuse_if_broken(report)


def export(config: Config, since: str, until: str) -> None:
    """Print the trail from one time to another.

    Raises:
        Refused: it is not as it was sealed.
    """
    first = _time(since) if since else -_ALWAYS
    last = _time(until) if until else _ALWAYS

    async def use(db: Database) -> None:
        async for line in proof.export(db, await seal_key(db), first, last):
            sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()

    try:
        _run(config, use)
    except Broken as broken:
        raise _not_as_sealed(str(broken)) from broken


def print_key(config: Config) -> None:
    """Print the public key.

    Raises:
        Refused: there is no registry.
    """

    async def use(db: Database) -> str:
        return (await seal_key(db)).public.pem()

    click.echo(_run(config, use), nl=False)


def list_newest(config: Config, by: Mapping[str, str | None], limit: int, *, as_json: bool) -> None:
    """Print the newest entries.

    Raises:
        Refused: there is no registry, or no repository can have that name.
    """
    filters = {Filter(name): value for name, value in by.items() if value}

    async def use(db: Database) -> list[Entry]:
        found: list[Entry] = []
        before = 0
        while len(found) < limit:
            page = await read_entries(db, filters, before, min(limit - len(found), _MOST))
            found += page.entries
            before = page.before
            if not before:
                break
        return found

    try:
        entries = _run(config, use)
    except NameInvalid as invalid:
        raise Refused(invalid.message, do=invalid.hint or "", exit_code=2) from invalid
    for entry in entries:
        click.echo(_as_json(entry) if as_json else _as_line(entry))


def _as_json(entry: Entry) -> str:
    told = msgspec.structs.asdict(entry)
    told |= {"seal": entry.seal.hex(), "detail": msgspec.Raw(entry.detail or b"null")}
    return msgspec.json.encode(told).decode()


def _as_line(entry: Entry) -> str:
    detail = entry.detail.decode("utf-8", "backslashreplace")
    # On a terminal no text of a user may move the cursor or begin a line.
    shown = [entry.actor or "-", entry.address or "-", entry.credential or "-", entry.action]
    line = " ".join([proof.time_of(entry.at), *shown, detail])
    return line.encode("unicode_escape").decode() if not line.isprintable() else line


def _run(config: Config, use: Callable[[Database], Awaitable[Value]]) -> Value:
    if config.is_embedded and not (config.directory / "moorage.db").exists():
        raise no_registry(config.directory, "Give --data the directory that the server uses.")

    async def body() -> Value:
        async with opened(config) as (db, _):
            return await use(db)

    return asyncio.run(body())


def _refuse_if_broken(report: proof.Report) -> None:
    if not report.problems:
        click.echo("All of it is as it was sealed.")
        return
    for problem in report.problems[1:]:
        click.echo(f"Also: {problem}.", err=True)
    raise _not_as_sealed(report.problems[0])


def _not_as_sealed(problem: str) -> Refused:
    return Refused(
        "The audit trail is not as it was sealed.",
        why=f"{problem[0].upper()}{problem[1:]}.",
        do="Keep a copy of the database as it is, and compare it with a backup.",
        exit_code=7,
    )


def _read_key(path: Path) -> PublicKey:
    try:
        key = PublicKey.read(path.read_bytes())
    except OSError as error:
        raise _unreadable(path, error) from error
    if key is None:
        raise Refused(
            f"{path} is no key of an audit trail.",
            why="It has no Ed25519 public key in PEM.",
            do="Give --key the file that `moorage audit key` was printed to.",
            exit_code=2,
        )
    return key


def _unreadable(path: Path, error: OSError) -> Refused:
    return Refused(f"{path} can't be read.", why=error.strerror or str(error), exit_code=2)


def _anchor(text: str) -> Point:
    found = _HEAD.fullmatch(text)
    if found is None:
        raise Refused(
            f"{text!r} is no head of an audit trail.",
            why="It is not a place and a seal.",
            do="Write it as PLACE:SEAL, as `moorage audit verify` prints it.",
            exit_code=2,
        )
    return Point(int(found[1]), bytes.fromhex(found[2]))


def _time(text: str) -> int:
    return int(moment_of(text).timestamp() * 1_000)
