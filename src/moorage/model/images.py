"""An image as people look at it: what it is, what it is made of, and what belongs to it."""

from collections.abc import Mapping

import msgspec

from moorage.model.artifacts import TagChange
from moorage.oci.config import ImageConfig
from moorage.oci.digest import Digest
from moorage.oci.names import RepositoryName


class Use(msgspec.Struct, frozen=True):
    """In how many other repositories that the actor may read something is, and some of them.

    `more` says that there may be further ones: neither number nor names tell of what he may not
    read.
    """

    count: int = 0
    names: tuple[str, ...] = ()
    more: bool = False


class Layer(msgspec.Struct, frozen=True):
    """A step of an image: the instruction, and the layer that it made.

    `digest` is None for a step that made none. `is_here` says that the repository has the bytes.
    """

    digest: Digest | None
    media_type: str = ""
    size: int = 0
    instruction: str = ""
    created: str = ""
    is_here: bool = True
    use: Use = Use()


class Platform(msgspec.Struct, frozen=True):
    """A manifest that an index lists; `content_size` are those of its configuration and layers.

    `kind` is empty where the repository has no such manifest (`is_here`). `attests` is the digest
    of the image that it is an attestation of.
    """

    digest: Digest
    media_type: str
    platform: str
    kind: str
    content_size: int
    is_here: bool
    attests: str = ""


class Attached(msgspec.Struct, frozen=True):
    """A manifest that refers to the image, such as a signature."""

    digest: Digest
    media_type: str
    artifact_type: str
    kind: str
    size: int
    annotations: Mapping[str, str]


class Parent(msgspec.Struct, frozen=True):
    """An index that lists the image, with some of its tags."""

    digest: Digest
    tags: tuple[str, ...]


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """A manifest or index of one repository, with all that is shown of it.

    `size` is that of its own bytes, `content_size` that of the content that it names: of an index,
    that of all its platforms. `by` is through what it came, None where no tag tells. `config` is
    None for what has none, or where it can't be read, which `problems` says. `more_tags` and
    `more_attached` say that the lists go on, `has_subject` that the repository has the manifest
    which the image belongs to.
    """

    repository: RepositoryName
    digest: Digest
    identity: Digest
    digests: tuple[Digest, ...]
    media_type: str
    artifact_type: str
    kind: str
    size: int
    content_size: int
    pushed_at: int
    by: TagChange | None
    tags: tuple[str, ...]
    more_tags: bool
    platform: str
    platforms: tuple[Platform, ...]
    config_digest: Digest | None
    config: ImageConfig | None
    layers: tuple[Layer, ...]
    annotations: Mapping[str, str]
    subject: Digest | None
    has_subject: bool
    attached: tuple[Attached, ...]
    more_attached: bool
    parents: tuple[Parent, ...]
    problems: tuple[str, ...]
    raw: bytes

    @property
    def fields(self) -> dict[str, str]:
        """What it says of itself: its labels, and its annotations where these say nothing."""
        labels = self.config.labels if self.config is not None else {}
        return {**self.annotations, **{key: value for key, value in labels.items() if value}}


class TagRow(msgspec.Struct, frozen=True, kw_only=True):
    """A tag in the table of a repository's tags.

    `content_size` is that of all that it stands for, in bytes. `grown` is how many more they are
    than in the image that was pushed before and still has a tag; None if there is none of its kind.
    """

    name: str
    digest: Digest
    at: int
    by: TagChange
    kind: str
    media_type: str
    platforms: tuple[str, ...]
    content_size: int
    grown: int | None


class UntaggedRow(msgspec.Struct, frozen=True, kw_only=True):
    """An image that no tag names; `content_size` is that of all that it stands for, in bytes."""

    digest: Digest
    kind: str
    media_type: str
    size: int
    content_size: int
    pushed_at: int


class RepositoryRow(msgspec.Struct, frozen=True, kw_only=True):
    """A repository in the list of images; numbers with `more_…` are at least so much.

    `newest` is the tag of the image that was pushed last, empty if there are no tags; `newest_at`
    when that tag came to name it. `kind` is what it is, empty without tags or before that was read;
    `changed_at` when a tag last moved or was deleted, else when the repository was made, seconds
    behind what happens.
    """

    name: RepositoryName
    visibility: str
    kind: str
    changed_at: int
    newest: str
    newest_at: int
    tags: int
    more_tags: bool
    content_size: int
    more_content: bool
