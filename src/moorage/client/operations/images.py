"""Repositories and tags in tables, one image, and two.

Made from the OpenAPI document by `docs/client.py`: change the API, and run that. Every function
raises `Refused` where the server refuses, or does not answer.
"""

from collections.abc import Iterator
from typing import TypedDict, cast

from moorage.client.api import Api
from moorage.client.operations.tags import By


class Newest(TypedDict):
    """A repository with what was pushed last; numbers with `…_more` are at least so much.

    `type` is what its newest image is: image, chart, artifact, wasm, signature, sbom or
    provenance; null without tags. `changed_at` is when a tag last moved or was deleted, else when
    the repository was made. Both are some seconds behind what happens.
    """

    name: str
    namespace: str
    visibility: str
    type: str | None
    changed_at: str | None
    newest: str | None
    newest_at: str | None
    tags: int
    tags_more: bool
    content_size: int
    content_more: bool


class TagLine(TypedDict):
    """A tag with what its image is; `grown` is by how much that is larger than the one before."""

    name: str
    digest: str
    since: str | None
    by: By
    kind: str
    media_type: str
    platforms: list[str]
    content_size: int
    grown: int | None


class Untagged(TypedDict):
    """An image that no tag names."""

    digest: str
    kind: str
    media_type: str
    size: int
    content_size: int
    pushed_at: str | None


class Platform(TypedDict):
    """A manifest that an index lists; `attests` is the digest that it is an attestation of."""

    digest: str
    media_type: str
    platform: str
    kind: str
    content_size: int
    here: bool
    attests: str | None


class Config(TypedDict):
    """What an image runs as; values that look like secrets are masked."""

    created: str
    author: str
    user: str
    working_dir: str
    stop_signal: str
    entrypoint: list[str]
    cmd: list[str]
    env: list[str]
    ports: list[str]
    volumes: list[str]
    labels: dict[str, str]


class Layer(TypedDict):
    """A step of an image; without a digest it made no layer.

    `used_in` counts the other repositories with the layer that the caller may read, and
    `repositories` names some of them.
    """

    digest: str | None
    media_type: str
    size: int
    instruction: str
    created: str
    here: bool
    used_in: int
    used_in_more: bool
    repositories: list[str]


class Attached(TypedDict):
    """What refers to an image, such as a signature."""

    digest: str
    media_type: str
    artifact_type: str
    kind: str
    size: int
    annotations: dict[str, str]


class Parent(TypedDict):
    """An index that lists the image."""

    digest: str
    tags: list[str]


class Image(TypedDict):
    """A manifest or index with all that is known of it; `raw` is its text as it was pushed.

    `size` is that of this text, `content_size` that of what it names, both in bytes.
    """

    repository: str
    digest: str
    digests: list[str]
    media_type: str
    artifact_type: str
    kind: str
    size: int
    content_size: int
    pushed_at: str | None
    by: By | None
    tags: list[str]
    tags_more: bool
    platform: str
    platforms: list[Platform]
    config_digest: str | None
    config: Config | None
    layers: list[Layer]
    annotations: dict[str, str]
    subject: str | None
    attached: list[Attached]
    attached_more: bool
    parents: list[Parent]
    problems: list[str]
    raw: str


class Side(TypedDict):
    """One of two images."""

    repository: str
    digest: str
    tags: list[str]
    kind: str
    platform: str
    content_size: int
    layers: int


class Difference(TypedDict):
    """A field of two images; null where one has none."""

    section: str
    name: str
    a: str | None
    b: str | None
    same: bool


class Pair(TypedDict):
    """A platform of two indexes; null where one has none of it."""

    platform: str
    a: str | None
    b: str | None
    a_size: int
    b_size: int


class Comparison(TypedDict):
    """Two images side by side; `grown` is by how many bytes the second one is larger."""

    a: Side
    b: Side
    summary: str
    grown: int
    config: list[Difference]
    annotations: list[Difference]
    shared: list[Layer]
    common: list[Layer]
    only_a: list[Layer]
    only_b: list[Layer]
    platforms: list[Pair]
    problems: list[str]


def list_images(
    api: Api,
    *,
    sort: str = "",
    namespace: str = "",
    visibility: str = "",
    type: str = "",
    pulled: str = "",
    after: str = "",
    limit: int = 0,
) -> Iterator[Newest]:
    """Ask `GET /api/v1/images`.

    The repositories that the caller may read, with what is newest in each.
    """
    return cast(
        "Iterator[Newest]",
        api.items(
            "images",
            sort=sort,
            namespace=namespace,
            visibility=visibility,
            type=type,
            pulled=pulled,
            after=after,
            limit=limit,
        ),
    )


def list_tag_lines(
    api: Api, repository: str, *, sort: str = "", filter: str = "", after: str = "", limit: int = 0
) -> Iterator[TagLine]:
    """Ask `GET /api/v1/repositories/{repository}/-/tags/-/table`.

    The tags of a repository by name or newest first, with what each stands for.
    """
    return cast(
        "Iterator[TagLine]",
        api.items(
            "repositories",
            repository,
            "-",
            "tags",
            "-",
            "table",
            sort=sort,
            filter=filter,
            after=after,
            limit=limit,
        ),
    )


def list_untagged(
    api: Api, repository: str, *, after: str = "", limit: int = 0
) -> Iterator[Untagged]:
    """Ask `GET /api/v1/repositories/{repository}/-/untagged`.

    The images of a repository that no tag names.
    """
    return cast(
        "Iterator[Untagged]",
        api.items("repositories", repository, "-", "untagged", after=after, limit=limit),
    )


def get_image(api: Api, repository: str, reference: str) -> Image:
    """Ask `GET /api/v1/repositories/{repository}/-/images/{reference}`.

    The image behind a tag, a digest, or the beginning of one.
    """
    return cast("Image", api.get("repositories", repository, "-", "images", reference))


def compare_images(
    api: Api, repository: str, reference: str, *, with_: str, other: str = "", platform: str = ""
) -> Comparison:
    """Ask `GET /api/v1/repositories/{repository}/-/images/{reference}/compare`.

    How another image differs, of the same repository or another one.
    """
    return cast(
        "Comparison",
        api.get(
            "repositories",
            repository,
            "-",
            "images",
            reference,
            "compare",
            **{"with": with_},
            other=other,
            platform=platform,
        ),
    )
