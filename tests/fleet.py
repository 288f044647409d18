"""A fleet on this machine: PostgreSQL, a real S3 server, and replicas of Moorage over both.

    with Fleet(tmp_path, replicas=3) as fleet:
        Registry(fleet.servers[1].url, fleet.credentials).get("/v2/")
        fleet.servers[0].kill()
        fleet.database.kill()

Nothing is in front of the replicas: `fronts.proxy(…, fleet.addresses)` is.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from postgres import Postgres
from process import Server
from s3 import S3Server, Swift

DATABASE = "moorage"
USER = "admin"


class Fleet:
    """Replicas of one registry; `database` and `store` are of its own unless they are given.

    `settings` are further variables of the replicas' environment.
    """

    def __init__(
        self,
        directory: Path,
        replicas: int = 2,
        database: Postgres | None = None,
        store: S3Server | None = None,
        workers: int = 1,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = directory
        self.database = database or Postgres()
        self.store = store or Swift(directory / "store")
        self.storage = f"s3://{self.store.bucket}/registry"
        self.secret = directory / "password"
        self.servers: list[Server] = []
        self._settings = dict(settings or {})
        self._replicas = replicas
        self._workers = workers
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.database)
            stack.enter_context(self.store)
            self._make_secret()
            self._make_database()
            for number in range(1, self._replicas + 1):
                self.servers.append(stack.enter_context(self._server(number)))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where the replicas listen."""
        return tuple(server.address for server in self.servers)

    @property
    def credentials(self) -> tuple[str, str]:
        """The administrator's name and password."""
        return USER, self.secret.read_text().strip()

    def environment(self) -> dict[str, str]:
        """Return what makes a server one of this fleet."""
        return {
            **self.store.environment(),
            "MOORAGE_STORAGE": self.storage,
            "MOORAGE_DATABASE": self.database.url_of(DATABASE),
            "MOORAGE_ADMIN_USER": USER,
            "MOORAGE_ADMIN_PASSWORD_FILE": str(self.secret),
            **self._settings,
        }

    def _server(self, number: int) -> Server:
        directory = self.directory / f"replica{number}"
        return Server(directory / "data", env=self.environment(), workers=self._workers)

    def _make_secret(self) -> None:
        if not self.secret.exists():
            self.secret.touch(0o600)
            self.secret.write_text(secrets.token_urlsafe(18) + "\n")

    def _make_database(self) -> None:
        find = "SELECT 1 FROM pg_database WHERE datname = %s"
        if not self.database.execute(find, DATABASE):
            self.database.empty(DATABASE)
