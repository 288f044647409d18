"""Kinds of fields that several bodies have; their rules stand in the OpenAPI document as well."""

import re
from typing import Annotated, Literal

from msgspec import Meta, ValidationError

from moorage.oci.names import COMPONENT, MAX_COMPONENT, MAX_NAME, TAG

_NAME = f"^{COMPONENT}$"
_REPOSITORY = f"^{COMPONENT}(?:/{COMPONENT})*$"
_LINE = "^[^\\x00-\\x1f\\x7f]*$"
Name = Annotated[str, Meta(pattern=_NAME, max_length=MAX_COMPONENT)]
Repository = Annotated[str, Meta(pattern=_REPOSITORY, max_length=MAX_NAME)]
# An account `alice`, a robot `web+ci`, a team `web/dev`.
Who = Annotated[str, Meta(pattern=f"^{COMPONENT}(?:[+/]{COMPONENT})?$", max_length=129)]
# One line for people; no database and no terminal is given control characters.
Line = Annotated[str, Meta(max_length=200, pattern=_LINE)]
Label = Annotated[str, Meta(min_length=1, max_length=100, pattern=_LINE)]
Hidden = Annotated[str, Meta(min_length=1, max_length=1024, pattern="^[^\\x00]*$")]
Code = Annotated[str, Meta(pattern="^[0-9]{6}$")]
Visibility = Literal["private", "internal", "public"]
RoleName = Literal["reader", "writer", "maintainer", "owner", "auditor"]
TokenAction = Literal["pull", "push", "delete", "catalog"]
Pattern = Annotated[
    str,
    Meta(pattern=rf"^(?:\*\*|{COMPONENT}(?:/{COMPONENT})*(?:/\*\*)?)$", max_length=MAX_NAME + 3),
]
Days = Annotated[int, Meta(ge=0, le=3650)]
DIGEST = r"(?:sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128}|blake3:[a-f0-9]{64})"
TagName = Annotated[str, Meta(pattern=f"^{TAG}$")]
Digest = Annotated[str, Meta(pattern=f"^{DIGEST}$")]
_LETTERS = "lower-case letters, digits, and single . _ or - between them"
# As the decoder quotes them where a text does not match.
_SAID = {
    repr(pattern): words
    for pattern, words in {
        _NAME: f"Names have {_LETTERS}",
        _REPOSITORY: f"Write it as web/shop: its parts have {_LETTERS}",
        _LINE: "Write it on one line, without control characters",
        "^[0-9]{6}$": "A code has six digits",
        f"^{DIGEST}$": "Write it whole: sha256: and 64 hexadecimal digits in lower case",
    }.items()
}
_MISFIT = re.compile(r"Expected `str` matching regex ('.*') - at `\$\.?(.*)`", re.DOTALL)


def misfit(error: ValidationError) -> tuple[str, str]:
    """Return what is wrong with a body, naming the field, and what it takes, if that has words."""
    found = _MISFIT.fullmatch(str(error))
    words = _SAID.get(found[1], "") if found is not None else ""
    if found is None or not words:
        return f"the body is not what it must be: {error}", ""
    return f"the field {found[2]} can't be that", words
