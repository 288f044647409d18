"""Signing in by a page, whose cookie is then its credential.

Made from the OpenAPI document by `docs/client.py`: change the API, and run that. Every function
raises `Refused` where the server refuses, or does not answer.
"""

from typing import NotRequired, TypedDict, cast

from moorage.client.api import Api


class SignIn(TypedDict):
    """A user name and password; the code where the account has a second factor."""

    name: str
    password: str
    code: NotRequired[str | None]


class Session(TypedDict):
    """Who is signed in, and until when."""

    name: str
    expires_at: str | None


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
