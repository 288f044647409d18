"""One's second factor, learnt by a device and then asked for.

Made from the OpenAPI document by `docs/client.py`: change the API, and run that. Every function
raises `Refused` where the server refuses, or does not answer.
"""

from typing import NotRequired, TypedDict, cast

from moorage.client.api import Api


class Enrolment(TypedDict):
    """What the device is to learn, as text and as address; the ticket comes back with a code."""

    secret: str
    uri: str
    ticket: str


class FirstCode(TypedDict):
    """The ticket of the enrolment, the first code of the device, and the password once more."""

    ticket: str
    code: str
    password: str


class Removal(TypedDict):
    """The password once more; administrators need none for the accounts of others."""

    password: NotRequired[str | None]


def begin_totp(api: Api, account: str) -> Enrolment:
    """Ask `POST /api/v1/accounts/{account}/totp`.

    Begin with a second factor.
    """
    return cast("Enrolment", api.send("POST", "accounts", account, "totp"))


def confirm_totp(api: Api, account: str, document: FirstCode) -> None:
    """Ask `PUT /api/v1/accounts/{account}/totp`.

    Keep a second factor by its first code.
    """
    api.send("PUT", "accounts", account, "totp", document=document)


def remove_totp(api: Api, account: str, document: Removal) -> None:
    """Ask `POST /api/v1/accounts/{account}/totp/remove`.

    Take a second factor away.
    """
    api.send("POST", "accounts", account, "totp", "remove", document=document)
