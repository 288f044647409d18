"""`-o go-style=TEMPLATE`: one line for each thing, in the style of Go's templates.

There are fields (`{{.name}}`, `{{.by.actor}}`), `{{.}}` for the whole, `{{json .tags}}` and
`{{len .tags}}`; `\\t` and `\\n` between them. Nothing else of Go's language is.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from moorage.cli.clean import clean
from moorage.errors import Refused

_PIECE = re.compile(r"(\{\{.*?\}\})", re.DOTALL)
_FIELD = re.compile(r"\{\{-?\s*(?:(json|len)\s+)?(\.|(?:\.\w+)+)\s*-?\}\}", re.ASCII)
_ESCAPES = {"\\t": "\t", "\\n": "\n"}
_ABSENT = object()


class Template:
    """A template that was read; it writes any document of the API."""

    def __init__(self, text: str) -> None:
        """Read it.

        Raises:
            Refused: there is something in it that isn't known.
        """
        self._pieces: list[str | tuple[str, list[str]]] = []
        for piece in _PIECE.split(text):
            found = _FIELD.fullmatch(piece)
            if found is not None:
                path = [part for part in found[2].split(".") if part]
                self._pieces.append((found[1] or "", path))
            elif "{{" in piece or "}}" in piece:
                raise Refused(
                    f"{piece!r} is not known in a template.",
                    do="Write fields as {{.name}}, {{.by.actor}}, {{json .tags}} or {{len .tags}}.",
                    exit_code=2,
                )
            else:
                for written, meant in _ESCAPES.items():
                    piece = piece.replace(written, meant)  # noqa: PLW2901 - it is its own text
                self._pieces.append(piece)

    def write(self, document: Any) -> str:
        """Return what the template makes of a document; what is not in it is `<no value>`."""
        return "".join(
            piece if isinstance(piece, str) else _written(piece[0], _at(document, piece[1]))
            for piece in self._pieces
        )


def _at(document: Any, path: list[str]) -> Any:
    for part in path:
        document = document.get(part, _ABSENT) if isinstance(document, Mapping) else _ABSENT
    return document


def _written(how: str, value: Any) -> str:
    if value is _ABSENT:
        return "<no value>"
    if how == "len":
        return str(len(value)) if isinstance(value, str | list | Mapping) else "0"
    if how == "json" or not isinstance(value, str | None):
        return json.dumps(value)
    return clean(value or "")
