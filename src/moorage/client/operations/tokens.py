"""The caller's own tokens; those of robots are kept by their namespace.

Made from the OpenAPI document by `docs/client.py`: change the API, and run that. Every function
raises `Refused` where the server refuses, or does not answer.
"""

from collections.abc import Iterator
from typing import NotRequired, TypedDict, cast

from moorage.client.api import Api
from moorage.client.operations.robots import MadeToken, NewToken, Token


class Rotation(TypedDict):
    """How many hours the old token is to be good for beside the new one."""

    overlap_hours: NotRequired[int]


def list_tokens(api: Api, *, who: str = "", after: str = "", limit: int = 0) -> Iterator[Token]:
    """Ask `GET /api/v1/tokens`.

    The caller's own tokens.
    """
    return cast("Iterator[Token]", api.items("tokens", who=who, after=after, limit=limit))


def create_token(api: Api, document: NewToken) -> MadeToken:
    """Ask `POST /api/v1/tokens`.

    Make a token for oneself.
    """
    return cast("MadeToken", api.send("POST", "tokens", document=document))


def get_token(api: Api, token: str) -> Token:
    """Ask `GET /api/v1/tokens/{token}`.

    One token.
    """
    return cast("Token", api.get("tokens", token))


def revoke_token(api: Api, token: str) -> None:
    """Ask `DELETE /api/v1/tokens/{token}`.

    End a token at once.
    """
    api.send("DELETE", "tokens", token)


def rotate_token(api: Api, token: str, document: Rotation) -> MadeToken:
    """Ask `POST /api/v1/tokens/{token}/rotate`.

    Make a token like this one, which ends soon.
    """
    return cast("MadeToken", api.send("POST", "tokens", token, "rotate", document=document))
