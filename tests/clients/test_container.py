"""The image that deploy/Dockerfile describes: built without a network, run without rights."""

from __future__ import annotations

import contextlib
import hashlib
import json
import resource
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from clients.debian import KEPT, debian_tar
from clients.engines import Buildah, Podman, temporary_directory
from clients.marks import SLOW, needs
from clients.programs import run, wait_for
from process import free_port, is_listening
from registry import Registry

pytestmark = [*needs("podman", "buildah"), SLOW, pytest.mark.long]
ROOT = Path(__file__).resolve().parents[2]
CONTEXT = ("LICENSE", "README.md", "pyproject.toml", "deploy", "requirements", "src")
BASE, IMAGE = "localhost/base", "localhost/moorage"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PASSWORD = "correct horse battery staple"
MOST_MEGABYTES = 100
S3_CLIENT = """
import asyncio, psycopg
from aiobotocore.session import get_session
async def main():
    async with get_session().create_client("s3", region_name="us-east-1") as client:
        print(client.meta.endpoint_url)
asyncio.run(main())
"""


def wheels() -> Path:
    """Return every wheel of the lock for Debian 12, fetched the first time with the host's pip."""
    # Of this very lock: with an older one's the build would find nothing to install.
    lock = hashlib.sha256((ROOT / "requirements/fleet.txt").read_bytes()).hexdigest()
    kept = KEPT / f"wheels-{lock[:16]}"
    if not kept.exists():
        KEPT.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=KEPT) as directory:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes"]
            command += [
                "--only-binary=:all:",
                "--requirement",
                str(ROOT / "requirements/fleet.txt"),
            ]
            subprocess.run([*command, "--dest", f"{directory}/wheels"], check=True)
            Path(directory, "wheels").replace(kept)
    return kept


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    """Build the image on a Debian of our own, in the storage of the podman that is returned."""
    context = tmp_path_factory.mktemp("context")
    for name in CONTEXT:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, context / name)
    shutil.copytree(wheels(), context / "wheels")
    with temporary_directory() as home:
        buildah = Buildah(home)
        container = buildah("from", "scratch").ok()
        buildah(
            "add", "--quiet", container, debian_tar("ca-certificates", "python3-venv"), "/"
        ).ok()
        buildah("config", f"--env=PATH={PATH}", container).ok()
        buildah("commit", "--quiet", "--rm", container, BASE).ok()
        how = ["--format=docker", "--isolation=chroot", "--pull-never", f"--build-arg=BASE={BASE}"]
        file = context / "deploy/Dockerfile"
        command = ["buildah", *buildah.options, "build", *how, "-f", file, "-t", IMAGE, context]
        run(*command, env=buildah.env, timeout=500).ok()
        yield Podman(home)


def limits() -> list[str]:
    """Return options that ask for no more than this process has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return [f"--ulimit=nofile={soft}:{hard}", "--ulimit=nproc=1024:1024"]


@contextlib.contextmanager
def started(podman: Podman, name: str, directory: Path, volume: Path) -> Iterator[Registry]:
    """Run the image as one does, on a read-only root, and yield the registry."""
    port = free_port()
    password = directory / "password"
    password.write_text(PASSWORD)
    password.chmod(0o644)
    command = ["podman", *podman.options, "run", "--rm", f"--name={name}", "--network=host"]
    command += ["--read-only", "--cap-drop=all", "--security-opt=no-new-privileges"]
    command += limits()
    command += [f"--volume={password}:/run/secrets/password:ro", f"--volume={volume}:/data"]
    command += [f"--env=MOORAGE_LISTEN=127.0.0.1:{port}", "--env=MOORAGE_ADMIN_USER=admin"]
    command += ["--env=MOORAGE_ADMIN_PASSWORD_FILE=/run/secrets/password", IMAGE]
    log = directory / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=podman.env, stdout=output, stderr=output)
    try:
        wait_for(lambda: is_listening(port), process, log)
        yield Registry(f"http://127.0.0.1:{port}", ("admin", PASSWORD))
        begin = time.monotonic()
        podman("stop", "--time=20", name).ok()
        assert process.wait(20) == 0, log.read_text()
        assert time.monotonic() - begin < 10
    finally:
        podman("rm", "--force", name)
        process.wait(20)


def test_it_serves_as_nobody_in_particular(engine: Podman, tmp_path: Path) -> None:
    """Without root, capabilities or a writable root; SIGTERM to PID 1 ends it in good order."""
    volume = tmp_path / "data"
    volume.mkdir()
    shutil.chown(volume, 65532, 65532)
    content = secrets.token_bytes(1 << 20)
    with started(engine, "moorage-one", tmp_path, volume) as registry:
        repository = registry.repository()
        blob = repository.push_blob(content)
        image = repository.push_image("latest")
        assert engine("healthcheck", "run", "moorage-one").status == 0
        assert set(engine("top", "moorage-one", "huser").ok().split()[1:]) == {"65532"}
    with started(engine, "moorage-two", tmp_path, volume) as registry:
        again = registry.repository(repository.name)
        assert registry.get(again.path(f"blobs/{blob['digest']}")).expect(200).body == content
        assert again.tagged("latest") == image.digest


def test_it_has_what_a_fleet_needs_and_little_else(engine: Podman) -> None:
    """PostgreSQL and S3 are there; nothing of the build, and no address of where it came from."""
    once = ["run", "--rm", "--network=host", *limits()]
    said = engine(*once, "--entrypoint=python3", IMAGE, "-c", S3_CLIENT).ok()
    assert said.startswith("https://s3.")
    assert "moorage " in engine(*once, IMAGE, "version").ok()
    [image] = json.loads(engine("image", "inspect", IMAGE).ok())
    assert image["Config"]["User"] == "65532:65532"
    assert image["Config"]["StopSignal"] == "SIGTERM"
    [base] = json.loads(engine("image", "inspect", BASE).ok())
    assert image["Size"] - base["Size"] < MOST_MEGABYTES * 10**6
    places = ["/source", "/opt/moorage/bin", "/etc/pip.conf", "/tools"]
    found = engine(*once, "--entrypoint=find", IMAGE, *places).out.split()
    assert found[0] == "/opt/moorage/bin"
    assert not [name for name in found if name.endswith(("/pip", "/hatchling"))]
