"""What to look at: one's own on the first page, and the registry's for administrators."""

from __future__ import annotations

import json
import re

import pytest

from api import Api
from browser import Browser
from cast import PASSWORD, Cast
from paged import ask
from registry import unique

pytestmark = pytest.mark.metadata


def concerns(cast: Cast, who: str) -> list[dict[str, object]]:
    """Return what the first page tells somebody to look at."""
    found = json.loads(ask(cast, who, "/.json").expect(200).body)["concerns"]
    assert isinstance(found, list)
    return found


def test_a_token_that_ends_soon_is_told_to_whom_it_belongs(cast: Cast) -> None:
    api = Api(cast.server.url, ("owner", PASSWORD))
    soon, later, ever = unique("soon"), unique("later"), unique("ever")
    made = [
        api.post("/tokens", {"name": name, "days": days}).expect(201).json()["token"]["id"]
        for name, days in ((later, 30), (soon, 5), (ever, 0))
    ]
    told = {each["name"]: each for each in concerns(cast, "owner")}
    assert soon in told
    assert not {later, ever} & set(told)
    assert (told[soon]["kind"], told[soon]["page"]) == ("token", "/tokens")
    page = Browser(cast).sign_in("owner").get("/").body.decode()
    assert re.search(
        rf'<a href="/tokens">The token {soon} ends <time[^>]*>in \d d</time></a>', page
    )
    # A token that is confined to something is told nothing, though it is the owner's.
    for who in ("anonymous", "reader", "administrator", "scoped"):
        assert soon not in {each["name"] for each in concerns(cast, who)}
    for number in made:
        api.delete(f"/tokens/{number}").expect(204)


def test_the_settings_of_the_server_with_their_origins(cast: Cast) -> None:
    told = json.loads(ask(cast, "administrator", "/admin/registry.json").expect(200).body)
    found = {each["key"]: each for each in told["settings"]}
    assert found["workers"]["origin"] == "flag"
    assert found["url"] == {"key": "url", "value": '""', "origin": "default"}
    assert told["answers"] == {"database": True, "storage": True}
    text = ask(cast, "administrator", "/admin/registry").body.decode()
    changed, _, others = text.partition('<details class="fold block"><summary>')
    assert "<code>workers</code>" in changed
    assert "<code>trash_days</code>" in others
