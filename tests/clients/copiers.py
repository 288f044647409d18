"""The clients that only copy: skopeo and the oras library. They have the verbs of `engines`."""

from __future__ import annotations

import json
from pathlib import Path

from oras.client import OrasClient

from clients.engines import Buildah, Ctr, Docker, Podman, Pulled
from clients.images import REF_NAME, blob_of, digests_below, root_of
from clients.programs import Outcome, empty_auth_file, environment, remove, run
from registry import DOCKER_MANIFEST, OCI_MANIFEST, digest_of


class Skopeo:
    """skopeo, which copies between registries and directories."""

    name = "skopeo"

    def __init__(self, home: Path) -> None:
        self.home = home
        self.env = environment(home / "home", REGISTRY_AUTH_FILE=empty_auth_file(home))
        self._loaded: dict[str, str] = {}

    def __call__(self, *words: str | Path, given: str | None = None) -> Outcome:
        """Run skopeo with these words."""
        return run("skopeo", *words, env=self.env, given=given)

    def login(self, authority: str, user: str, password: str) -> Outcome:
        """Log in as a person does, with the password on standard input."""
        words = ["login", "--tls-verify=false", "--username", user, "--password-stdin"]
        return self(*words, authority, given=password)

    def logout(self, authority: str) -> None:
        """Forget the login."""
        self("logout", authority).ok()

    def load(self, layout: Path, reference: str) -> None:
        """Remember the layout that a reference is to be pushed from."""
        self._loaded[reference] = f"oci:{layout}:{root_of(layout)['annotations'][REF_NAME]}"

    def push(self, reference: str) -> Outcome:
        """Copy a layout to the registry."""
        return self.copy(self._loaded[reference], f"docker://{reference}")

    def copy(self, source: str, target: str, *options: str) -> Outcome:
        """Copy over plain HTTP, to the byte unless another format is asked for."""
        how = ["--src-tls-verify=false", "--dest-tls-verify=false", *options]
        if not any(option.startswith("--format") for option in options):
            # Without it a layer may be replaced by one that was seen compressed in another way.
            how.append("--preserve-digests")
        return self("copy", *how, source, target)

    def pull(self, reference: str) -> Outcome:
        """Copy an image to a directory, as it is."""
        self.directory(reference).parent.mkdir(parents=True, exist_ok=True)
        return self.copy(f"docker://{reference}", f"dir:{self.directory(reference)}")

    def directory(self, reference: str) -> Path:
        """Return the directory that a reference is pulled to."""
        return self.home / "pulled" / digest_of(reference.encode())[7:]

    def pulled(self, reference: str) -> Pulled:
        """Return what was pulled, after checking every byte of it."""
        directory = self.directory(reference)
        raw = (directory / "manifest.json").read_bytes()
        document = json.loads(raw)
        for digest in digests_below(document):
            assert digest_of((directory / digest[7:]).read_bytes()) == digest
        return Pulled(digest_of(raw), document["config"]["digest"])

    def forget(self, reference: str) -> None:
        """Remove the directory."""
        remove(self.directory(reference))


class Oras:
    """The oras library; it knows files, not images, so images are pushed blob by blob."""

    name = "oras"

    def __init__(self, authority: str, home: Path) -> None:
        self.home = home
        self.client = OrasClient(hostname=authority, insecure=True)
        self._loaded: dict[str, Path] = {}

    def load(self, layout: Path, reference: str) -> None:
        """Remember the layout that a reference is to be pushed from."""
        self._loaded[reference] = layout

    def push(self, reference: str) -> Outcome:
        """Push the blobs of a layout and then its manifest, written by the library."""
        layout = self._loaded[reference]
        container = self.client.get_container(reference)
        document = json.loads(blob_of(layout, root_of(layout)["digest"]))
        for entry in [document["config"], *document["layers"]]:
            blob = layout / "blobs" / entry["digest"].replace(":", "/")
            self.client.upload_blob(str(blob), container, entry).raise_for_status()
        answer = self.client.upload_manifest(document, container)
        answer.raise_for_status()
        return Outcome(f"oras push {reference}", 0, "", "")

    def pull(self, reference: str) -> Outcome:
        """Pull the layers and the configuration as they are, named by their digests."""
        directory = self.directory(reference)
        for digest in digests_below(self.client.get_manifest(reference)):
            self.client.download_blob(reference, digest, str(directory / digest))
        return Outcome(f"oras pull {reference}", 0, "", "")

    def directory(self, reference: str) -> Path:
        """Return the directory that a reference is pulled to."""
        return self.home / digest_of(reference.encode())[7:]

    def pulled(self, reference: str) -> Pulled:
        """Return what was pulled, after checking every byte of it."""
        url = f"http://{self.client.get_container(reference).manifest_url()}"
        answer = self.client.do_request(
            url, headers={"Accept": f"{OCI_MANIFEST}, {DOCKER_MANIFEST}"}
        )
        document = answer.json()
        for digest in digests_below(document):
            assert digest_of((self.directory(reference) / digest).read_bytes()) == digest
        return Pulled(digest_of(answer.content), document["config"]["digest"])

    def forget(self, reference: str) -> None:
        """Remove the directory."""
        remove(self.directory(reference))


Client = Docker | Podman | Buildah | Ctr | Skopeo | Oras
