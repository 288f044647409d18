"""Entries of the audit trail, the head of its chain, and what was refused."""

import enum

import msgspec


class Entry(msgspec.Struct, frozen=True):
    """Who did what, from where; `place` is in the chain, 0 with an empty seal before it is sealed.

    Ids are 0 where it concerns no repository, or no namespace. `detail` is JSON.
    """

    id: int
    place: int
    at: int
    actor: str
    credential: str
    address: str
    request_id: str
    action: str
    namespace_id: int
    repository_id: int
    detail: bytes
    seal: bytes


class Head(msgspec.Struct, frozen=True):
    """The last place of the chain with its seal, signed."""

    place: int
    seal: bytes
    key_id: str
    signature: bytes
    at: int


class Refusal(msgspec.Struct, frozen=True):
    """What was refused to one caller in one minute since 1970, and how often.

    `actor` is empty where nobody could be made out. The reason, the credential and the request are
    those of the last time.
    """

    minute: int
    actor: str
    address: str
    repository: str
    action: str
    times: int
    reason: str
    credential: str
    request_id: str


class Filter(enum.StrEnum):
    """What entries can be looked for by."""

    NAMESPACE = "namespace"
    REPOSITORY = "repository"
    ACTOR = "actor"
    ACTION = "action"


# What they are called in addresses: what is asked about there by `action` is what somebody may.
PARAMETERS = {
    Filter.NAMESPACE: "namespace",
    Filter.REPOSITORY: "repository",
    Filter.ACTOR: "actor",
    Filter.ACTION: "event",
}
