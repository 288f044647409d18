"""Who asks, for what, of what: the types of the one decision (`auth/policy.py`)."""

import enum
from typing import Literal

import msgspec

from moorage.oci.names import RepositoryName, Tag


class Action(enum.StrEnum):
    """What somebody may be allowed to do."""

    PING = "ping"
    PULL = "pull"
    PUSH = "push"
    DELETE = "delete"
    CATALOG = "catalog"
    METRICS = "metrics"


class Actor(msgspec.Struct, frozen=True):
    """Who asks: `local` (this machine's own user), `administrator`, or `anonymous`.

    `credential` names how it proved that; `refusal` says why a caller that could have been local
    is not, so that a refusal can tell.
    """

    kind: Literal["local", "administrator", "anonymous"]
    name: str
    credential: str
    refusal: str = ""


class System(msgspec.Struct, frozen=True):
    """The registry itself: its catalog, its metrics."""


class Namespace(msgspec.Struct, frozen=True):
    """The first path component of repositories' names."""

    name: str


class RepositoryTarget(msgspec.Struct, frozen=True):
    """A repository, whether it exists or not."""

    name: RepositoryName


class TagOf(msgspec.Struct, frozen=True):
    """A tag of a repository."""

    repository: RepositoryName
    tag: Tag


class UploadOf(msgspec.Struct, frozen=True):
    """An upload session of a repository."""

    repository: RepositoryName
    upload: str


Target = System | Namespace | RepositoryTarget | TagOf | UploadOf


class Facts(msgspec.Struct, frozen=True):
    """What the statement that resolved the target found out about it."""

    exists: bool = False
    visibility: str = "private"


class Decision(msgspec.Struct, frozen=True):
    """Whether it is allowed, why, and whether a refusal may say that the target exists."""

    allowed: bool
    reason: str
    disclose: bool = False
