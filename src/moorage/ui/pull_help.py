"""How an image is had: the command of each client, by its tag and by its digest."""

import re

import msgspec

from moorage.oci.kinds import CHART, IMAGE, INDEX

# What services of Compose and containers of Kubernetes may be called.
_NOT_IN_NAMES = re.compile(r"[^a-z0-9-]+", re.ASCII)


class Way(msgspec.Struct, frozen=True):
    """A client: what it is called here and to people, and what it is told.

    `by_tag` or `by_digest` is empty where there is no such form, `sign_in` where it has no command.
    """

    key: str
    name: str
    by_tag: str
    by_digest: str
    sign_in: str = ""


class Wanted(msgspec.Struct, frozen=True):
    """What is to be pulled, from which host; `is_plain` says that the host has no TLS."""

    host: str
    repository: str
    kind: str
    tag: str
    digest: str
    is_plain: bool = False

    @property
    def name(self) -> str:
        """The name without a tag."""
        return f"{self.host}/{self.repository}"


def ways(wanted: Wanted) -> list[Way]:
    """Return the clients that can have it, those first that most people use."""
    if wanted.kind in (IMAGE, INDEX):
        return _of_image(wanted)
    return [*_of_chart(wanted), *_of_artifact(wanted)]


def _way(wanted: Wanted, key: str, name: str, text: str, sign_in: str = "") -> Way:
    """Return a client whose command has `REF` for what it pulls."""
    by_tag = text.replace("REF", f"{wanted.name}:{wanted.tag}") if wanted.tag else ""
    return Way(key, name, by_tag, text.replace("REF", f"{wanted.name}@{wanted.digest}"), sign_in)


def _of_image(wanted: Wanted) -> list[Way]:
    host = wanted.host
    called = _NOT_IN_NAMES.sub("-", wanted.repository.rpartition("/")[2]).strip("-") or "app"
    untrusted = " --tls-verify=false" if wanted.is_plain else ""
    nerdctl = "nerdctl --insecure-registry" if wanted.is_plain else "nerdctl"
    docker = f"docker login {host}"
    secret = (
        f"moorage k8s pull-secret --namespace default --may pull:{wanted.repository}"
        " | kubectl apply -f -"
    )
    return [
        _way(wanted, "docker", "Docker", "docker pull REF", docker),
        _way(
            wanted,
            "podman",
            "Podman",
            f"podman pull{untrusted} REF",
            f"podman login{untrusted} {host}",
        ),
        _way(
            wanted,
            "kubernetes",
            "Kubernetes",
            f"containers:\n  - name: {called}\n    image: REF",
            secret,
        ),
        _way(wanted, "compose", "Compose", f"services:\n  {called}:\n    image: REF", docker),
        _way(wanted, "from", "FROM", "FROM REF", docker),
        _way(wanted, "nerdctl", "nerdctl", f"{nerdctl} pull REF", f"{nerdctl} login {host}"),
        _way(wanted, "crictl", "crictl", "crictl pull REF"),
        _skopeo(wanted),
    ]


def _skopeo(wanted: Wanted) -> Way:
    at_source = " --src-tls-verify=false" if wanted.is_plain else ""
    untrusted = " --tls-verify=false" if wanted.is_plain else ""
    text = f"skopeo copy --all{at_source} docker://REF dir:image"
    return _way(wanted, "skopeo", "Skopeo", text, f"skopeo login{untrusted} {wanted.host}")


def _of_chart(wanted: Wanted) -> list[Way]:
    """Return Helm, which has versions and no digests."""
    if wanted.kind != CHART or not wanted.tag:
        return []
    plain = " --plain-http" if wanted.is_plain else ""
    # A version has a plus where a tag can't have one.
    version = wanted.tag.replace("_", "+")
    pull = f"helm pull oci://{wanted.name} --version {version}{plain}"
    return [Way("helm", "Helm", pull, "", f"helm registry login{plain} {wanted.host}")]


def _of_artifact(wanted: Wanted) -> list[Way]:
    plain = " --plain-http" if wanted.is_plain else ""
    return [
        _way(wanted, "oras", "ORAS", f"oras pull{plain} REF", f"oras login{plain} {wanted.host}"),
        _skopeo(wanted),
    ]
