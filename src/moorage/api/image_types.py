"""How answers tell of images, layers and what two of them have in common."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from moorage.api.call import when
from moorage.model import images as model
from moorage.model.artifacts import TagChange
from moorage.oci.config import ImageConfig


class By(msgspec.Struct, frozen=True):
    """Through what something came about; by whom is null for those who may not know."""

    through: str
    through_id: str
    actor: str | None
    credential: str | None
    request: str | None


class Layer(msgspec.Struct, frozen=True):
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
    repositories: Sequence[str]


class Platform(msgspec.Struct, frozen=True):
    """A manifest that an index lists; `attests` is the digest that it is an attestation of."""

    digest: str
    media_type: str
    platform: str
    kind: str
    content_size: int
    here: bool
    attests: str | None


class Attached(msgspec.Struct, frozen=True):
    """What refers to an image, such as a signature."""

    digest: str
    media_type: str
    artifact_type: str
    kind: str
    size: int
    annotations: Mapping[str, str]


class Parent(msgspec.Struct, frozen=True):
    """An index that lists the image."""

    digest: str
    tags: Sequence[str]


class Config(msgspec.Struct, frozen=True):
    """What an image runs as; values that look like secrets are masked."""

    created: str
    author: str
    user: str
    working_dir: str
    stop_signal: str
    entrypoint: Sequence[str]
    cmd: Sequence[str]
    env: Sequence[str]
    ports: Sequence[str]
    volumes: Sequence[str]
    labels: Mapping[str, str]


class Image(msgspec.Struct, frozen=True):
    """A manifest or index with all that is known of it; `raw` is its text as it was pushed.

    `size` is that of this text, `content_size` that of what it names, both in bytes.
    """

    repository: str
    digest: str
    digests: Sequence[str]
    media_type: str
    artifact_type: str
    kind: str
    size: int
    content_size: int
    pushed_at: datetime | None
    by: By | None
    tags: Sequence[str]
    tags_more: bool
    platform: str
    platforms: Sequence[Platform]
    config_digest: str | None
    config: Config | None
    layers: Sequence[Layer]
    annotations: Mapping[str, str]
    subject: str | None
    attached: Sequence[Attached]
    attached_more: bool
    parents: Sequence[Parent]
    problems: Sequence[str]
    raw: str


def told_by(by: TagChange) -> By:
    """Return through what something came about, as it is told."""
    return By(by.cause, by.cause_id, by.actor or None, by.credential or None, by.request_id or None)


def told_layer(layer: model.Layer) -> Layer:
    """Return a layer as it is told."""
    return Layer(
        layer.digest,
        layer.media_type,
        layer.size,
        layer.instruction,
        layer.created,
        layer.is_here,
        layer.use.count,
        layer.use.more,
        layer.use.names,
    )


def told_image(image: model.Image) -> Image:
    """Return an image as it is told."""
    return Image(
        repository=image.repository,
        digest=image.digest,
        digests=image.digests,
        media_type=image.media_type,
        artifact_type=image.artifact_type,
        kind=image.kind,
        size=image.size,
        content_size=image.content_size,
        pushed_at=when(image.pushed_at),
        by=told_by(image.by) if image.by is not None else None,
        tags=image.tags,
        tags_more=image.more_tags,
        platform=image.platform,
        platforms=[_platform(each) for each in image.platforms],
        config_digest=image.config_digest,
        config=_config(image.config) if image.config is not None else None,
        layers=[told_layer(each) for each in image.layers],
        annotations=image.annotations,
        subject=image.subject,
        attached=[_attached(each) for each in image.attached],
        attached_more=image.more_attached,
        parents=[Parent(each.digest, each.tags) for each in image.parents],
        problems=image.problems,
        raw=image.raw.decode("utf-8", "replace"),
    )


def _platform(found: model.Platform) -> Platform:
    return Platform(
        found.digest,
        found.media_type,
        found.platform,
        found.kind,
        found.content_size,
        found.is_here,
        found.attests or None,
    )


def _attached(found: model.Attached) -> Attached:
    return Attached(
        found.digest,
        found.media_type,
        found.artifact_type,
        found.kind,
        found.size,
        found.annotations,
    )


def _config(found: ImageConfig) -> Config:
    return Config(
        found.created,
        found.author,
        found.user,
        found.working_dir,
        found.stop_signal,
        found.entrypoint,
        found.cmd,
        found.env,
        found.ports,
        found.volumes,
        found.labels,
    )
