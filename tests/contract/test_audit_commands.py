"""`moorage audit` on a database of each kind: what it prints, and how it ends."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from contract.conftest import Registries
from contract.test_audit import COUNT, add, change, head_of, seal
from moorage.cli.main import commands
from moorage.db import repositories
from moorage.db.engine import Tx
from moorage.errors import Refused
from moorage.oci.names import RepositoryName
from moorage.registry.services import Services


class Moorage:
    """The command line on a registry whose trail has entries, two of them not sealed."""

    def __init__(self, registries: Registries, directory: Path) -> None:
        self.registries = registries
        self.directory = directory
        config = registries.config
        self._options = ["--data", str(config.directory)]
        self._options += ["--database", config.database] if config.database else []

        async def fill(s: Services) -> None:
            await add(s.db, range(COUNT))
            await seal(s.db)
            await add(s.db, range(COUNT, COUNT + 2))

        registries.run(fill)

    def run(self, *words: str, own: bool = True) -> str:
        """Return what a command prints; raise what it is refused with."""
        options = self._options if own else []
        result = CliRunner().invoke(commands, ["audit", *words, *options])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.output

    def refused(self, *words: str, own: bool = True) -> Refused:
        """Return how a command is refused."""
        with pytest.raises(Refused) as refused:
            self.run(*words, own=own)
        return refused.value

    def file(self, name: str, text: str) -> str:
        """Write a file and return its path."""
        path = self.directory / name
        path.write_text(text)
        return str(path)

    def tamper(self, number: int, **values: Any) -> None:
        """Change a row of the trail."""

        async def use(s: Services) -> None:
            await s.db.write(lambda tx: change(tx, number, **values))

        self.registries.run(use)


@pytest.fixture
def moorage_audit(registries: Registries, tmp_path_factory: pytest.TempPathFactory) -> Moorage:
    """Return the command line."""
    return Moorage(registries, tmp_path_factory.mktemp("audit"))


def test_verify(moorage_audit: Moorage) -> None:
    printed = moorage_audit.run("verify")
    assert f"{COUNT} entries are sealed." in printed
    assert "2 entries are not yet" in printed
    assert "All of it is as it was sealed." in printed
    key = moorage_audit.file("key.pem", moorage_audit.run("key"))
    assert moorage_audit.run("verify", "--key", key) == printed
    moorage_audit.tamper(5, actor="mallory")
    refused = moorage_audit.refused("verify")
    assert refused.exit_code == 7
    assert refused.why == "Place 5 (row 5) is not what was sealed there."
    assert refused.do


def test_verify_by_another_key(moorage_audit: Moorage) -> None:
    """The key that was kept says that all has been signed anew."""
    other = (
        "-----BEGIN PUBLIC KEY-----\n"
        "MCowBQYDK2VwAyEAO2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik=\n"
        "-----END PUBLIC KEY-----\n"
    )
    refused = moorage_audit.refused("verify", "--key", moorage_audit.file("other.pem", other))
    assert refused.exit_code == 7
    assert "is not signed by the key" in refused.why


def test_verify_through_a_head_that_was_kept(moorage_audit: Moorage) -> None:
    async def sealed(s: Services) -> str:
        head = await head_of(s.db)
        return f"{head.place}:{head.seal.hex()}"

    head = moorage_audit.registries.run(sealed)
    assert head in moorage_audit.run("verify", "--head", head)
    assert moorage_audit.refused("verify", "--head", f"{COUNT}:{'0' * 64}").exit_code == 7
    assert moorage_audit.refused("verify", "--head", f"{COUNT + 1}:{'0' * 64}").exit_code == 7
    for wrong in ("nonsense", "1", ":", "1:xyz"):
        assert moorage_audit.refused("verify", "--head", wrong).exit_code == 2


def test_export_and_verify_without_the_registry(moorage_audit: Moorage) -> None:
    key = moorage_audit.file("key.pem", moorage_audit.run("key"))
    lines = moorage_audit.run("export")
    told = [json.loads(line) for line in lines.splitlines()]
    assert [each["kind"] for each in told] == ["moorage-audit-1", *["entry"] * COUNT, "head"]
    path = moorage_audit.file("all.jsonl", lines)
    printed = moorage_audit.run("verify", "--file", path, "--key", key, own=False)
    assert f"{COUNT} entries are in the file." in printed
    altered = moorage_audit.file("altered.jsonl", lines.replace("actor-1", "actor-2", 1))
    refused = moorage_audit.refused("verify", "--file", altered, "--key", key, own=False)
    assert (refused.exit_code, "place 2" in refused.why.lower()) == (7, True)
    cut = moorage_audit.file("cut.jsonl", "".join(lines.splitlines(keepends=True)[:-1]))
    assert moorage_audit.refused("verify", "--file", cut, "--key", key, own=False).exit_code == 7
    assert moorage_audit.refused("verify", "--file", path, own=False).exit_code == 2
    missing = str(moorage_audit.directory / "missing")
    assert moorage_audit.refused("verify", "--file", missing, "--key", key).exit_code == 2
    assert moorage_audit.refused("verify", "--key", missing).exit_code == 2
    assert moorage_audit.refused("verify", "--key", path).exit_code == 2


def test_export_of_a_time(moorage_audit: Moorage) -> None:
    """Entries are an hour apart, from 2027-01-15T08:00:00Z on."""

    def numbers(*options: str) -> list[int]:
        lines = moorage_audit.run("export", *options).splitlines()[1:-1]
        return [json.loads(line)["detail"]["number"] for line in lines]

    assert numbers("--since", "2027-01-15T12:00:00Z", "--until", "2027-01-15T14:30") == [4, 5, 6]
    assert numbers("--since", "2027-01-15T13:00:00+01:00") == list(range(4, COUNT))
    assert numbers("--until", "2027-01-15") == []
    assert moorage_audit.refused("export", "--since", "yesterday").exit_code == 2


def test_export_of_a_changed_trail(moorage_audit: Moorage) -> None:
    moorage_audit.tamper(5, actor="mallory")
    assert moorage_audit.refused("export").exit_code == 7


def test_list(moorage_audit: Moorage) -> None:
    assert len(moorage_audit.run("list").splitlines()) == COUNT + 2
    lines = moorage_audit.run("list", "--limit", "3", "--json").splitlines()
    told = [json.loads(line) for line in lines]
    assert [each["detail"]["number"] for each in told] == [13, 12, 11]
    assert [each["place"] for each in told] == [0, 0, COUNT]
    assert len(moorage_audit.run("list", "--actor", "actor-1").splitlines()) == 5
    lines = moorage_audit.run("list", "--actor", "actor-1", "--action", "tag.deleted").splitlines()
    assert len(lines) == 3
    assert moorage_audit.run("list", "--namespace", "missing") == ""
    assert moorage_audit.refused("list", "--repository", "NOT A NAME").exit_code == 2


def test_list_by_name(moorage_audit: Moorage) -> None:
    name = RepositoryName.parse("acme/shop")

    async def fill(s: Services) -> None:
        async def write(tx: Tx) -> None:
            found, _ = await repositories.put_repository(tx, name, "private", 1)
            await change(tx, 2, repository_id=999)
            await change(tx, 3, namespace_id=found.namespace_id, repository_id=found.id)
            await change(tx, 4, namespace_id=found.namespace_id, repository_id=999)

        await s.db.write(write)

    moorage_audit.registries.run(fill)
    assert len(moorage_audit.run("list", "--namespace", "acme").splitlines()) == 2
    assert len(moorage_audit.run("list", "--repository", "acme/shop").splitlines()) == 1


def test_no_text_reaches_the_terminal_as_it_is(moorage_audit: Moorage) -> None:
    moorage_audit.tamper(14, actor="\x1b[2Jeve\nalice")
    (line,) = moorage_audit.run("list", "--limit", "1").splitlines()
    assert "\x1b" not in line
    assert "\\x1b[2Jeve\\nalice" in line


def test_an_insertion_is_named(moorage_audit: Moorage) -> None:
    async def use(s: Services) -> None:
        async def write(tx: Tx) -> None:
            await change(tx, 13, place=6)

        await s.db.write(write)

    moorage_audit.registries.run(use)
    assert moorage_audit.refused("verify").why == "Place 6 (row 13) is there more than once."


def test_there_must_be_a_registry(tmp_path: Path) -> None:
    for command in ("verify", "export", "key", "list"):
        result = CliRunner().invoke(commands, ["audit", command, "--data", str(tmp_path / "none")])
        assert isinstance(result.exception, Refused)
        assert result.exception.exit_code == 3
