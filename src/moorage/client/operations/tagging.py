"""Set, copied and deleted by hand.

Made from the OpenAPI document by `docs/client.py`: change the API, and run that. Every function
raises `Refused` where the server refuses, or does not answer.
"""

from typing import NotRequired, TypedDict, cast

from moorage.client.api import Api


class SetTag(TypedDict):
    """What a tag is to name: a tag, a digest, or the beginning of one.

    It is looked for in `source`, another repository, and copied from there; without one, in the
    tag's own. Where `expected` is given, only a tag that names this digest is moved.
    """

    reference: str
    source: NotRequired[str | None]
    expected: NotRequired[str | None]


class SetTagDone(TypedDict):
    """What a tag names now and named before; `manifests` and `blobs` were not there and are now."""

    name: str
    digest: str
    before: str | None
    manifests: int
    blobs: int


def set_tag(api: Api, repository: str, tag: str, document: SetTag) -> SetTagDone:
    """Ask `PUT /api/v1/repositories/{repository}/-/tags/{tag}`.

    Have a tag name an image of this repository, or of another one, which is copied.
    """
    return cast(
        "SetTagDone",
        api.send("PUT", "repositories", repository, "-", "tags", tag, document=document),
    )


def delete_tag(api: Api, repository: str, tag: str) -> None:
    """Ask `DELETE /api/v1/repositories/{repository}/-/tags/{tag}`.

    Delete a tag, and nothing but that.
    """
    api.send("DELETE", "repositories", repository, "-", "tags", tag)


def delete_manifest(api: Api, repository: str, digest: str) -> None:
    """Ask `DELETE /api/v1/repositories/{repository}/-/manifests/{digest}`.

    Put a manifest into the trash, and delete its tags.
    """
    api.send("DELETE", "repositories", repository, "-", "manifests", digest)
