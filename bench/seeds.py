"""Repositories and tags in large numbers: through the API for Moorage, on disk for its peer."""

import os
from collections.abc import Sequence

from bench import bodies, uploads
from bench.bodies import Blob
from bench.rounds import Bench, say
from bench.servers import DockerRegistry, Server
from bench.tools import BenchError

TAGS_A_PUT = 100
SEEDING = 150.0  # seconds after which repositories are counted as they are


def tag_name(number: int) -> str:
    """Return a tag whose order as text is that of its number."""
    return f"t{number:06d}"


def tags(server: Server, repository: str, manifest: Blob, amount: int) -> None:
    """Point `amount` tags at a manifest that is already in the repository."""
    names = [tag_name(number) for number in range(amount)]
    if isinstance(server, DockerRegistry):
        _tags_on_disk(server, repository, manifest.digest, names)
        return
    connection = server.connection()
    for start in range(0, amount, TAGS_A_PUT):
        query = "&".join(f"tag={name}" for name in names[start : start + TAGS_A_PUT])
        path = f"{repository}/manifests/{manifest.digest}?{query}"
        uploads.put_manifest(connection, path, manifest)
    connection.close()


def _tags_on_disk(
    server: DockerRegistry, repository: str, digest: str, names: Sequence[str]
) -> None:
    """Write what 2.8 writes for a tag: its current link and its index of one revision."""
    root = server.root / "repositories" / repository / "_manifests" / "tags"
    if not root.parent.is_dir():
        raise BenchError(f"docker-registry keeps no repository at {root.parent}")
    places = ("current", "index", "index/sha256", f"index/sha256/{digest.partition(':')[2]}")
    for name in names:
        # Strings and one mkdir a level: with paths and parents=True it takes twice as long.
        tag = f"{root}/{name}"
        os.mkdir(tag)  # noqa: PTH102
        for place in places:
            os.mkdir(f"{tag}/{place}")  # noqa: PTH102
        for place in (places[0], places[-1]):
            with open(f"{tag}/{place}/link", "w") as link:  # noqa: PTH123
                link.write(digest)


def repository_name(number: int) -> str:
    """Return one of many repositories, a thousand to a namespace."""
    return f"n{number // 1000:03d}/r{number % 1000:03d}"


def repositories(bench: Bench, server: Server, amount: int) -> int:
    """Make repositories and return how many there are when the time for it is up."""
    names = [repository_name(number) for number in range(amount)]
    if isinstance(server, DockerRegistry):
        for name in names:
            for part in ("_layers", "_manifests", "_uploads"):
                (server.root / "repositories" / name / part).mkdir(parents=True)
        return amount
    manifest = bodies.blob(bodies.EMPTY_INDEX)
    paths = tuple(f"{name}/manifests/latest" for name in names)
    shares = [uploads.Names(paths[place::2], 8, SEEDING) for place in range(2)]
    put = uploads.put_manifests
    calls = [(put, server.endpoint, manifest, bodies.INDEX, share) for share in shares]
    made = int(bench.side_by_side(calls).operations)
    if made < amount:
        say(f" {made} of {amount} repositories in {SEEDING:.0f} s ")
    return made
