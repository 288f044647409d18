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
    # Of a namespace or repository: its rules for tags and settings; who may what; the trail.
    CONFIGURE = "configure"
    SEE_ACCESS = "see-access"
    MANAGE_ACCESS = "manage-access"
    AUDIT = "audit"
    # Of the registry: organisations; accounts, issuers, providers and all the rest.
    CREATE_NAMESPACE = "create-namespace"
    ADMINISTER = "administer"


class Role(enum.StrEnum):
    """What somebody is granted on a namespace or a repository.

    Each of the first four may do all that the one before it may. An auditor reads, and sees the
    trail and who may what; so does an owner.
    """

    READER = "reader"
    WRITER = "writer"
    MAINTAINER = "maintainer"
    OWNER = "owner"
    AUDITOR = "auditor"

    @property
    def rank(self) -> int:
        """How much it may: 1 reads, 2 also pushes, 3 also deletes and configures, 4 all."""
        return _RANKS[self]

    @property
    def audits(self) -> bool:
        """Whether it sees the trail and who may what."""
        return self in (Role.OWNER, Role.AUDITOR)


_RANKS = {Role.READER: 1, Role.WRITER: 2, Role.MAINTAINER: 3, Role.OWNER: 4, Role.AUDITOR: 1}


class Subject(msgspec.Struct, frozen=True):
    """Whose rights a statement looks at, and by what it signed in: ids, 0 for nobody and nothing.

    `generation` is the principal's own as the credential saw it, and a later one has ended it; 0
    for tokens, which end one by one. `asked_at` is when an account asked: one that a provider has
    been silent about for a day then has no rights; 0 does not look. `is_early` is nobody's as long
    as it isn't known whether anybody has had an account: what it asks for finds out.
    """

    principal_id: int = 0
    token_id: int = 0
    generation: int = 0
    asked_at: int = 0
    is_early: bool = False


NOBODY = Subject()
EARLY = Subject(is_early=True)


class Scope(msgspec.Struct, frozen=True):
    """What a credential is confined to: actions on the repositories that a pattern names.

    `pattern` is a name, `NAMESPACE/**` for all of a namespace, or `**` for all there are.
    """

    pattern: str
    actions: frozenset[str]

    def allows(self, action: Action) -> bool:
        """Tell whether it lets the action through on the repositories that it names."""
        return action in self.actions or "*" in self.actions

    def covers(self, name: str, action: Action) -> bool:
        """Tell whether it lets the action through on the repository of that name."""
        if not self.allows(action):
            return False
        if self.pattern in ("**", name):
            return True
        return self.pattern.endswith("/**") and name.startswith(self.pattern[:-2])


class Actor(msgspec.Struct, frozen=True):
    """Who asks, and how it proved that.

    `local` is this machine's own user in local mode, `operator` root or the server's user at the
    admin socket. `credential` names what it signed in with, for the trail; `refusal` says why a
    caller that could have been local is not. `scopes` is what its credential is confined to,
    `bound` what the bearer token that it sent was asked for: None is no limit. Neither gives a
    right that the subject has not got.
    """

    kind: Literal["anonymous", "local", "operator", "account", "robot"]
    name: str
    credential: str
    refusal: str = ""
    subject: Subject = NOBODY
    scopes: tuple[Scope, ...] | None = None
    bound: tuple[Scope, ...] | None = None
    expires_at: int = 0  # of the credential; 0: never

    @property
    def owner(self) -> str:
        """What its upload sessions are kept under: never the same for two callers."""
        return f"{self.kind}:{self.subject.principal_id}"

    @property
    def is_signed_in(self) -> bool:
        """Whether it is somebody whose rights are kept in the database."""
        return self.subject.principal_id != 0


class System(msgspec.Struct, frozen=True):
    """The registry itself: its catalog, its metrics, its accounts."""


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


# The standing of nobody, as long as there is nobody who could have another one.
BEFORE_ACCOUNTS = -1


class Facts(msgspec.Struct, frozen=True):
    """What the statement that resolved the target found out about it and about the subject.

    `standing` is 0 for a subject or credential that has ended, 1 for one in force, 2 for an
    administrator; `BEFORE_ACCOUNTS` for nobody as long as nobody has ever had an account. `rank`
    and `audits` are what the subject's grants come to at the target.
    """

    exists: bool = False
    has_namespace: bool = False
    visibility: str = "private"
    standing: int = 0
    rank: int = 0
    audits: bool = False


class Decision(msgspec.Struct, frozen=True):
    """Whether it is allowed, why, and whether a refusal may say that the target exists.

    `ended` says that the credential is no longer good for anything, `wider` that a bearer token
    asked for this very action would do.
    """

    allowed: bool
    reason: str
    disclose: bool = False
    ended: bool = False
    wider: bool = False
