"""What one check of `moorage doctor` found."""

from typing import Literal

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """What one check found, why it matters, and what to do."""

    check: str
    state: Literal["ok", "warn", "fail"]
    found: str
    do: str = ""
