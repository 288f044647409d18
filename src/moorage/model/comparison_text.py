"""Two images side by side as Markdown, for the text of a change request."""

from collections.abc import Sequence

import msgspec

# Of a digest and of an instruction, so much tells them apart.
_DIGEST, _INSTRUCTION = 19, 80


class Row(msgspec.Struct, frozen=True):
    """A layer: `mark` says where it is, `-` in A alone, `+` in B alone, `~` in another place."""

    mark: str
    digest: str
    size: str
    instruction: str


class Told(msgspec.Struct, frozen=True):
    """What is told of two images, with sizes as people read them.

    `sides` are their repositories and digests; `changed` are sections, names and values of fields,
    None where one has none; `platforms` are names with the sizes of both.
    """

    summary: str
    sides: Sequence[tuple[str, str]]
    changed: Sequence[tuple[str, str, str | None, str | None]]
    layers: Sequence[Row]
    platforms: Sequence[tuple[str, str, str]]


def markdown(told: Told) -> str:
    """Return it as a text; whatever the images say of themselves stays in its cell."""
    a, b = (f"{repository}@{digest[:_DIGEST]}" for repository, digest in told.sides)
    lines = [f"**{_escaped(told.summary)}**", "", f"`{a}` → `{b}`"]
    if told.changed:
        lines += ["", "| what | A | B |", "|---|---|---|"]
        lines += [
            f"| {_escaped(section)} {_code(name)} | {_code(of_a)} | {_code(of_b)} |"
            for section, name, of_a, of_b in told.changed
        ]
    if told.layers:
        lines += ["", "| | layer | size | instruction |", "|---|---|---|---|"]
        lines += [
            f"| {each.mark} | {_code(each.digest[:_DIGEST])} | {each.size} |"
            f" {_code(each.instruction[:_INSTRUCTION])} |"
            for each in told.layers
        ]
    if told.platforms:
        lines += ["", "| platform | A | B |", "|---|---|---|"]
        lines += [f"| {_code(name)} | {of_a} | {of_b} |" for name, of_a, of_b in told.platforms]
    return "\n".join(lines)


def _code(text: str | None) -> str:
    """Return a text as code in a cell, out of which it can't come."""
    if not text:
        return ""
    return "`" + _clean(text).replace("`", "'").replace("|", "\\|") + "`"


def _escaped(text: str) -> str:
    return "".join(f"\\{each}" if each in "*_`|<>[]#" else each for each in _clean(text))


def _clean(text: str) -> str:
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)
