"""Replicas of one registry over a real PostgreSQL and a real object store, behind a real proxy.

    with Fleet(tmp_path, postgres.database(), swift.environment()) as fleet:
        Registry(fleet.url, fleet.credentials).get("/v2/")
        fleet.replicas[1].kill()
        fleet.replicas[1].start()

The proxy has no affinity and the configuration that `moorage config proxy` prints.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from proxies import proxy

from process import Program, Server

PASSWORD = "correct horse battery staple"


class Fleet:
    """`count` replicas, each with `workers` serving processes and one for jobs."""

    credentials = ("admin", PASSWORD)

    def __init__(
        self,
        directory: Path,
        database: str,
        store: Mapping[str, str],
        *,
        count: int = 3,
        workers: int = 1,
        program: str = "nginx",
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._directory = directory
        self._program = program
        secret = directory / "password"
        directory.mkdir(parents=True, exist_ok=True)
        secret.write_text(PASSWORD + "\n")
        settings = {
            "MOORAGE_DATABASE": database,
            "MOORAGE_ADMIN_USER": "admin",
            "MOORAGE_ADMIN_PASSWORD_FILE": str(secret),
            "MOORAGE_LOG__ACCESS": "false",
            **store,
            **(env or {}),
        }
        self.replicas = [
            Server(directory / f"replica{number}", env=settings, workers=workers)
            for number in range(count)
        ]
        self._stack = ExitStack()
        self._proxy: Program | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for replica in self.replicas:
                stack.callback(replica.close)
            # All at once, as they are in life: one of them migrates, the others wait for it.
            with ThreadPoolExecutor(len(self.replicas)) as pool:
                list(pool.map(Server.start, self.replicas))
            # Apart from pytest's own directories, which another user may not enter.
            root = Path(tempfile.mkdtemp(prefix="moorage-proxy-"))
            root.chmod(0o755)
            stack.callback(shutil.rmtree, root, ignore_errors=True)
            addresses = tuple(replica.address for replica in self.replicas)
            running = proxy(self._program, root, addresses, is_nobody=False)
            self._proxy = stack.enter_context(running)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def port(self) -> int:
        """The proxy's port."""
        assert self._proxy is not None, "the fleet is not running"
        return self._proxy.port

    @property
    def url(self) -> str:
        """The address that clients use."""
        return f"http://127.0.0.1:{self.port}"
