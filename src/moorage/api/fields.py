"""Kinds of fields that several bodies have; their rules stand in the OpenAPI document as well."""

from typing import Annotated, Literal

from msgspec import Meta

from moorage.oci.names import COMPONENT, MAX_COMPONENT, MAX_NAME, TAG

Name = Annotated[str, Meta(pattern=f"^{COMPONENT}$", max_length=MAX_COMPONENT)]
Repository = Annotated[str, Meta(pattern=f"^{COMPONENT}(?:/{COMPONENT})*$", max_length=MAX_NAME)]
# An account `alice`, a robot `web+ci`, a team `web/dev`.
Who = Annotated[str, Meta(pattern=f"^{COMPONENT}(?:[+/]{COMPONENT})?$", max_length=129)]
# One line for people; no database and no terminal is given control characters.
Line = Annotated[str, Meta(max_length=200, pattern="^[^\\x00-\\x1f\\x7f]*$")]
Label = Annotated[str, Meta(min_length=1, max_length=100, pattern="^[^\\x00-\\x1f\\x7f]*$")]
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
