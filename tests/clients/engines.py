"""The clients that keep images of their own: docker, podman, buildah and containerd's ctr.

Each has the same few verbs, so that what one pushes can be pulled by every other; what only one of
them can do is asked of it by calling it with its own words.
"""

from __future__ import annotations

import contextlib
import json
import resource
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from clients.images import archived, root_of
from clients.programs import Outcome, daemon, empty_auth_file, environment, remove, run
from registry import digest_of


@dataclass(frozen=True)
class Pulled:
    """What a client has after a pull, as it says itself."""

    manifest: str
    config: str


@contextlib.contextmanager
def temporary_directory() -> Iterator[Path]:
    """Yield a directory with a short name, for sockets, that takes mounts away before it goes."""
    directory = Path(tempfile.mkdtemp(prefix="mrg-", dir="/tmp"))
    try:
        yield directory
    finally:
        remove(directory)


class Docker:
    """The docker command and a daemon of its own."""

    name = "docker"

    def __init__(self, home: Path) -> None:
        self.home = home
        self.socket = f"unix://{home}/docker.sock"
        settings = {"DOCKER_HOST": self.socket, "DOCKER_CONFIG": f"{home}/config"}
        self.env = environment(home / "home", **settings)

    @classmethod
    @contextlib.contextmanager
    def started(cls) -> Iterator[Docker]:
        """Run dockerd, which runs its containerd, until the block is left."""
        with temporary_directory() as home:
            docker = cls(home)
            (home / "daemon.json").write_text("{}")
            places = {"data-root": "data", "exec-root": "exec", "pidfile": "pid"}
            command = ["dockerd", "--host", docker.socket, "--config-file", home / "daemon.json"]
            command += [f"--{option}={home / place}" for option, place in places.items()]
            command += ["--storage-driver=vfs", "--bridge=none", "--iptables=false"]
            command += ["--ip6tables=false", "--log-level=warn"]
            with daemon(command, home, docker.env, docker._answers):
                yield docker

    def _answers(self) -> bool:
        return self("version", "--format", "{{.Server.Version}}").status == 0

    def __call__(self, *words: str | Path, given: str | None = None) -> Outcome:
        """Run docker with these words."""
        return run("docker", *words, env=self.env, given=given)

    def login(self, authority: str, user: str, password: str) -> Outcome:
        """Log in as a person does, with the password on standard input."""
        words = ["login", "--username", user, "--password-stdin"]
        return self(*words, authority, given=password)

    def logout(self, authority: str) -> None:
        """Forget the login."""
        self("logout", authority).ok()

    def load(self, layout: Path, reference: str) -> None:
        """Take in an image from a layout."""
        archive = self.home / "load.tar"
        source = f"oci:{layout}:{_tag(layout)}"
        run("skopeo", "copy", source, f"docker-archive:{archive}", env=self.env).ok()
        image = self("load", "--quiet", "--input", archive).ok().partition(": ")[2]
        self("tag", image, reference).ok()
        archive.unlink()

    def push(self, reference: str) -> Outcome:
        """Push an image that was loaded."""
        return self("push", reference)

    def pull(self, reference: str) -> Outcome:
        """Pull an image."""
        return self("pull", reference)

    def pulled(self, reference: str) -> Pulled:
        """Return what was pulled."""
        [image] = json.loads(self("image", "inspect", reference).ok())
        repository = reference.partition("@")[0].rpartition("/")
        name = f"{repository[0]}/{repository[2].partition(':')[0]}@"
        [manifest] = [each for each in image["RepoDigests"] if each.startswith(name)]
        return Pulled(manifest.partition("@")[2], image["Id"])

    def execute(self, reference: str, *words: str) -> Outcome:
        """Run a command in a container."""
        return self("run", "--rm", "--network=host", reference, *words)

    def forget(self, reference: str) -> None:
        """Remove an image."""
        self("image", "rm", "--force", reference).ok()


