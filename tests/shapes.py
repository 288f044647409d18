"""On what the servers of the tests keep their metadata and their bytes.

`--shape postgres+s3` runs a suite on the fleet's stores: every server that a test starts then gets
a database and a place in a bucket of its own, and keeps both over its restarts. With `--redirect`
clients are sent to the object store for blobs; without it the server sends them itself.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from postgres import Postgres
from s3 import GATEWAY, Gateway, S3Server, Swift

SHAPES = tuple(
    "+".join(parts) for parts in itertools.product(("sqlite", "postgres"), ("directory", "s3"))
)
EMBEDDED, FLEET = SHAPES[0], SHAPES[-1]


class Shape:
    """The stores behind one run of the tests, started when the first server asks for them."""

    def __init__(self, name: str = EMBEDDED, *, redirect: bool = False) -> None:
        self.name = name
        self._redirect = redirect
        self.database, self.store = name.split("+")
        self._stack = ExitStack()
        self._postgres: Postgres | None = None
        self._s3: S3Server | None = None

    @property
    def is_embedded(self) -> bool:
        """Whether a server keeps all in its data directory."""
        return self.name == EMBEDDED

    def environment(self) -> Mapping[str, str]:
        """Return the settings of a new server."""
        settings: dict[str, str] = {}
        if self.database == "postgres":
            if self._postgres is None:
                self._postgres = self._stack.enter_context(Postgres())
            settings["MOORAGE_DATABASE"] = self._postgres.database()
        if self.store == "s3":
            if self._s3 is None:
                # The quicker of the two, where it can be had.
                kind = Gateway if GATEWAY.exists() else Swift
                directory = self._stack.enter_context(tempfile.TemporaryDirectory())
                self._s3 = self._stack.enter_context(kind(Path(directory) / "s3"))
            settings |= self._s3.environment()
            settings["MOORAGE_REDIRECT__BLOBS"] = str(self._redirect).lower()
        return settings

    def close(self) -> None:
        """Stop what was started."""
        self._stack.close()
