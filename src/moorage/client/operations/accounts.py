"""Who there is; administrators see all, everybody its own.

Made from the OpenAPI document by `docs/client.py`: change the API, and run that. Every function
raises `Refused` where the server refuses, or does not answer.
"""

from collections.abc import Iterator
from typing import NotRequired, TypedDict, cast

from moorage.client.api import Api


class Account(TypedDict):
    """An account; `provider` says who signs it in, empty for the registry itself."""

    name: str
    full_name: str
    email: str
    enabled: bool
    administrator: bool
    has_password: bool
    has_totp: bool
    provider: str
    created_at: str | None


class NewAccount(TypedDict):
    """An account to be, which nobody can sign in to before it has a link for its password."""

    name: str
    full_name: NotRequired[str]
    email: NotRequired[str]


class AccountChange(TypedDict):
    """One change: what the person is called, whether it is in force, or whether it administers."""

    full_name: NotRequired[str | None]
    email: NotRequired[str | None]
    enabled: NotRequired[bool | None]
    administrator: NotRequired[bool | None]


class NewPassword(TypedDict):
    """The password that is good now, and the one to be; it has 12 characters or more."""

    old: str
    new: str


class Identity(TypedDict):
    """Whom a provider knows by that subject; both are empty for nobody outside."""

    provider: str
    subject: str


def list_accounts(api: Api, *, after: str = "", limit: int = 0) -> Iterator[Account]:
    """Ask `GET /api/v1/accounts`.

    All accounts.
    """
    return cast("Iterator[Account]", api.items("accounts", after=after, limit=limit))


def create_account(api: Api, document: NewAccount) -> Account:
    """Ask `POST /api/v1/accounts`.

    Make an account.
    """
    return cast("Account", api.send("POST", "accounts", document=document))


def get_account(api: Api, account: str) -> Account:
    """Ask `GET /api/v1/accounts/{account}`.

    One account: the caller's own, or any for administrators.
    """
    return cast("Account", api.get("accounts", account))


def change_account(api: Api, account: str, document: AccountChange) -> Account:
    """Ask `PATCH /api/v1/accounts/{account}`.

    Change one thing of an account.
    """
    return cast("Account", api.send("PATCH", "accounts", account, document=document))


def delete_account(api: Api, account: str) -> None:
    """Ask `DELETE /api/v1/accounts/{account}`.

    End an account with all that it had.
    """
    api.send("DELETE", "accounts", account)


def change_password(api: Api, account: str, document: NewPassword) -> None:
    """Ask `PUT /api/v1/accounts/{account}/password`.

    Give one's own account another password.
    """
    api.send("PUT", "accounts", account, "password", document=document)


def end_credentials(api: Api, account: str) -> None:
    """Ask `DELETE /api/v1/accounts/{account}/credentials`.

    End all sessions and tokens of an account.
    """
    api.send("DELETE", "accounts", account, "credentials")


def bind_account(api: Api, account: str, document: Identity) -> Account:
    """Ask `PUT /api/v1/accounts/{account}/identity`.

    Have an account be somebody's of a provider, or nobody's.
    """
    return cast("Account", api.send("PUT", "accounts", account, "identity", document=document))
