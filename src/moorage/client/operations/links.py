"""Links that are good once, made by some and spent by others.

Made from the OpenAPI document by `docs/client.py`: change the API, and run that. Every function
raises `Refused` where the server refuses, or does not answer.
"""

from collections.abc import Iterator
from typing import Literal, NotRequired, TypedDict, cast

from moorage.client.api import Api


class Redeemed(TypedDict):
    """The secret of a link, and the password that is chosen; the name where it is open."""

    secret: str
    password: str
    name: NotRequired[str | None]


class Redeemer(TypedDict):
    """The account that was made, or that has a new password."""

    name: str


class NewLink(TypedDict):
    """A link to be: an invitation, perhaps with a name and teams; or a new password for a name.

    For the first account the name is one that is proposed.
    """

    kind: Literal["invitation", "password", "setup"]
    name: NotRequired[str | None]
    teams: NotRequired[list[str]]


class MadeLink(TypedDict):
    """A link with its secret, which is shown this once; `path` is behind the registry's address."""

    kind: str
    name: str
    path: str
    secret: str
    expires_at: str | None


class OpenLink(TypedDict):
    """A link that is good still; its id opens nothing. A name that is open is empty."""

    id: str
    kind: str
    name: str
    created_by: str
    created_at: str | None
    expires_at: str | None


class Shown(TypedDict):
    """The secret of a link that is asked about."""

    secret: str


class Link(TypedDict):
    """What a link is for; a name that is open is empty, and one may be proposed for it."""

    kind: str
    name: str
    proposed_name: str
    expires_at: str | None


def set_up(api: Api, document: Redeemed) -> Redeemer:
    """Ask `POST /api/v1/setup`.

    Make the first account by the set-up link.
    """
    return cast("Redeemer", api.send("POST", "setup", document=document))


def create_link(api: Api, document: NewLink) -> MadeLink:
    """Ask `POST /api/v1/links`.

    Make a link for a new account or a new password.
    """
    return cast("MadeLink", api.send("POST", "links", document=document))


def list_links(api: Api, *, after: str = "", limit: int = 0) -> Iterator[OpenLink]:
    """Ask `GET /api/v1/links`.

    The links that are good still, without their secrets.
    """
    return cast("Iterator[OpenLink]", api.items("links", after=after, limit=limit))


def withdraw_link(api: Api, link: str) -> None:
    """Ask `DELETE /api/v1/links/{link}`.

    Have a link be good for nothing.
    """
    api.send("DELETE", "links", link)


def find_link(api: Api, document: Shown) -> Link:
    """Ask `POST /api/v1/links/find`.

    What a link is for.
    """
    return cast("Link", api.send("POST", "links", "find", document=document))


def redeem_link(api: Api, document: Redeemed) -> Redeemer:
    """Ask `POST /api/v1/links/redeem`.

    Spend a link.
    """
    return cast("Redeemer", api.send("POST", "links", "redeem", document=document))
