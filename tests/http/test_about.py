"""What repositories are about, over the API and on the command line."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from api import Api, problem
from cli import Person
from process import Server
from registry import Registry, Repository, unique

pytestmark = pytest.mark.metadata

README = "# Shop\r\n\n<script>alert(1)</script> größer\n\n"


@pytest.fixture
def shop(admin: Api, administrator: Registry) -> Repository:
    """Return a repository of an organisation, with an image in it."""
    found = administrator.repository(f"{admin.organisation()}/shop")
    found.push_image("latest")
    return found


def about(shop: Repository) -> str:
    return f"/repositories/{shop.name}/-/about"


def test_what_is_written_is_given_as_it_came(admin: Api, shop: Repository) -> None:
    first = admin.get(about(shop)).expect(200)
    assert first.json() == {
        "repository": shop.name,
        "description": "",
        "shown": "",
        "readme": "",
        "version": 0,
        "changed_at": None,
    }
    body = {"description": "Sells things", "readme": README}
    made = admin.put(about(shop), body, If_Match=first["ETag"]).expect(200)
    assert (made.json()["readme"], made.json()["version"]) == (README, 1)
    answer = admin.get(about(shop)).expect(200)
    assert answer.json() == made.json()
    assert answer["ETag"] == made["ETag"]
    admin.get(about(shop), If_None_Match=answer["ETag"]).expect(304)
    entries = admin.items(f"/audit?repository={shop.name}&event=repository.described")
    assert [each["detail"]["version"] for each in entries] == [1]


def test_the_second_of_two_is_told(admin: Api, shop: Repository) -> None:
    tag = admin.get(about(shop)).expect(200)["ETag"]
    admin.put(about(shop), {"description": "first"}, If_Match=tag).expect(200)
    problem(admin.put(about(shop), {"description": "second"}, If_Match=tag), 412, "DENIED")
    for bad in ('"x"', '"0", "1"', '"-1"', "W/"):
        answer = admin.put(about(shop), {"description": "second"}, If_Match=bad)
        problem(answer, 412, "DENIED")
    problem(admin.put(about(shop), {}, If_None_Match="*"), 412, "DENIED")
    assert admin.get(about(shop)).json()["description"] == "first"
    assert admin.put(about(shop), {}, If_Match="*").expect(200).json()["description"] == ""
    assert admin.put(about(shop), {"description": "x"}).expect(200).json()["version"] == 3


@pytest.mark.parametrize(
    "body",
    [
        {"description": "x" * 201},
        {"description": "two\nlines"},
        {"readme": "x" * 65_537},
        {"readme": "ß" * 32_769},
        {"readme": "\x00"},
        {"other": ""},
    ],
)
def test_what_can_t_be_is_refused(admin: Api, shop: Repository, body: dict[str, str]) -> None:
    problem(admin.put(about(shop), body), 422, "INVALID")
    assert admin.get(about(shop)).json()["version"] == 0
    admin.put(about(shop), {"description": "x" * 200, "readme": "x" * 65_536}).expect(200)


def test_readers_see_it_and_maintainers_write_it(admin: Api, administrator: Registry) -> None:
    reader, reading = admin.account()
    keeper, keeping = admin.account()
    _, stranger = admin.account()
    space = admin.organisation(**{reader: "reader", keeper: "maintainer"})
    shop = administrator.repository(f"{space}/shop")
    shop.push_image("latest")
    keeping.put(about(shop), {"description": "theirs"}).expect(200)
    assert reading.get(about(shop)).expect(200).json()["description"] == "theirs"
    problem(reading.put(about(shop), {}), 403, "DENIED")
    problem(stranger.get(about(shop)), 404, "NOT_FOUND")
    problem(stranger.put(about(shop), {}), 404, "NOT_FOUND")


def test_an_image_says_what_nobody_has(admin: Api, shop: Repository) -> None:
    word = unique("w")
    shop.push_image("old", annotations={"org.opencontainers.image.title": f"a {word}"})
    shop.push_image(
        "new", annotations={"org.opencontainers.image.description": f"the\n newest {word}"}
    )
    end = time.monotonic() + 20
    while admin.get(about(shop)).json()["shown"] != f"the newest {word}":
        assert time.monotonic() < end
        time.sleep(0.2)
    found = admin.items(f"/search?q=newest%20{word}&kind=repository")
    assert [(each["repository"], each["description"]) for each in found] == [
        (shop.name, f"the newest {word}")
    ]
    admin.put(about(shop), {"readme": f"written {word}"}).expect(200)
    assert admin.get(about(shop)).json()["shown"] == f"the newest {word}"
    admin.put(about(shop), {"description": "ours", "readme": f"written {word}"}).expect(200)
    assert admin.get(about(shop)).json()["shown"] == "ours"
    while not admin.items(f"/search?q=written%20{word}&kind=repository"):
        assert time.monotonic() < end
        time.sleep(0.2)
    assert admin.items(f"/search?q=newest%20{word}&kind=repository") == []


def test_the_commands(host: Person, opened: Server, tmp_path: Path) -> None:
    registry = Registry(opened.url)
    shop = registry.repository()
    shop.push_image("latest")
    file = tmp_path / "README.md"
    file.write_bytes(README.encode())
    host("repo", "readme", "push", shop.name, str(file))
    host("repo", "set", shop.name, "--description", "Sells things")
    shown = host("repo", "readme", "show", shop.name, "-o", "json").json()
    assert (shown["readme"], shown["version"]) == (README, 2)
    assert "Sells things" in host("repo", "show", shop.name).out
    host("repo", "readme", "push", shop.name, "-", given="other")
    assert host("repo", "readme", "show", shop.name).out == "other"
    host("repo", "readme", "clear", shop.name)
    shown = host("repo", "readme", "show", shop.name, "-o", "json").json()
    assert (shown["readme"], shown["description"]) == ("", "Sells things")
    file.write_bytes(b"\xff")
    assert host.run("repo", "readme", "push", shop.name, str(file)).code == 2
    file.write_bytes(b"x" * 65_537)
    assert "65,536" in host.run("repo", "readme", "push", shop.name, str(file)).err
    assert host.run("repo", "set", shop.name).code == 2
