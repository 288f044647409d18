"""Whose identity tokens stand for which robot.

Made from the OpenAPI document by `docs/client.py`: change the API, and run that. Every function
raises `Refused` where the server refuses, or does not answer.
"""

from collections.abc import Iterator
from typing import NotRequired, TypedDict, cast

from moorage.client.api import Api
from moorage.client.operations.robots import AskedScope, TokenScope


class ShownRule(TypedDict):
    """A claim and what it must be."""

    claim: str
    patterns: list[str]


class Trust(TypedDict):
    """A trust: tokens of that audience that all rules hold for stand for the robot."""

    name: str
    issuer_id: int
    robot: str
    audience: str
    rules: list[ShownRule]
    scopes: list[TokenScope] | None
    enabled: bool
    created_at: str | None
    created_by: str
    last_used_at: str | None


class Rule(TypedDict):
    """A claim that must be as one of the patterns says."""

    claim: str
    patterns: list[str]


class NewTrust(TypedDict):
    """A trust to be; without an audience, it is the registry's own address."""

    name: str
    issuer: str
    robot: str
    rules: list[Rule]
    audience: NotRequired[str]
    scopes: NotRequired[list[AskedScope] | None]


class Tried(TypedDict):
    """An identity token that is to be tried; nothing is changed by it."""

    token: str


class Verdict(TypedDict):
    """What one rule says of a token."""

    claim: str
    value: str
    allowed: list[str]
    holds: bool


class TriedTrust(TypedDict):
    """What one trust says of a token, rule by rule."""

    trust: str
    enabled: bool
    holds: bool
    verdicts: list[Verdict]


class Trial(TypedDict):
    """Whether a token is let in, and why not; `problem` is of the token whatever the rules say."""

    allowed: bool
    problem: str
    tried: list[TriedTrust]


class TrustChange(TypedDict):
    """Whether the trust is to be in force."""

    enabled: bool


class Use(TypedDict):
    """One sign-in by a trust, or why there was none."""

    at: str | None
    accepted: bool
    reason: str
    claims: dict[str, str]


class Exchanged(TypedDict):
    """An identity token, and the robot where it stands for several."""

    token: str
    robot: NotRequired[str | None]


class Given(TypedDict):
    """A token in the place of the one that was exchanged; shown this once."""

    secret: str
    robot: str
    expires_at: str | None


def list_trusts(api: Api, namespace: str, *, after: str = "", limit: int = 0) -> Iterator[Trust]:
    """Ask `GET /api/v1/namespaces/{namespace}/trusts`.

    The trusts of a namespace.
    """
    return cast(
        "Iterator[Trust]", api.items("namespaces", namespace, "trusts", after=after, limit=limit)
    )


def create_trust(api: Api, namespace: str, document: NewTrust) -> Trust:
    """Ask `POST /api/v1/namespaces/{namespace}/trusts`.

    Let an issuer's tokens stand for a robot.
    """
    return cast("Trust", api.send("POST", "namespaces", namespace, "trusts", document=document))


def try_identity_token(api: Api, namespace: str, document: Tried) -> Trial:
    """Ask `POST /api/v1/namespaces/{namespace}/trusts/-/try`.

    What the trusts say of a token, rule by rule.
    """
    return cast(
        "Trial", api.send("POST", "namespaces", namespace, "trusts", "-", "try", document=document)
    )


def change_trust(api: Api, namespace: str, trust: str, document: TrustChange) -> Trust:
    """Ask `PATCH /api/v1/namespaces/{namespace}/trusts/{trust}`.

    Put a trust in or out of force.
    """
    return cast(
        "Trust", api.send("PATCH", "namespaces", namespace, "trusts", trust, document=document)
    )


def delete_trust(api: Api, namespace: str, trust: str) -> None:
    """Ask `DELETE /api/v1/namespaces/{namespace}/trusts/{trust}`.

    Remove a trust, and end what was signed in by it.
    """
    api.send("DELETE", "namespaces", namespace, "trusts", trust)


def list_trust_uses(api: Api, namespace: str, trust: str) -> Iterator[Use]:
    """Ask `GET /api/v1/namespaces/{namespace}/trusts/{trust}/uses`.

    The last uses of a trust, with why they were refused.
    """
    return cast("Iterator[Use]", api.items("namespaces", namespace, "trusts", trust, "uses"))


def exchange_token(api: Api, document: Exchanged) -> Given:
    """Ask `POST /api/v1/exchange`.

    A token of ours for an identity token, once.
    """
    return cast("Given", api.send("POST", "exchange", document=document))
