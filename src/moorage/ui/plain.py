"""Pages as plain text, for `curl` and the like: they fit a terminal, and steer none."""

import textwrap
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from moorage.errors import RegistryError, SignInNeeded
from moorage.ui import words
from moorage.web.request import Request

# A screen, with what stands around the list.
LINES = 20
HEADERS = {
    "Content-Type": "text/plain; charset=utf-8",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Vary": "Accept, Accept-Encoding, Cookie",
}
_WIDTH = 78
_MOST_TAG = 36
_GAP = "  "


def is_wanted(request: Request) -> bool:
    """Tell whether a client takes text as readily as anything, and names neither HTML nor JSON.

    That is `*/*` or nothing, as command lines have it. Browsers name what they like better where
    they fetch pictures and the like.
    """
    kinds: dict[str, float] = {}
    for part in (request.headers.get("Accept", "") or "*/*").lower().split(","):
        kind, _, parameters = part.partition(";")
        kinds[kind.strip()] = _quality(parameters)
    if any("html" in kind or "json" in kind for kind in kinds):
        return False
    text = next((kinds[kind] for kind in ("text/plain", "text/*", "*/*") if kind in kinds), 0.0)
    return 0.0 < text == max(kinds.values())


def repository(facts: Mapping[str, Any], base: str, now: datetime) -> str:
    """Return the page of a repository's tags: the newest first, and how the first is pulled."""
    name, tags = facts["repository"], facts["tags"]
    host = base.partition("://")[2]
    lines = [f"{name} ({facts['visibility']})"]
    lines += textwrap.wrap(_clean(facts["description"]), _WIDTH)
    if tags:
        lines += ["", _pull(f"{host}/{name}", tags[0]), "", *_table(tags, now)]
    elif facts["filter"] or not facts["is_first"]:
        lines += ["", "No tag is like that."]
    else:
        lines += ["", "No tags yet."]
        if "push" in facts["may"]:
            lines += ["", f"docker push {host}/{name}:1.0"]
    lines += ["", f"Page: {base}{facts['page']}", f"JSON: {base}{facts['page']}/-/tags.json"]
    if facts["next"]:
        lines.append(f"More: {base}{facts['next']}")
    return _text(lines)


def refusal(refused: RegistryError, told: Mapping[str, object], address: str) -> str:
    """Return what somebody is told who may not have the page, or when there is none."""
    lines = [f"{told['message']}", f"{told['hint']}"]
    if isinstance(refused, SignInNeeded):
        lines.append(f"With your name: curl -u NAME {address}")
    return _text([each for each in lines if each])


def _pull(name: str, tag: Mapping[str, Any]) -> str:
    if tag["kind"] == "chart":
        return f"helm pull oci://{name} --version {tag['name']}"
    client = "docker" if tag["kind"] in ("image", "index") else "oras"
    return f"{client} pull {name}:{tag['name']}"


def _table(tags: list[Mapping[str, Any]], now: datetime) -> list[str]:
    rows = [("TAG", "IMAGE", "SIZE", "PUSHED")]
    for each in tags:
        at = words.since(each["at"], now) if each["at"] else "never"
        rows.append(
            (each["name"], words.short(each["digest"]), words.size(each["content_size"]), at)
        )
    width = min(max(len(row[0]) for row in rows), _MOST_TAG)
    made = []
    for tag, digest, size, at in rows:
        rest = f"{_GAP}{digest:<12}{_GAP}{size:>8}{_GAP}{at}"
        # A name is never cut, since it is there to be used: a long one has a line of its own.
        made += [f"{tag:<{width}}{rest}"] if len(tag) <= width else [tag, " " * width + rest]
    return made


def _quality(parameters: str) -> float:
    for each in parameters.split(";"):
        name, _, value = each.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def _clean(text: str) -> str:
    """Return a text of somebody else's without what would steer the terminal."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def _text(lines: list[str]) -> str:
    """Return lines as a text; whatever comes to be in one of them, it steers no terminal."""
    return "".join(f"{_clean(each)}\n" for each in lines)
