"""Whose identity tokens machines may sign in with; for administrators.

Made from the OpenAPI document by `docs/client.py`: change the API, and run that. Every function
raises `Refused` where the server refuses, or does not answer.
"""

from collections.abc import Iterator
from typing import Literal, NotRequired, TypedDict, cast

from moorage.client.api import Api


class Issuer(TypedDict):
    """An issuer; `shared` if strangers run workloads there too."""

    id: int
    url: str
    kind: str
    shared: bool
    own_keys: bool
    ca_file: str
    enabled: bool
    created_at: str | None
    created_by: str


class NewIssuer(TypedDict):
    """An issuer to be registered; `jwks` is its set of keys, as a text, if it can't be reached."""

    url: str
    kind: NotRequired[Literal["generic", "github", "gitlab", "jenkins", "kubernetes"]]
    shared: NotRequired[bool]
    jwks: NotRequired[str]
    ca_file: NotRequired[str]


class IssuerChange(TypedDict):
    """One change: whether the issuer is in force, or its keys; none to have them fetched."""

    enabled: NotRequired[bool | None]
    jwks: NotRequired[str | None]


def list_issuers(api: Api, *, after: str = "", limit: int = 0) -> Iterator[Issuer]:
    """Ask `GET /api/v1/issuers`.

    Whose identity tokens may be trusted.
    """
    return cast("Iterator[Issuer]", api.items("issuers", after=after, limit=limit))


def create_issuer(api: Api, document: NewIssuer) -> Issuer:
    """Ask `POST /api/v1/issuers`.

    Register an issuer.
    """
    return cast("Issuer", api.send("POST", "issuers", document=document))


def change_issuer(api: Api, issuer: str, document: IssuerChange) -> Issuer:
    """Ask `PATCH /api/v1/issuers/{issuer}`.

    Put an issuer in or out of force, or give it other keys.
    """
    return cast("Issuer", api.send("PATCH", "issuers", issuer, document=document))


def delete_issuer(api: Api, issuer: str) -> None:
    """Ask `DELETE /api/v1/issuers/{issuer}`.

    Forget an issuer that no trust names.
    """
    api.send("DELETE", "issuers", issuer)