class Podman:
    """podman with a storage of its own."""

    name = "podman"

    def __init__(self, home: Path) -> None:
        self.home = home
        self.env = environment(home / "home", REGISTRY_AUTH_FILE=empty_auth_file(home))
        self.options = [f"--root={home}/root", f"--runroot={home}/run", f"--tmpdir={home}/tmp"]
        self.options += ["--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--runtime=runc"]
        self.options += ["--events-backend=file"]

    def __call__(self, *words: str | Path, given: str | None = None) -> Outcome:
        """Run podman with these words."""
        return run("podman", *self.options, *words, env=self.env, given=given)

    def login(self, authority: str, user: str, password: str) -> Outcome:
        """Log in as a person does, with the password on standard input."""
        words = ["login", "--tls-verify=false", "--username", user, "--password-stdin"]
        return self(*words, authority, given=password)

    def logout(self, authority: str) -> None:
        """Forget the login."""
        self("logout", authority).ok()

    def load(self, layout: Path, reference: str) -> None:
        """Take in an image from a layout."""
        _into_storage(layout, reference, self.home, self.env)

    def push(self, reference: str) -> Outcome:
        """Push an image that was loaded."""
        return self("push", "--tls-verify=false", reference)

    def pull(self, reference: str) -> Outcome:
        """Pull an image."""
        return self("pull", "--tls-verify=false", reference)

    def pulled(self, reference: str) -> Pulled:
        """Return what was pulled."""
        [image] = json.loads(self("image", "inspect", reference).ok())
        return Pulled(image["Digest"], f"sha256:{image['Id']}")

    def execute(self, reference: str, *words: str) -> Outcome:
        """Run a command in a container, within the limits of this process."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        limits = [f"--ulimit=nofile={soft}:{hard}", "--ulimit=nproc=1024:1024"]
        return self("run", "--rm", "--network=host", *limits, reference, *words)

    def forget(self, reference: str) -> None:
        """Remove an image."""
        self("image", "rm", "--force", reference).ok()


class Buildah:
    """buildah with a storage of its own."""

    name = "buildah"

    def __init__(self, home: Path) -> None:
        self.home = home
        self.env = environment(home / "home", REGISTRY_AUTH_FILE=empty_auth_file(home))
        self.options = [f"--root={home}/root", f"--runroot={home}/run", "--storage-driver=vfs"]

    def __call__(self, *words: str | Path, given: str | None = None) -> Outcome:
        """Run buildah with these words."""
        return run("buildah", *self.options, *words, env=self.env, given=given)

    def login(self, authority: str, user: str, password: str) -> Outcome:
        """Log in as a person does, with the password on standard input."""
        words = ["login", "--tls-verify=false", "--username", user, "--password-stdin"]
        return self(*words, authority, given=password)

    def logout(self, authority: str) -> None:
        """Forget the login."""
        self("logout", authority).ok()

    def load(self, layout: Path, reference: str) -> None:
        """Take in an image from a layout."""
        _into_storage(layout, reference, self.home, self.env)

    def push(self, reference: str) -> Outcome:
        """Push an image that was loaded."""
        return self("push", "--tls-verify=false", reference)

    def pull(self, reference: str) -> Outcome:
        """Pull an image."""
        return self("pull", "--tls-verify=false", reference)

    def pulled(self, reference: str) -> Pulled:
        """Return what was pulled."""
        image = json.loads(self("inspect", "--type=image", reference).ok())
        return Pulled(image["FromImageDigest"], f"sha256:{image['FromImageID']}")

    def execute(self, reference: str, *words: str) -> Outcome:
        """Run a command in a working container."""
        container = self("from", "--pull-never", reference).ok()
        try:
            return self("run", "--isolation=chroot", container, "--", *words)
        finally:
            self("rm", container).ok()

    def forget(self, reference: str) -> None:
        """Remove an image."""
        self("rmi", "--force", reference).ok()


class Ctr:
    """containerd's ctr and a containerd of its own."""

    name = "ctr"

    def __init__(self, home: Path) -> None:
        self.home = home
        self.env = environment(home / "home")
        self.options = ["--address", f"{home}/socket", "--namespace", "moorage"]

    @classmethod
    @contextlib.contextmanager
    def started(cls) -> Iterator[Ctr]:
        """Run containerd until the block is left."""
        with temporary_directory() as home:
            ctr = cls(home)
            settings = home / "containerd.toml"
            settings.write_text(
                f'version = 2\nroot = "{home}/root"\nstate = "{home}/state"\n'
                'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
                f'[grpc]\naddress = "{home}/socket"\n'
            )
            with daemon(["containerd", "-c", settings], home, ctr.env, ctr._answers):
                yield ctr

    def _answers(self) -> bool:
        return self("version").status == 0

    def __call__(self, *words: str | Path, given: str | None = None) -> Outcome:
        """Run ctr with these words."""
        return run("ctr", *self.options, *words, env=self.env, given=given)

    def load(self, layout: Path, reference: str) -> None:
        """Take in an image from a layout, under the name it has there and then under this one."""
        archive = archived(layout, self.home / "load.tar")
        base = ["--no-unpack", "--base-name", "localhost/loaded"]
        self("images", "import", *base, archive).ok()
        self("images", "tag", "--force", f"localhost/loaded:{_tag(layout)}", reference).ok()
        self("images", "rm", f"localhost/loaded:{_tag(layout)}").ok()
        archive.unlink()

    def push(self, reference: str, *options: str) -> Outcome:
        """Push an image that was loaded."""
        return self("images", "push", "--plain-http", *options, reference)

    def pull(self, reference: str, *options: str) -> Outcome:
        """Pull an image, unpacking it by plain copies."""
        how = ["--plain-http", "--snapshotter=native", *options]
        return self("images", "pull", *how, reference)

    def content(self, digest: str) -> bytes:
        """Return the bytes of something that was pulled."""
        raw = self("content", "get", digest).ok().encode()
        assert digest_of(raw) == digest
        return raw

    def pulled(self, reference: str) -> Pulled:
        """Return what was pulled."""
        listed = self("images", "ls", f"name=={reference}").ok().splitlines()
        [digest] = [word for word in listed[1].split() if word.startswith("sha256:")]
        return Pulled(digest, json.loads(self.content(digest))["config"]["digest"])

    def execute(self, reference: str, *words: str) -> Outcome:
        """Run a command in a container."""
        how = ["--rm", "--net-host", "--snapshotter=native"]
        return self("run", *how, reference, "tests", *words)

    def forget(self, reference: str) -> None:
        """Remove an image and what only it needed."""
        self("images", "rm", "--sync", reference).ok()


def _into_storage(layout: Path, reference: str, home: Path, env: dict[str, str]) -> None:
    storage = f"containers-storage:[vfs@{home}/root+{home}/run]{reference}"
    run("skopeo", "copy", f"oci:{layout}:{_tag(layout)}", storage, env=env).ok()


def _tag(layout: Path) -> str:
    return str(root_of(layout)["annotations"]["org.opencontainers.image.ref.name"])
