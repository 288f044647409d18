"""How two images differ, side by side."""

from collections.abc import Mapping

import msgspec

from moorage.model.images import Layer
from moorage.oci.digest import Digest
from moorage.oci.names import RepositoryName


class Side(msgspec.Struct, frozen=True):
    """One of the two; `layers` counts those that it has.

    `asked_tags` are those of what was asked for, which is an index where a platform stands for it.
    `labels` are those of its configuration, and its annotations where these say nothing else.
    """

    repository: RepositoryName
    digest: Digest
    tags: tuple[str, ...]
    asked_tags: tuple[str, ...]
    kind: str
    platform: str
    content_size: int
    layers: int
    labels: Mapping[str, str] = {}


class Difference(msgspec.Struct, frozen=True):
    """A field of both, None where one has none; `section` is what it is a field of."""

    section: str
    name: str
    a: str | None
    b: str | None

    @property
    def is_same(self) -> bool:
        """Whether there is no difference after all."""
        return self.a == self.b


class PlatformPair(msgspec.Struct, frozen=True):
    """A platform of both, None where one has none of it; sizes are those of the content.

    `are_here` says that the repositories have the manifests and not just their digests.
    """

    platform: str
    a: Digest | None
    b: Digest | None
    a_size: int = 0
    b_size: int = 0
    are_here: bool = True


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Two images side by side; `grown` is by how many bytes B is larger.

    `config` and `annotations` have what is the same as well. `shared` are the layers that both
    begin with, `common` those that both have behind the first difference. `platforms` is empty
    unless one of them is an index; then configuration and layers are.
    """

    a: Side
    b: Side
    summary: str
    grown: int
    config: tuple[Difference, ...]
    annotations: tuple[Difference, ...]
    shared: tuple[Layer, ...]
    common: tuple[Layer, ...]
    only_a: tuple[Layer, ...]
    only_b: tuple[Layer, ...]
    platforms: tuple[PlatformPair, ...]
    problems: tuple[str, ...]
