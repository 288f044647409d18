"""What happened to tags, and what they were at some time."""

import msgspec

from moorage.model.artifacts import TagChange
from moorage.oci.digest import Digest
from moorage.oci.names import Tag


class TagMove(msgspec.Struct, frozen=True):
    """One change of a tag: None before is that it was made, None after that it ended.

    `by.cause` says what it came through: push, delete, restore or purge. What either names may have
    been deleted since, which is told where moves are listed.
    """

    version: int
    before: Digest | None
    after: Digest | None
    at: int
    by: TagChange
    before_is_deleted: bool = False
    after_is_deleted: bool = False


class EndedTag(msgspec.Struct, frozen=True):
    """A tag that there is no more: what it named last, and the change that ended it.

    `is_deleted` says that what it named has been deleted as well.
    """

    name: Tag
    version: int
    digest: Digest
    at: int
    by: TagChange
    is_deleted: bool


class TagState(msgspec.Struct, frozen=True):
    """A tag with what it names, since when, and the change that had it do so.

    `digest` is None where there was no such tag at the time that was asked about. `is_deleted` says
    that what it named then has been deleted since.
    """

    name: Tag
    version: int
    digest: Digest | None
    at: int
    by: TagChange
    is_deleted: bool = False
