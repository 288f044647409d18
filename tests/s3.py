"""Real S3 servers on loopback: OpenStack Swift with its s3api, and Versity's gateway.

    with Swift(tmp_path) as server:
        store = S3Blobs(server.storage, server.options, SystemClock())

Swift lives in a virtual environment of its own (`make .venv-s3/.done`), the gateway where a Go
toolchain has built it (`make .cache/bin/versitygw`). All they keep is in the directory given.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import signal
import subprocess
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from moorage.blobs.store import MARK
from moorage.config import S3
from process import free_port, is_listening

ROOT = Path(__file__).parents[1]
SWIFT = ROOT / ".venv-s3" / "bin"
GATEWAY = ROOT / ".cache" / "bin" / "versitygw"
READY_SECONDS = 40
REGION = "us-east-1"
PART_BYTES = 5 << 20

Value = TypeVar("Value")

SWIFT_CONF = """[swift-hash]
swift_hash_path_suffix = x
swift_hash_path_prefix = y
[storage-policy:0]
name = p
default = yes
"""
STORAGE_CONF = """[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
user = {user}
swift_dir = {etc}
devices = {devices}
mount_check = false
workers = 0
log_address = /dev/null
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
"""
PROXY_CONF = """[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
user = {user}
swift_dir = {etc}
workers = 0
log_address = /dev/null
[pipeline:main]
pipeline = catch_errors gatekeeper proxy-logging listing_formats s3api tempauth bulk copy slo dlo proxy-logging proxy-server
[app:proxy-server]
use = egg:swift#proxy
allow_account_management = true
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:proxy-logging]
use = egg:swift#proxy_logging
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:slo]
use = egg:swift#slo
[filter:s3api]
use = egg:swift#s3api
s3_acl = false
location = us-east-1
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin .reseller_admin
[filter:copy]
use = egg:swift#copy
[filter:dlo]
use = egg:swift#dlo
"""  # noqa: E501


def _stands_still(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state == "T"


class S3Server:
    """A server that has been started, with a bucket; `port` is a loopback port of its own."""

    name = ""
    key = ""
    secret = ""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.bucket = "moorage-tests"
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        try:
            self.launch()
            self._wait(self.port)
            asyncio.run(self._make_bucket())
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def launch(self) -> None:
        """Start the server's processes."""
        raise NotImplementedError

    def close(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()

    def freeze(self) -> None:
        """Have the processes stand still: connections stay, nothing answers."""
        for process in self._processes:
            process.send_signal(signal.SIGSTOP)
        # A process that waits for a processor is told when it has one.
        while not all(_stands_still(pid) for pid in self.pids):
            time.sleep(0.01)

    def thaw(self) -> None:
        """Have them go on."""
        for process in self._processes:
            process.send_signal(signal.SIGCONT)

    @property
    def pids(self) -> tuple[int, ...]:
        """The ids of the server's processes."""
        return tuple(process.pid for process in self._processes)

    @property
    def storage(self) -> str:
        """A fresh place in the bucket, as the setting `storage` has it."""
        return f"s3://{self.bucket}/t{uuid.uuid4().hex}"

    def options(self, endpoint: str = "", part_bytes: int = PART_BYTES) -> S3:
        """Return the settings `s3.*`, perhaps with something in between."""
        return S3(endpoint=endpoint or self.endpoint, region=REGION, part_bytes=part_bytes)

    @property
    def credentials(self) -> dict[str, str]:
        """The environment in which clients find the credentials."""
        return {
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def environment(self) -> dict[str, str]:
        """Return the environment of a server that keeps its blobs in a fresh place here."""
        return {**self.credentials, **self.settings()}

    def settings(self) -> dict[str, str]:
        """Return the settings of a registry in a fresh place, as its environment has them."""
        return {
            "MOORAGE_STORAGE": self.storage,
            "MOORAGE_S3__ENDPOINT": self.endpoint,
            "MOORAGE_S3__REGION": REGION,
            "MOORAGE_S3__PART_BYTES": str(PART_BYTES),
        }

    async def use(self, use: Callable[[Any], Awaitable[Value]]) -> Value:
        """Run something on a client of the server."""
        config = AioConfig(
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": "path"},
        )
        async with get_session().create_client(
            "s3",
            region_name=REGION,
            endpoint_url=self.endpoint,
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
            config=config,
        ) as client:
            return await use(client)

    def keys(self, storage: str) -> list[str]:
        """Return the keys in a place of the bucket without its prefix, but not the store's mark."""
        prefix = storage.partition(f"{self.bucket}/")[2] + "/"

        async def list_all(client: Any) -> list[str]:
            found: list[str] = []
            while True:
                page = await client.list_objects_v2(
                    Bucket=self.bucket, Prefix=prefix, StartAfter=prefix + (found or [""])[-1]
                )
                found += [each["Key"].removeprefix(prefix) for each in page.get("Contents", ())]
                if not page.get("IsTruncated"):
                    return [key for key in found if key != MARK]

        return asyncio.run(self.use(list_all))

    def unfinished(self, storage: str) -> int:
        """Return how many uploads by parts are open in a place of the bucket."""
        prefix = storage.partition(f"{self.bucket}/")[2] + "/"

        async def count(client: Any) -> int:
            page = await client.list_multipart_uploads(Bucket=self.bucket, Prefix=prefix)
            return len(page.get("Uploads", ()))

        return asyncio.run(self.use(count))

    async def _make_bucket(self) -> None:
        deadline = time.monotonic() + READY_SECONDS

        async def make(client: Any) -> None:
            await client.create_bucket(Bucket=self.bucket)

        while True:
            try:
                return await self.use(make)
            except Exception as error:
                if time.monotonic() > deadline:
                    raise AssertionError(f"{self.name} makes no bucket: {error}") from error
                await asyncio.sleep(0.2)

    def _start(self, *command: str) -> None:
        log = self.directory / "log"
        with log.open("ab") as output:
            self._processes.append(
                subprocess.Popen(
                    command,
                    cwd=self.directory,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                )
            )

    def _wait(self, port: int) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not is_listening(port):
            ended = [process for process in self._processes if process.poll() is not None]
            if ended or time.monotonic() > deadline:
                log = (self.directory / "log").read_text(errors="replace")
                raise AssertionError(f"{self.name} does not start: {log[-2_000:]}")
            time.sleep(0.05)


class Swift(S3Server):
    """OpenStack Swift: one device, one replica."""

    name = "swift"
    key = "test:tester"
    secret = "testing"

    def launch(self) -> None:
        """Write the settings, build the rings, start the four servers."""
        assert SWIFT.exists(), "Swift is not installed: `make .venv-s3/.done` installs it"
        etc, devices = self.directory / "etc", self.directory / "devices"
        etc.mkdir(exist_ok=True)
        (devices / "d1").mkdir(parents=True, exist_ok=True)
        (etc / "swift.conf").write_text(SWIFT_CONF)
        common = {"user": pwd.getpwuid(os.getuid()).pw_name, "etc": etc, "devices": devices}
        ports = {}
        for kind in ("account", "container", "object"):
            port = ports[kind] = free_port()
            (etc / f"{kind}.conf").write_text(STORAGE_CONF.format(kind=kind, port=port, **common))
            for step in (
                ("create", "8", "1", "1"),
                ("add", f"r1z1-127.0.0.1:{port}/d1", "1"),
                ("rebalance",),
            ):
                builder = [SWIFT / "swift-ring-builder", f"{kind}.builder", *step]
                subprocess.run(builder, cwd=etc, check=True, capture_output=True)
            self._start(str(SWIFT / f"swift-{kind}-server"), str(etc / f"{kind}.conf"))
        (etc / "proxy.conf").write_text(PROXY_CONF.format(port=self.port, **common))
        for port in ports.values():
            self._wait(port)
        self._start(str(SWIFT / "swift-proxy-server"), str(etc / "proxy.conf"))


class Gateway(S3Server):
    """Versity's gateway to a directory."""

    name = "versitygw"
    key = "tester"
    secret = "testing-secret"

    def launch(self) -> None:
        """Start it on an empty directory."""
        (self.directory / "objects").mkdir(exist_ok=True)
        self._start(
            str(GATEWAY), "--port", f"127.0.0.1:{self.port}", "--access", self.key,
            "--secret", self.secret, "--region", REGION, "--quiet", "--keep-alive",
            "posix", str(self.directory / "objects"),
        )  # fmt: skip


SERVERS: Mapping[str, type[S3Server]] = {"swift": Swift, "versitygw": Gateway}
