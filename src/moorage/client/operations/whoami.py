"""Who the caller is to the registry, and what its credential is confined to.

Made from the OpenAPI document by `docs/client.py`: change the API, and run that. Every function
raises `Refused` where the server refuses, or does not answer.
"""

from typing import TypedDict, cast

from moorage.client.api import Api


class Limit(TypedDict):
    """What a credential is confined to: actions on the repositories that the pattern names."""

    pattern: str
    actions: list[str]


class Whoami(TypedDict):
    """Who somebody is, by what, and until when; `scopes` is null for all that it may."""

    kind: str
    name: str
    credential: str
    administrator: bool
    scopes: list[Limit] | None
    expires_at: str | None


def whoami(api: Api) -> Whoami:
    """Ask `GET /api/v1/whoami`.

    Who the caller is.
    """
    return cast("Whoami", api.get("whoami"))
