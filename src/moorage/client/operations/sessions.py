"""Signing in by a page, whose cookie is then its credential.

Made from the OpenAPI document by `docs/client.py`: change the API, and run that. Every function
raises `Refused` where the server refuses, or does not answer.
"""

from collections.abc import Iterator
from typing import NotRequired, TypedDict, cast

from moorage.client.api import Api


class OwnSession(TypedDict):
    """Where the caller is signed in by a page; `is_this` is the one that it asks by.

    It ends as a token does, by its id.
    """

    id: int
    began_at: str | None
    expires_at: str | None
    is_this: bool


class SignIn(TypedDict):
    """A user name and password; the code where the account has a second factor."""

    name: str
    password: str
    code: NotRequired[str | None]


class Session(TypedDict):
    """Who is signed in, and until when."""

    name: str
    expires_at: str | None


def list_sessions(api: Api, *, after: str = "", limit: int = 0) -> Iterator[OwnSession]:
    """Ask `GET /api/v1/sessions`.

    Where the caller is signed in by a page.
    """
    return cast("Iterator[OwnSession]", api.items("sessions", after=after, limit=limit))


def begin_session(api: Api, document: SignIn) -> Session:
    """Ask `POST /api/v1/session`.

    Sign in by a page, with a cookie.
    """
    return cast("Session", api.send("POST", "session", document=document))


def end_session(api: Api) -> None:
    """Ask `DELETE /api/v1/session`.

    Sign out of the page.
    """
    api.send("DELETE", "session")
