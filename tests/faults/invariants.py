"""What must hold of a data directory at every moment, looked up behind the server's back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw

from faults.ledger import Ledger
from faults.pushing import children_of
from moorage.db.schema import SCHEMA_VERSION
from registry import digest_of

MARKS = {"sha256": 1, "sha512": 2, "blake3": 3}
NAMES = {mark: name for name, mark in MARKS.items()}

# Each statement finds what breaks the rule.
RULES = {
    "I1 a tag names no live manifest of its repository": """
        SELECT t.repository_id, t.name FROM tag t LEFT JOIN manifest m
        ON m.id = t.manifest_id AND m.repository_id = t.repository_id AND m.trash_until = 0
        WHERE m.id IS NULL""",
    "I1 a tag's digest is not one of its manifest": """
        SELECT t.repository_id, t.name FROM tag t LEFT JOIN manifest_digest d
        ON d.repository_id = t.repository_id AND d.digest = t.digest
        AND d.manifest_id = t.manifest_id WHERE d.manifest_id IS NULL""",
    "I2 a live manifest names a blob that its repository has not": """
        SELECT r.manifest_id, r.position FROM manifest_reference r
        JOIN manifest m ON m.id = r.manifest_id AND m.trash_until = 0
        LEFT JOIN repository_blob b ON b.repository_id = r.repository_id
        AND b.blob_id = r.child_id AND b.trash_until = 0
        WHERE r.kind = 'blob' AND b.blob_id IS NULL""",
    "I2 a live manifest names a manifest that its repository has not": """
        SELECT r.manifest_id, r.position FROM manifest_reference r
        JOIN manifest m ON m.id = r.manifest_id AND m.trash_until = 0
        LEFT JOIN manifest c ON c.id = r.child_id AND c.repository_id = r.repository_id
        AND c.trash_until = 0 WHERE r.kind = 'manifest' AND c.id IS NULL""",
    "I2 a live manifest lacks a part": """
        SELECT r.manifest_id, r.position FROM manifest_reference r
        JOIN manifest m ON m.id = r.manifest_id AND m.trash_until = 0
        WHERE r.kind = 'absent' AND r.role <> 'subject'""",
    "I2 a name is of what is gone": """
        SELECT r.manifest_id, r.position FROM manifest_reference r
        LEFT JOIN manifest c ON r.kind = 'manifest' AND c.id = r.child_id
        AND c.repository_id = r.repository_id
        LEFT JOIN repository_blob b ON r.kind = 'blob' AND b.blob_id = r.child_id
        AND b.repository_id = r.repository_id
        WHERE r.child_id <> 0 AND c.id IS NULL AND b.blob_id IS NULL""",
    "I3 a repository has a blob that is not there": """
        SELECT l.repository_id, l.blob_id FROM repository_blob l
        LEFT JOIN blob b ON b.id = l.blob_id WHERE b.id IS NULL""",
    "I3 a blob has no identity": """
        SELECT b.id FROM blob b LEFT JOIN blob_digest d
        ON d.blob_id = b.id AND substr(d.digest, 1, 1) = x'01' WHERE d.blob_id IS NULL""",
    "I6 a blob's location is to be deleted": """
        SELECT b.id FROM blob b JOIN delete_queue q ON q.location = b.location""",
    "I7 a namespace's usage is not the sum of its blobs": """
        SELECT n.id FROM namespace n WHERE
        (SELECT coalesce(sum(bytes), 0) FROM usage WHERE namespace_id = n.id)
        + (SELECT coalesce(sum(bytes), 0) FROM usage_delta WHERE namespace_id = n.id)
        <> (SELECT coalesce(sum(size), 0) FROM blob WHERE id IN
        (SELECT blob_id FROM repository_blob WHERE namespace_id = n.id))""",
    "I12 a tag's history has a gap": """
        SELECT repository_id, name FROM tag_change GROUP BY repository_id, name
        HAVING min(version) <> 1 OR max(version) <> count(*)""",
    "I12 a tag is not what its history says": """
        SELECT c.repository_id, c.name FROM tag_change c LEFT JOIN tag t
        ON t.repository_id = c.repository_id AND t.name = c.name
        WHERE c.version = (SELECT max(version) FROM tag_change o
        WHERE o.repository_id = c.repository_id AND o.name = c.name)
        AND CASE WHEN t.name IS NULL THEN length(c.digest) > 0
        ELSE t.version <> c.version OR t.digest <> c.digest END""",
    "I12 a tag has no history": """
        SELECT t.repository_id, t.name FROM tag t LEFT JOIN tag_change c
        ON c.repository_id = t.repository_id AND c.name = t.name AND c.version = t.version
        WHERE c.name IS NULL""",
    "of one push's two tags only one has moved": """
        SELECT repository_id FROM tag WHERE name IN ('left', 'right') GROUP BY repository_id
        HAVING count(*) <> 2 OR count(DISTINCT digest) <> 1""",
    "I13 an upload belongs to nobody": """
        SELECT u.id FROM upload u LEFT JOIN repository r ON r.id = u.repository_id
        WHERE u.state <> x'' AND (r.id IS NULL OR u.owner = '')""",
    "I14 the schema is unknown": f"""
        SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM setting
        WHERE key = 'schema.version' AND value = '{SCHEMA_VERSION}')""",
}
# An ended session keeps its id, without a state.
SESSIONS = "SELECT state FROM upload WHERE state <> x''"
HAS = {
    "blob": """
        SELECT 1 FROM repository r JOIN blob_digest d JOIN blob b ON b.id = d.blob_id
        JOIN repository_blob l ON l.repository_id = r.id AND l.blob_id = b.id
        WHERE r.name = ? AND d.digest = ? AND l.trash_until = 0 AND b.state = 'live'""",
    "manifest": """
        SELECT 1 FROM repository r JOIN manifest_digest d ON d.repository_id = r.id
        JOIN manifest m ON m.id = d.manifest_id
        WHERE r.name = ? AND d.digest = ? AND m.trash_until = 0""",
}


def key_of(digest: str) -> bytes:
    """Return a digest as the tables hold it."""
    name, _, value = digest.partition(":")
    return bytes((MARKS[name],)) + bytes.fromhex(value)


def named(key: bytes) -> str:
    """Return the digest of a key."""
    return f"{NAMES[key[0]]}:{key[1:].hex()}"


class Snapshot:
    """A data directory that nothing writes to at this moment."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._connection = apsw.Connection(
            str(data / "moorage.db"), flags=apsw.SQLITE_OPEN_READONLY
        )
        self._connection.set_busy_timeout(5_000)

    def __enter__(self) -> Snapshot:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def rows(self, statement: str, *values: object) -> list[Any]:
        """Return what a statement finds."""
        return self._connection.execute(statement, values).fetchall()

    def broken_rules(self) -> list[str]:
        """Return what is wrong within the database."""
        return [f"{rule}: {row}" for rule, text in RULES.items() for row in self.rows(text)]

    def violations(self) -> list[str]:
        """Return all that is wrong within the directory; every byte of every blob is read."""
        found = self.broken_rules()
        answer = self.rows("PRAGMA integrity_check")
        found += [f"integrity: {row}" for row in answer if row != ("ok",)]
        return [*found, *self._blobs(), *self._manifests(), *self._uploads()]

    def lost(self, ledger: Ledger) -> list[str]:
        """Return what was acknowledged and is not there (I9), or is what nobody asked for."""
        found = []
        for kind, places in (("blob", ledger.blobs), ("manifest", ledger.manifests)):
            for repository, digest in places:
                if not self.rows(HAS[kind], repository, key_of(digest)):
                    found.append(f"I9 an acknowledged {kind} is lost: {repository} {digest}")
        for place, pointer in ledger.tags.items():
            rows = self.rows(
                "SELECT t.digest FROM tag t JOIN repository r ON r.id = t.repository_id"
                " WHERE r.name = ? AND t.name = ?",
                *place,
            )
            value = named(rows[0][0]) if rows else None
            if value not in pointer.possible:
                found.append(f"I9 a tag is what it can't be: {place} is {value}, not {pointer}")
        return found

    def orphans(self) -> list[Path]:
        """Return the objects and session files that nothing names (I8): they waste space only."""
        known = {location for (location,) in self.rows("SELECT location FROM blob")}
        known |= {location for (location,) in self.rows("SELECT location FROM delete_queue")}
        known |= {_file_of(state) for (state,) in self.rows(SESSIONS)}
        files = [*self._data.glob("objects/??/*"), *self._data.glob("uploads/*")]
        return [file for file in files if file.name not in known]

    def _object(self, location: str) -> Path:
        return self._data / "objects" / location[:2] / location

    def _blobs(self) -> Iterator[str]:
        statement = "SELECT id, size, location FROM blob WHERE state = 'live'"
        digests: dict[int, list[str]] = {}
        for key, number in self.rows("SELECT digest, blob_id FROM blob_digest"):
            digests.setdefault(number, []).append(named(key))
        for number, size, location in self.rows(statement):
            path = self._object(location)
            if not path.exists():
                yield f"I4 blob {number} has no file"
                continue
            content = path.read_bytes()
            if len(content) != size:
                yield f"I4 blob {number} has {len(content)} bytes, not {size}"
            for digest in digests.pop(number, []):
                if digest_of(content, digest.partition(":")[0]) != digest:
                    yield f"I5 blob {number} has not the bytes of {digest}"

    def _manifests(self) -> Iterator[str]:
        references: dict[int, set[str]] = {}
        for number, key in self.rows(
            "SELECT manifest_id, child_digest FROM manifest_reference WHERE role <> 'subject'"
        ):
            references.setdefault(number, set()).add(named(key))
        for number, identity, subject, size, raw in self.rows(
            "SELECT id, identity, subject, size, raw FROM manifest"
        ):
            if digest_of(raw) != named(identity) or len(raw) != size:
                yield f"I5 manifest {number} has not the bytes of {named(identity)}"
                continue
            children, wanted = children_of(raw)
            if references.get(number, set()) != children:
                yield f"I2 manifest {number} has not the references that its bytes have"
            if (named(subject) if subject else None) != wanted:
                yield f"I10 manifest {number} is listed as a referrer of something else"

    def _uploads(self) -> Iterator[str]:
        """A session's bytes are in its file, or in the object that it was just about to become."""
        orphans = self.orphans()
        for number, state, offset, prefix in self.rows(
            "SELECT id, state, offset, prefix FROM upload WHERE offset > 0 AND state <> x''"
        ):
            own = self._data / "uploads" / _file_of(state)
            files = [own] if own.exists() else orphans
            if not any(_begins_with(file, offset, prefix) for file in files):
                yield f"I13 upload {number} has not the {offset} bytes that it says"


def _file_of(state: bytes) -> str:
    """Return the name of a session's file: the state ends with it."""
    return bytes(state)[-32:].decode()


def _begins_with(file: Path, offset: int, prefix: bytes) -> bool:
    content = file.read_bytes()[:offset]
    same = not prefix or hashlib.sha256(content).digest() == prefix[1:]
    return same and len(content) == offset


def assert_sound(data: Path, ledger: Ledger | None = None) -> None:
    """Check everything of a directory, and that all acknowledgements hold."""
    with Snapshot(data) as snapshot:
        found = snapshot.violations()
        if ledger is not None:
            found += snapshot.lost(ledger)
    assert not found, f"{len(found)} violations: {found[:10]}"
