"""What happened to tags, and what they were at some time."""

import msgspec

from moorage.model.artifacts import TagChange
from moorage.oci.digest import Digest
from moorage.oci.names import Tag


class TagMove(msgspec.Struct, frozen=True):
    """One change of a tag: None before is that it was made, None after that it ended.

    `by.cause` says what it came through: push, delete, restore or purge.
    """

    version: int
    before: Digest | None
    after: Digest | None
    at: int
    by: TagChange


class TagState(msgspec.Struct, frozen=True):
    """A tag with what it names, since when, and the change that had it do so.

    `digest` is None where there was no such tag at the time that was asked about.
    """

    name: Tag
    version: int
    digest: Digest | None
    at: int
    by: TagChange
