"""Search over the API, as docker asks for it, and on the command line; everybody finds his own."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from api import Api, problem
from cli import Person
from conftest import PASSWORD
from process import Server
from registry import Registry, unique

pytestmark = pytest.mark.metadata

PATIENCE = 20


def until(look: Callable[[], Any], wanted: Any) -> None:
    """Wait until the index has followed."""
    end = time.monotonic() + PATIENCE
    while (seen := look()) != wanted:
        assert time.monotonic() < end, (seen, wanted)
        time.sleep(0.2)


def hits(api: Api, text: str, more: str = "") -> list[tuple[str, str, str]]:
    """Return kind, match and repository of all that is found."""
    found = api.items(f"/search?q={quote(text)}{more}")
    return [(each["kind"], each["match"], each["repository"]) for each in found]


class Places:
    """A namespace with a repository of each visibility, whose words nothing else has."""

    def __init__(self, admin: Api, registry: Registry) -> None:
        self.word = unique("w")
        self.reader, self.reading = admin.account()
        self.guest, self.visiting = admin.account()
        self.stranger, self.passing = admin.account()
        self.namespace = admin.organisation(**{self.reader: "reader"})
        self.names = {}
        for visibility in ("public", "internal", "private"):
            name = f"{self.namespace}/{self.word}-{visibility}"
            repository = registry.repository(name)
            repository.push_image(f"t{self.word}", annotations={"of": f"label-{self.word}"})
            admin.patch(f"/repositories/{name}", {"visibility": visibility}).expect(200)
            self.names[visibility] = name
        path = f"/repositories/{self.names['private']}/-/grants/account/{self.guest}"
        admin.put(path, {"role": "reader"}).expect(200)
        self.everybody = Api(registry.url)
        # Three repositories, their tags and labels.
        until(lambda: len(hits(admin, self.word)), 9)

    def shown(self, *visibilities: str) -> set[str]:
        return {self.names[each] for each in visibilities}


@pytest.fixture(scope="module")
def places(admin: Api, administrator: Registry) -> Places:
    """Return them, found by their administrator."""
    return Places(admin, administrator)


@pytest.mark.parametrize("ask", ["", "&kind=repository", "&kind=tag", "&kind=label"])
def test_everybody_finds_what_he_may_read(places: Places, ask: str) -> None:
    for api, visibilities in (
        (places.everybody, ("public",)),
        (places.passing, ("public", "internal")),
        (places.visiting, ("public", "internal", "private")),
        (places.reading, ("public", "internal", "private")),
    ):
        found = hits(api, places.word, ask)
        assert {name for _, _, name in found} == places.shown(*visibilities)
        assert len(found) == len(visibilities) * (1 if ask else 3)


def test_exact_names_and_digests_are_not_told_to_strangers(places: Places, admin: Api) -> None:
    name = places.names["private"]
    digest = admin.items(f"/search?q=t{places.word}&kind=tag&limit=100")
    assert digest
    image = Registry(admin.url, ("admin", PASSWORD)).repository(name)
    of = image.tagged(f"t{places.word}")
    assert of is not None
    for text in (name, f"{name}:t{places.word}", of, of[7:19]):
        assert hits(admin, text), text
        assert hits(places.visiting, text), text
        for api in (places.everybody, places.passing):
            answer = api.get(f"/search?q={quote(text)}").expect(200)
            assert answer.json() == {"items": []}
            assert answer.get("Link") is None


def test_who_is_let_in_finds_and_who_is_put_out_does_not(places: Places, admin: Api) -> None:
    who, api = admin.account()
    grant = f"/namespaces/{places.namespace}/grants/account/{who}"
    assert places.names["private"] not in {name for *_, name in hits(api, places.word)}
    admin.put(grant, {"role": "reader"}).expect(200)
    assert places.names["private"] in {name for *_, name in hits(api, places.word)}
    admin.delete(grant).expect(204)
    assert places.names["private"] not in {name for *_, name in hits(api, places.word)}


def test_a_confined_token_finds_no_content_beyond_it(places: Places) -> None:
    asked = {
        "name": "confined",
        "scopes": [
            {"pattern": places.names["internal"], "actions": ["pull"]},
            {"pattern": "**", "actions": ["catalog"]},
        ],
    }
    made = places.reading.post("/tokens", asked).expect(201).json()
    api = Api(places.reading.url, (places.reader, made["secret"]))
    assert {name for *_, name in hits(api, places.word, "&kind=tag")} == places.shown("internal")
    names = {name for *_, name in hits(api, places.word, "&kind=repository")}
    assert names == places.shown("public", "internal", "private")


def test_what_is_asked_is_checked(admin: Api) -> None:
    problem(admin.get("/search?q=x&kind=unknown"), 422, "INVALID")
    problem(admin.get("/search?q=x&limit=0"), 422, "INVALID")
    problem(admin.get("/search?q=x&after=y"), 422, "INVALID")
    problem(admin.get("/search?q="), 422, "INVALID")
    assert admin.get("/search").expect(200).json() == {"items": []}


def test_docker_search(places: Places, administrator: Registry, administered: Registry) -> None:
    for registry, count in ((administrator, 3), (Registry(administered.url), 1)):
        answer = registry.get(f"/v1/search?q={places.word}&n=25").expect(200).json()
        assert answer["num_results"] == count == len(answer["results"])
        assert answer["query"] == places.word
        assert (
            answer["results"][0]
            == {
                "name": places.names["public"],
                "description": "",
                "star_count": 0,
                "is_official": False,
                "is_automated": False,
            }
            or count == 3
        )
    found = administrator.get(f"/v1/search?q={places.word}&n=2").expect(200).json()
    assert found["num_results"] == 2
    refused = Registry(administered.url, ("admin", "wrong"))
    assert refused.get("/v1/search?q=x").expect(401)["WWW-Authenticate"]


def test_the_command(host: Person, opened: Server) -> None:
    registry = Registry(opened.url)
    assert host("search", "nothing").out == "There are none.\n"
    shop = registry.repository("web/shop")
    image = shop.push_image("1.4", annotations={"org.example.flavour": "vanilla"})

    def look() -> Any:
        return host("search", "vanilla", "-o", "json").json()

    wanted = {
        "kind": "label",
        "match": "part",
        "repository": "web/shop",
        "tags": ["1.4"],
        "digest": image.digest,
        "label": "org.example.flavour=vanilla",
    }
    until(look, [wanted])
    table = host("search", "vanilla").out.splitlines()
    assert table[0].split() == ["KIND", "WHERE", "DIGEST", "WHAT"]
    assert table[1].split()[:2] == ["label", "web/shop:1.4"]
    assert (
        host("search", "--kind", "tag", "1.4", "-o", "plain").out.split("\t")[1] == "web/shop:1.4"
    )
    assert host("search", "web/shop", "-o", "jsonl").out.count("\n") == 1
    # Without signing in, on this machine: as everything else in local mode.
    found = registry.get("/v1/search?q=shop").expect(200).json()
    assert [each["name"] for each in found["results"]] == ["web/shop"]
