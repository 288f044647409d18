"""Repository names and tags (distribution-spec, section "Pulling manifests")."""

import re
from typing import Self

from moorage.errors import NameInvalid, TagInvalid
from moorage.oci.digest import Digest

COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"{COMPONENT}(?:/{COMPONENT})*", re.ASCII)
_ONE = re.compile(COMPONENT, re.ASCII)
TAG = r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}"
_TAG = re.compile(TAG, re.ASCII)

# Clients limit host, slash and name together to 255 characters; this leaves room for the host.
MAX_NAME = 229
# Accounts, organisations, teams and robots have names of this length, and leave room for more.
MAX_COMPONENT = 64
# One-component names belong to this namespace, and are stored as pushed.
DEFAULT_NAMESPACE = "library"


class RepositoryName(str):
    """A validated repository name such as `web/shop`; made only by `parse` and the db factories."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the name that the text is; raise `NameInvalid`, with a hint, if it is none."""
        if len(text) > MAX_NAME:
            raise NameInvalid(f"a repository name has at most {MAX_NAME} characters")
        if not _NAME.fullmatch(text):
            raise NameInvalid(f"{text[:80]!r} is not a repository name", hint=_name_hint(text))
        return cls(text)

    @property
    def namespace(self) -> str:
        """The first path component, or `library` for a name that has only one."""
        first, slash, _ = self.partition("/")
        return first if slash else DEFAULT_NAMESPACE


def is_component(text: str) -> bool:
    """Tell whether the text can be one component of a repository name, such as a namespace."""
    return len(text) <= MAX_COMPONENT and bool(_ONE.fullmatch(text))


def _name_hint(text: str) -> str:
    lowered = text.lower()
    if lowered != text and _NAME.fullmatch(lowered):
        return f"Names are lower-case: use {lowered}"
    return "Use lower-case letters, digits, and single . _ - or / between them"


class Tag(str):
    """A validated tag such as `1.4.2`; made only by `parse` and the db factories."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the tag that the text is; raise `TagInvalid` if it is none."""
        if not _TAG.fullmatch(text):
            raise TagInvalid(
                f"{text[:140]!r} is not a tag",
                hint="Use up to 128 letters, digits, . _ or -, beginning with a letter, digit or _",
            )
        return cls(text)


Reference = Tag | Digest


def parse_reference(text: str) -> Reference:
    """Return the tag or digest that the text is: what has a colon is a digest."""
    return Digest.parse(text) if ":" in text else Tag.parse(text)
