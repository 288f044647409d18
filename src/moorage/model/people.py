"""Who there is, and what was given to whom: what the tables of access hold."""

import msgspec

from moorage.model.access import Role, Scope

# What stands between a namespace and the name of its robot or its team.
ROBOT_MARK, TEAM_MARK = "+", "/"


class NamespaceRecord(msgspec.Struct, frozen=True):
    """A namespace; `visibility` is that of the repositories which a push makes in it."""

    id: int
    name: str
    kind: str
    visibility: str


class Principal(msgspec.Struct, frozen=True):
    """Whoever can be given a right: `alice`, the robot `web+ci` or the team `web/dev`."""

    id: int
    kind: str
    namespace_id: int
    name: str
    description: str
    enabled: bool
    created_at: int


class AccountRecord(msgspec.Struct, frozen=True):
    """A live account as it is shown: never its password or second factor, only that it has one."""

    id: int
    name: str
    full_name: str
    email: str
    enabled: bool
    administrator: bool
    has_password: bool
    has_totp: bool
    provider: str
    created_at: int


class TokenRecord(msgspec.Struct, frozen=True):
    """A token as it is shown; `mark` is its beginning, times are 0 for never."""

    id: int
    principal_id: int
    kind: str
    name: str
    mark: str
    scopes: tuple[Scope, ...] | None
    created_at: int
    expires_at: int
    last_used_at: int
    revoked_at: int


class GrantRecord(msgspec.Struct, frozen=True):
    """Who has which role where; `repository` is empty for all of the namespace."""

    principal_id: int
    who: str
    kind: str
    repository_id: int
    repository: str
    role: Role
    granted_at: int
    granted_by: str


class OpenLink(msgspec.Struct, frozen=True):
    """A link that is good still, as administrators see it: never its secret.

    `id` names it and opens nothing.
    """

    id: str
    kind: str
    name: str
    created_by: str
    created_at: int
    expires_at: int


class LinkRecord(msgspec.Struct, frozen=True):
    """A link that is good once; without its secret, which nobody keeps.

    `name` is the account's, which is open if it is empty; for the set-up it is only proposed.
    """

    kind: str
    account_id: int
    name: str
    teams: tuple[int, ...]
    expires_at: int

    @property
    def fixed_name(self) -> str:
        """The name that the account must have; empty where whoever spends the link chooses."""
        return "" if self.kind == "setup" else self.name

    @property
    def proposed_name(self) -> str:
        """A name that whoever spends the link may take or leave; empty where none is proposed."""
        return self.name if self.kind == "setup" else ""
