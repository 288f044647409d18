"""Personal ones and organisations.

Made from the OpenAPI document by `docs/client.py`: change the API, and run that. Every function
raises `Refused` where the server refuses, or does not answer.
"""

from collections.abc import Iterator
from typing import Literal, NotRequired, TypedDict, cast

from moorage.client.api import Api


class Namespace(TypedDict):
    """A namespace; `visibility` is that of the repositories which will be made in it."""

    name: str
    kind: str
    visibility: str


class NewNamespace(TypedDict):
    """An organisation to be; its repositories will be as visible as it says."""

    name: str
    visibility: NotRequired[Literal["internal", "private", "public"]]


class NamespaceChange(TypedDict):
    """How visible repositories are to be that are made from now on."""

    visibility: Literal["internal", "private", "public"]


def list_namespaces(api: Api, *, after: str = "", limit: int = 0) -> Iterator[Namespace]:
    """Ask `GET /api/v1/namespaces`.

    The namespaces in which the caller has any right.
    """
    return cast("Iterator[Namespace]", api.items("namespaces", after=after, limit=limit))


def create_namespace(api: Api, document: NewNamespace) -> Namespace:
    """Ask `POST /api/v1/namespaces`.

    Make an organisation.
    """
    return cast("Namespace", api.send("POST", "namespaces", document=document))


def get_namespace(api: Api, namespace: str) -> Namespace:
    """Ask `GET /api/v1/namespaces/{namespace}`.

    One namespace.
    """
    return cast("Namespace", api.get("namespaces", namespace))


def change_namespace(api: Api, namespace: str, document: NamespaceChange) -> Namespace:
    """Ask `PATCH /api/v1/namespaces/{namespace}`.

    Set how visible new repositories are.
    """
    return cast("Namespace", api.send("PATCH", "namespaces", namespace, document=document))


def delete_namespace(api: Api, namespace: str) -> None:
    """Ask `DELETE /api/v1/namespaces/{namespace}`.

    Remove an empty namespace.
    """
    api.send("DELETE", "namespaces", namespace)
