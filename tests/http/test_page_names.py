"""Repositories and tags whose names end as the addresses of twins do have pages all the same."""

from __future__ import annotations

import html
import re

import pytest

from browser import HTML, Browser
from cast import Cast
from registry import Answer, unique

pytestmark = pytest.mark.metadata


def told(answer: Answer) -> str:
    """Return an answer without what is new in each."""
    ids = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
    text = ids.sub("ID", answer.body.decode().replace(answer["X-Request-Id"], "ID"))
    return f"{answer.status} {answer['Content-Type']} {text}"


def test_a_repository_has_its_page_whatever_its_name_ends_in(cast: Cast, owner: Browser) -> None:
    there = cast.asked_by["owner"].repository(f"acme/{unique()}.json")
    there.push_image("1.0")
    there.push_image("2.0")
    place = f"/r/{there.name}"
    page = owner.get(place).expect(200)
    assert page["Content-Type"].startswith("text/html")
    text = page.body.decode()
    assert f"<title>{there.name}" in text
    links = re.findall(rf'href="({re.escape(place)}[^"]*)"', text)
    assert {owner.get(each).status for each in links} == {200}
    assert owner.get(f"{place}.json").expect(200).json()["repository"] == there.name
    plain = cast.asked_by["owner"].get(place, {"Accept": "*/*"}).expect(200)
    assert plain["Content-Type"].startswith("text/plain")
    assert plain.body.decode().startswith(there.name)
    assert owner.post(place, {"do": "delete-tag", "tag": "2.0"}).status == 303
    assert there.tags() == ["1.0"]


def test_the_whole_name_comes_before_the_twin_of_another(cast: Cast, owner: Browser) -> None:
    other = cast.asked_by["owner"].repository(f"acme/{unique()}")
    other.push_image("1.0")
    place = f"/r/{other.name}"
    assert owner.get(f"{place}.json").expect(200).json()["repository"] == other.name
    there = cast.asked_by["owner"].repository(f"{other.name}.json")
    there.push_image("2.0")
    assert f"<title>{there.name}" in owner.get(f"{place}.json").expect(200).body.decode()
    alternate = r'<link rel="alternate" type="application/json" href="([^"]*)"'
    for repository in (other, there):
        found = re.search(alternate, owner.get(f"/r/{repository.name}?sort=name").body.decode())
        assert found is not None
        assert owner.get(found[1]).expect(200).json()["repository"] == repository.name
        assert found[1].endswith("?sort=name")


@pytest.mark.parametrize("who", ["anonymous", "stranger"])
def test_nobody_learns_by_it_that_there_is_one_that_he_may_not_read(cast: Cast, who: str) -> None:
    here = cast.asked_by["administrator"]
    twin_of_public = "/r/acme/public.json"
    hidden = f"acme/{unique()}.json"
    asked = [twin_of_public, f"/r/{hidden}", f"{twin_of_public}.json", f"/r/{hidden}.json"]
    ways = ([HTML], [("Accept", "*/*")], [("Accept", "application/json")])

    def answers() -> list[str]:
        by = cast.asked_by[who]
        return [told(by.request("GET", path, way)) for path in asked for way in ways]

    before = answers()
    assert before[0].startswith("200 application/json")
    for name in ("acme/public.json", hidden):
        here.repository(name).push_image("latest")
    assert answers() == before
    here.delete("/api/v1/repositories/acme/public.json").expect(204)


def test_a_comparison_with_a_tag_whose_name_ends_so(cast: Cast, owner: Browser) -> None:
    there = cast.asked_by["owner"].repository(f"acme/{unique()}")
    for tag in ("1.0", "2.0.json"):
        there.push_image(tag)
    for a, b in (("1.0", "2.0.json"), ("2.0.json", "1.0")):
        picked = owner.get(f"/r/{there.name}/-/compare?a={a}&b={b}").expect(303)["Location"]
        page = owner.get(picked).expect(200).body.decode()
        assert f"<title>{a} and {b} of {there.name}" in page
        twin = owner.get(f"{picked}.json").expect(200).json()
        assert (twin["from"], twin["to"]) == (a, b)
        assert owner.get(twin["swap"]).expect(200)["Content-Type"].startswith("text/html")


def test_what_people_make_has_its_page_whatever_its_name_ends_in(cast: Cast) -> None:
    browser = Browser(cast).sign_in("administrator")
    namespace = f"{unique()}.json"
    made = browser.post("/n", {"do": "create", "name": namespace, "visibility": "private"}).expect(
        303
    )["Location"]
    base = f"/n/{namespace}/-"
    browser.get(made)
    teams = browser.post(f"{base}/teams", {"do": "create", "name": "dev.json"})
    robots = browser.post(f"{base}/robots", {"do": "create", "name": "ci.json"})
    repository = cast.asked_by["administrator"].repository(f"{namespace}/shop")
    repository.push_image("1.0")
    pages = [made, teams.expect(303)["Location"], robots.expect(303)["Location"]]
    for place in (*pages, f"{base}/storage", f"/r/{repository.name}/-/settings"):
        page = browser.get(place).expect(200)
        assert page["Content-Type"].startswith("text/html"), place
        text = page.body.decode()
        own = rf'(?:href|action)="(/n/{re.escape(namespace.removesuffix(".json"))}[^"]*)"'
        links = {html.unescape(each) for each in re.findall(own, text)}
        twins = re.findall(r'type="application/json" href="([^"]*)"', text)
        assert links, place
        for link in links - set(twins):
            there = browser.get(link).expect(200)
            assert there["Content-Type"].startswith("text/html"), (place, link)
        for twin in twins:
            assert browser.get(twin).expect(200)["Content-Type"].startswith("application/json")
    for place in pages:
        told = browser.get(f"{place.partition('?')[0]}.json").expect(200).json()
        assert browser.get(told["page"]).expect(200)["Content-Type"].startswith("text/html")
