"""Where people from outside sign in; for administrators.

Made from the OpenAPI document by `docs/client.py`: change the API, and run that. Every function
raises `Refused` where the server refuses, or does not answer.
"""

from collections.abc import Iterator
from typing import NotRequired, TypedDict, cast

from moorage.client.api import Api


class Provider(TypedDict):
    """A provider; its secret is never shown. `sign_in` is the path where people begin."""

    name: str
    url: str
    client_id: str
    has_secret: bool
    scopes: str
    name_claim: str
    groups_claim: str
    enabled: bool
    created_at: str | None
    sign_in: str


class NewProvider(TypedDict):
    """A provider to be registered; it must answer at its address already.

    `name_claim` and `groups_claim` are claims of its identity tokens.
    """

    name: str
    url: str
    client_id: str
    client_secret: NotRequired[str]
    scopes: NotRequired[str]
    name_claim: NotRequired[str]
    groups_claim: NotRequired[str]


class ProviderChange(TypedDict):
    """One change: whether people may sign in by it, or the registry's secret there."""

    enabled: NotRequired[bool | None]
    client_secret: NotRequired[str | None]


def list_providers(api: Api, *, after: str = "", limit: int = 0) -> Iterator[Provider]:
    """Ask `GET /api/v1/providers`.

    Where people from outside sign in.
    """
    return cast("Iterator[Provider]", api.items("providers", after=after, limit=limit))


def create_provider(api: Api, document: NewProvider) -> Provider:
    """Ask `POST /api/v1/providers`.

    Register a provider that people sign in by.
    """
    return cast("Provider", api.send("POST", "providers", document=document))


def get_provider(api: Api, provider: str) -> Provider:
    """Ask `GET /api/v1/providers/{provider}`.

    One provider.
    """
    return cast("Provider", api.get("providers", provider))


def change_provider(api: Api, provider: str, document: ProviderChange) -> Provider:
    """Ask `PATCH /api/v1/providers/{provider}`.

    Let people sign in by a provider or not, or keep another secret for it.
    """
    return cast("Provider", api.send("PATCH", "providers", provider, document=document))


def delete_provider(api: Api, provider: str) -> None:
    """Ask `DELETE /api/v1/providers/{provider}`.

    Forget a provider that no account and no team hangs on.
    """
    api.send("DELETE", "providers", provider)
