"""Several tags at once: what would go, what went, and all of it back.

Made from the OpenAPI document by `docs/client.py`: change the API, and run that. Every function
raises `Refused` where the server refuses, or does not answer.
"""

from typing import TypedDict, cast

from moorage.client.api import Api


class NamedTags(TypedDict):
    """Tags by their names."""

    tags: list[str]


class EndOfTag(TypedDict):
    """What becomes of a tag; `why` says why it stays as it is, and is empty where it does not.

    `digest` is null where it is not there, or names another image since it was chosen. `others`
    are some of the tags that its image has besides those that go.
    """

    name: str
    digest: str | None
    why: str
    others: list[str]
    more_others: bool


class EndsOfTags(TypedDict):
    """What becomes of each tag."""

    items: list[EndOfTag]


class ChosenTag(TypedDict):
    """A tag, and the digest that it must still name."""

    name: str
    digest: str


class ChosenTags(TypedDict):
    """Tags that are to go, each with the digest that it had when it was chosen."""

    tags: list[ChosenTag]


def preview_tags_deletion(api: Api, repository: str, document: NamedTags) -> EndsOfTags:
    """Ask `POST /api/v1/repositories/{repository}/-/tags/-/delete/preview`.

    What deleting several tags would do, and why some would stay.
    """
    return cast(
        "EndsOfTags",
        api.send(
            "POST",
            "repositories",
            repository,
            "-",
            "tags",
            "-",
            "delete",
            "preview",
            document=document,
        ),
    )


def delete_tags(api: Api, repository: str, document: ChosenTags) -> EndsOfTags:
    """Ask `POST /api/v1/repositories/{repository}/-/tags/-/delete`.

    Delete several tags at once, and nothing but them.
    """
    return cast(
        "EndsOfTags",
        api.send("POST", "repositories", repository, "-", "tags", "-", "delete", document=document),
    )


def restore_tags(api: Api, repository: str, document: NamedTags) -> EndsOfTags:
    """Ask `POST /api/v1/repositories/{repository}/-/tags/-/delete/undo`.

    Bring several deleted tags back.
    """
    return cast(
        "EndsOfTags",
        api.send(
            "POST",
            "repositories",
            repository,
            "-",
            "tags",
            "-",
            "delete",
            "undo",
            document=document,
        ),
    )
