"""A whole fleet on this machine, without containers: `make fleet`.

PostgreSQL, OpenStack Swift with its S3 interface, replicas of Moorage, and a proxy in front with
the configuration that `moorage config proxy` prints. Everything listens on the loopback address
only, on free ports but for the proxy's. It runs from a checkout, with the servers that the tests
use; for real use each part is one of your own (docs/how-to/fleet.md).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from fleet import Fleet  # noqa: E402 - from the tests, which are no package
from fronts import proxy  # noqa: E402
from postgres import Postgres  # noqa: E402
from process import find_tool, is_listening  # noqa: E402
from s3 import READY_SECONDS, Swift  # noqa: E402


class KeptPostgres(Postgres):
    """A server whose data stay when it ends."""

    def __init__(self, data: Path) -> None:
        super().__init__()
        self.data = data

    def _initialise(self) -> None:
        if (self.data / "PG_VERSION").exists():
            moved = {"port": str(self.port), "unix_socket_directories": f"'{self.directory}'"}
            with (self.data / "postgresql.conf").open("a") as file:
                file.writelines(f"{name} = {value}\n" for name, value in moved.items())
            self._give(self.directory)
            return
        self.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._give(self.data)
        super()._initialise()

    def _give(self, directory: Path) -> None:
        if os.geteuid() == 0:
            user = pwd.getpwnam("nobody")
            os.chown(directory, user.pw_uid, user.pw_gid)

    def close(self) -> None:
        """Stop the server in good order; what it keeps stays."""
        with contextlib.suppress(RuntimeError):
            self.stop("fast")
        super().close()


class KeptSwift(Swift):
    """A store whose objects stay when it ends; its settings are written anew each time."""

    def __init__(self, settings: Path, objects: Path) -> None:
        super().__init__(settings)
        self._objects = objects

    def launch(self) -> None:
        """Start it on the objects that are there."""
        super().launch()
        self._objects.mkdir(parents=True, exist_ok=True)
        device = self.directory / "devices" / "d1"
        device.rmdir()
        device.symlink_to(self._objects)

    async def _make_bucket(self) -> None:
        async def find(client: object) -> bool:
            page = await client.list_buckets()  # type: ignore[attr-defined]
            return self.bucket in [each["Name"] for each in page["Buckets"]]

        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                is_there = await self.use(find)
                break
            except Exception:  # whatever it says while it starts
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.2)
        if not is_there:
            await super()._make_bucket()


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """Make a directory for what need not be kept, which the proxy's user may enter."""
    directory = Path(tempfile.mkdtemp(prefix="moorage-fleet-"))
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def told(fleet: Fleet, port: int, program: str) -> str:
    """Return what there is, and how it is used."""
    user, _ = fleet.credentials
    lines = [
        f"PostgreSQL   {fleet.database.url_of('moorage')}",
        f"S3 (Swift)   {fleet.store.endpoint}  {fleet.storage}",
        *(f"Moorage {number}    {each.url}" for number, each in enumerate(fleet.servers, 1)),
        f"{program:<12} http://localhost:{port}",
        "",
        f"docker login --username {user} --password-stdin localhost:{port} <{fleet.secret}",
        f"docker push localhost:{port}/NAME:TAG",
        "",
        f"Data and logs are in {fleet.directory}. Ctrl-C ends it all.",
    ]
    return "\n".join(lines)


def watch(fleet: Fleet) -> None:
    """Return when a replica has ended by itself."""
    while all(server.is_running() for server in fleet.servers):
        time.sleep(0.5)
    for server in fleet.servers:
        if not server.is_running():
            click.echo(f"{server.url} has ended:\n{server.stderr_tail(20)}", err=True)


@click.command()
@click.option("--replicas", default=2, show_default=True, type=click.IntRange(1, 16))
@click.option("--port", default=5000, show_default=True, help="Where the proxy listens.")
@click.option("--data", type=click.Path(path_type=Path), default=ROOT / "fleet-data")
@click.option("--proxy", "program", default="nginx", type=click.Choice(["nginx", "haproxy"]))
def main(replicas: int, port: int, data: Path, program: str) -> None:
    """Run a fleet on this machine until Ctrl-C or SIGTERM; its data stay for the next time."""
    if not find_tool(program):
        raise click.ClickException(f"{program} is not installed: `make tools` names its package.")
    if is_listening(port):
        raise click.ClickException(f"Something listens on port {port}: choose another --port.")
    data = data.absolute()
    data.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0 and not all(place.stat().st_mode & 0o001 for place in data.parents):
        raise click.ClickException(
            f"PostgreSQL doesn't run as root, and nobody else may enter {data}: change --data."
        )
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt), scratch() as directory:
        try:
            (directory / "proxy").mkdir()
            database = KeptPostgres(data / "postgres")
            store = KeptSwift(directory / "store", data / "objects")
            with (
                Fleet(data, replicas, database, store) as fleet,
                proxy(program, directory / "proxy", fleet.addresses, port=port),
            ):
                click.echo(told(fleet, port, program))
                watch(fleet)
            sys.exit(1)
        except KeyboardInterrupt:
            click.echo("Stopping.", err=True)


if __name__ == "__main__":
    main()
