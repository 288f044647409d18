"""Where the links of lists lead: what was deleted or has another name since is told so."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

import pytest

from browser import Browser
from cast import Cast
from registry import Repository, index_document, unique

pytestmark = pytest.mark.metadata


def row_of(page: str, name: str) -> str:
    """Return the row of a page's first table that is about the repository."""
    found = [
        each for each in re.findall(r"<tr[ >].*?</tr>", page, re.DOTALL) if f">{name}<" in each
    ]
    assert found, name
    return found[0]


def links(markup: str) -> list[str]:
    """Return where the links of some markup lead."""
    return re.findall(r'href="(/[^"]*)"', markup)


def test_a_push_whose_image_was_deleted_says_so_and_leads_to_its_history(
    cast: Cast, owner: Browser
) -> None:
    there = cast.asked_by["owner"].repository(f"acme/{unique()}")
    digest = there.push_image("1.0").digest
    kept = row_of(owner.get("/").body.decode(), there.name)
    assert "deleted" not in kept
    assert f"/r/{there.name}/-/d/{digest}" in kept
    cast.asked_by["owner"].delete(there.path(f"manifests/{digest}")).expect(202)
    row = row_of(owner.get("/").body.decode(), there.name)
    assert ">deleted<" in row
    assert f"/r/{there.name}/-/history?tag=1.0" in links(row)
    assert {owner.get(each).status for each in links(row)} == {200}
    pushed = owner.get("/.json").json()["recent"]
    [told] = [each for each in pushed if each["repository"] == there.name]
    assert (told["is_deleted"], told["image"]) == (True, "")
    history = owner.get(f"/r/{there.name}/-/history?tag=1.0").body.decode()
    assert "Restore this" in history


def test_a_push_that_was_restored_is_there_again(cast: Cast, owner: Browser) -> None:
    there = cast.asked_by["owner"].repository(f"acme/{unique()}")
    digest = there.push_image("1.0").digest
    cast.asked_by["owner"].delete(there.path(f"manifests/{digest}")).expect(202)
    owner.get(f"/r/{there.name}/-/settings")
    restored = owner.post(f"/r/{there.name}/-/settings", {"do": "restore", "digest": digest})
    assert restored.status == 303
    row = row_of(owner.get("/").body.decode(), there.name)
    assert "deleted" not in row
    assert {owner.get(each).status for each in links(row)} == {200}


def test_pushes_of_a_repository_that_went_are_not_those_of_its_successor(
    cast: Cast, owner: Browser
) -> None:
    there = cast.asked_by["owner"].repository(f"acme/{unique()}")
    before = there.push_image("old").digest
    owner.get(f"/r/{there.name}/-/settings")
    gone = owner.post(f"/r/{there.name}/-/settings", {"do": "delete", "name": there.name})
    assert gone.status == 303
    there.push_image("new")
    page = owner.get("/").body.decode()
    assert before not in page
    assert {owner.get(each).status for each in links(row_of(page, there.name))} == {200}


def heading(page: str) -> str:
    """Return the text of a page's first heading, with its spaces as one."""
    found = re.search(r"<h1>(.*?)</h1>", page, re.DOTALL)
    assert found is not None
    return " ".join(re.sub(r"<[^>]*>", "", found[1]).split())


def test_a_comparison_of_digests_names_their_tags(cast: Cast, owner: Browser) -> None:
    there = cast.asked_by["owner"].repository(f"acme/{unique()}")
    one, other, third = (there.push_image(tag).digest for tag in ("1.0", "1.1", "old"))
    for tag in ("latest", "stable"):
        there.push_manifest(there.registry.get(there.path(f"manifests/{other}")).json(), tag)
    there.registry.delete(there.path("manifests/old")).expect(202)
    short_one, short_other, short_third = (each[7:19] for each in (one, other, third))
    place = f"/r/{there.name}/-/compare"
    page = owner.get(f"{place}/{one}...{other}").body.decode()
    named = f"Compare 1.0 {short_one} and 1.1, latest +1 {short_other}"
    assert heading(page) == named
    assert f"<title>1.0 and 1.1, latest +1 of {there.name}" in page
    assert f'value="{other}"' in page
    page = owner.get(f"{place}/{third}...{short_one}").body.decode()
    assert heading(page) == f"Compare {short_third} and 1.0 {short_one}"
    page = owner.get(f"{place}/1.0...latest").body.decode()
    assert heading(page) == f"Compare 1.0 {short_one} and latest {short_other}"
    twin = owner.get(f"{place}/{one}...{other}.json").json()
    assert (twin["a"]["name"], twin["b"]["name"]) == ("1.0", "1.1, latest +1")
    assert twin["b"]["tags"] == ["1.1", "latest", "stable"]


def test_a_comparison_with_another_repository_names_it(cast: Cast, owner: Browser) -> None:
    here, there = (cast.asked_by["owner"].repository(f"acme/{unique()}") for _ in "ab")
    here.push_image("1.0")
    digest = there.push_image("2.0").digest
    page = owner.get(
        f"/r/{here.name}/-/compare/1.0...{quote(there.name, safe='')}@{digest}"
    ).body.decode()
    assert f"and {there.name}:2.0 {digest[7:19]}" in heading(page)


def test_a_comparison_is_swapped_and_copied_wherever_its_sides_are(
    cast: Cast, owner: Browser
) -> None:
    here, there = (cast.asked_by["owner"].repository(f"acme/{unique()}") for _ in "ab")
    labels = {"org.opencontainers.image.source": "https://gitlab.example/acme/shop"}
    for each, commit in ((here, "a" * 40), (there, "b" * 40)):
        told = {**labels, "org.opencontainers.image.revision": commit}
        each.push_image("1.0", annotations=told)
    names = [quote(each.name, safe="") for each in (here, there)]
    place = f"/r/{here.name}/-/compare/1.0...{names[1]}:1.0"
    facts = owner.get(f"{place}.json").expect(200).json()
    assert facts["swap"] == f"/r/{there.name}/-/compare/1.0...{names[0]}:1.0"
    back = owner.get(f"{facts['swap']}.json").expect(200).json()
    assert back["swap"] == place
    for one, other in (("a", "b"), ("b", "a")):
        assert back[one]["image"] == facts[other]["image"]
    digest = there.tagged("1.0")
    swapped = owner.get(f"/r/{here.name}/-/compare/1.0...{names[1]}@{digest}.json").json()["swap"]
    assert swapped == f"/r/{there.name}/-/compare/{digest}...{names[0]}:1.0"
    page = owner.get(place).body.decode()
    commits = f"https://gitlab.example/acme/shop/-/compare/{'a' * 40}...{'b' * 40}"
    assert f'<a href="{commits}" rel="nofollow noopener noreferrer">' in page
    assert f"`{here.name}@{facts['a']['digest'][:19]}` → `{there.name}@" in facts["markdown"]
    assert "| annotations `org.opencontainers.image.revision` |" in page


def test_a_comparison_of_one_platform_names_the_tags_of_the_indexes(
    cast: Cast, owner: Browser
) -> None:
    there = cast.asked_by["owner"].repository(f"acme/{unique()}")
    digests = []
    for tag in ("1.0", "2.0"):
        platform = {"os": "linux", "architecture": "amd64"}
        part = there.push_image()
        index = index_document([part.descriptor(platform=platform)])
        digests.append(there.push_manifest(index, tag).digest)
    pair = "...".join(digests)
    page = owner.get(f"/r/{there.name}/-/compare/{pair}?platform=linux/amd64").body.decode()
    assert re.fullmatch(r"Compare 1\.0 [0-9a-f]{12} and 2\.0 [0-9a-f]{12}", heading(page))


def test_storage_is_drawn_and_the_table_stays(cast: Cast, owner: Browser) -> None:
    administrator = Browser(cast).sign_in("administrator")
    names = [f"acme/{unique()}" for _ in "ab"]
    for name in names:
        cast.asked_by["owner"].repository(name).push_image("1.0")
    cast.asked_by["administrator"].repository("secret/x").push_image("1.0")
    page = owner.get("/n/acme/-/storage").body.decode()
    drawn = re.search(r'<svg class="treemap".*?</svg>', page, re.DOTALL)
    assert drawn is not None
    assert 'aria-hidden="true"' in drawn[0]
    assert 1 < drawn[0].count("<rect") <= 16
    assert drawn[0].count("<a ") == drawn[0].count('tabindex="-1"')
    table = page.partition("<table")[2]
    assert all(f'href="/r/{name}"' in table for name in names)
    whole = administrator.get("/storage").body.decode()
    assert '<a href="/n/acme/-/storage" tabindex="-1">' in whole
    assert {owner.get(each).status for each in links(drawn[0])} == {200}
    twin = owner.get("/n/acme/-/storage.json").json()
    assert sum(each["bytes"] for each in twin["treemap"]) == sum(
        each["bytes"] for each in twin["repositories"]
    )


def deleted(there: Repository, digest: str) -> None:
    """Delete a manifest by its digest."""
    there.registry.delete(there.path(f"manifests/{digest}")).expect(202)


def test_history_leads_to_no_image_that_was_deleted(cast: Cast, owner: Browser) -> None:
    there = cast.asked_by["owner"].repository(f"acme/{unique()}")
    gone, kept, last = (there.push_image("latest").digest for _ in "abc")
    place = f"/r/{there.name}/-/history"
    moves = owner.get(f"{place}.json?tag=latest").json()["moves"]
    assert [bool(each["compare"]) for each in moves] == [True, True, False]
    deleted(there, gone)
    page = owner.get(f"{place}?tag=latest").body.decode()
    timeline = page.partition('<ol class="timeline">')[2].partition("</ol>")[0]
    assert {owner.get(each).status for each in links(timeline)} == {200}
    assert gone not in " ".join(links(timeline))
    assert timeline.count(f'<span class="digest" title="{gone}">') == 2
    assert timeline.count(">deleted<") == 2
    moves = owner.get(f"{place}.json?tag=latest").json()["moves"]
    told = [
        (each["before_is_deleted"], each["after_is_deleted"], bool(each["compare"]))
        for each in moves
    ]
    assert told == [(False, False, True), (True, False, False), (False, True, False)]
    assert (moves[1]["before_image"], moves[2]["after_image"]) == ("", "")
    assert kept in moves[1]["after_image"]
    assert last in moves[0]["after_image"]


def test_all_tags_as_they_were_lead_to_no_image_that_was_deleted(
    cast: Cast, owner: Browser
) -> None:
    there = cast.asked_by["owner"].repository(f"acme/{unique()}")
    gone, _ = there.push_image("1.0").digest, there.push_image("2.0")
    time.sleep(0.01)
    then = datetime.now(UTC).isoformat()
    time.sleep(0.01)
    deleted(there, gone)
    query = urlencode({"at": then})
    page = owner.get(f"/r/{there.name}/-/history?{query}").body.decode()
    table = page.partition("<tbody>")[2].partition("</tbody>")[0]
    assert {owner.get(each).status for each in links(table)} == {200}
    assert f'<span class="digest" title="{gone}">' in table
    assert table.count(">deleted<") == 1
    states = owner.get(f"/r/{there.name}/-/history.json?{query}").json()["states"]
    assert [(each["name"], each["is_deleted"]) for each in states] == [
        ("1.0", True),
        ("2.0", False),
    ]


def test_tags_that_were_deleted_are_listed_and_brought_back(cast: Cast, owner: Browser) -> None:
    there = cast.asked_by["owner"].repository(f"acme/{unique()}")
    first = there.push_image("1.0")
    there.push_image("2.0")
    place = f"/r/{there.name}/-/history"
    assert "No tag was deleted" in owner.get(f"{place}?deleted=1").body.decode()
    assert f'href="{place}?deleted=1"' in owner.get(place).body.decode()
    owner.get(f"/r/{there.name}")
    assert owner.post(f"/r/{there.name}", {"do": "delete-tag", "tag": "1.0"}).status == 303
    deleted(there, there.tagged("2.0") or "")
    [one, two] = owner.get(f"{place}.json?deleted=1").json()["ended"]
    assert (one["name"], one["digest"], one["version"]) == ("1.0", first.digest, 1)
    assert (two["name"], two["is_deleted"], two["image"]) == ("2.0", True, "")
    page = owner.get(f"{place}?deleted=1").body.decode()
    assert page.count(">Undelete<") == 2
    for each in (one, two):
        fields = {"do": "restore", "tag": each["name"], "version": str(each["version"])}
        assert owner.post(place, fields).status == 303
        assert there.tagged(each["name"]) == each["digest"]
    writer = Browser(cast).sign_in("writer")
    deleted(there, first.digest)
    assert ">Undelete<" not in writer.get(f"{place}?deleted=1").body.decode()


def test_tags_as_they_were_are_told_with_what_they_are_now(cast: Cast, owner: Browser) -> None:
    there = cast.asked_by["owner"].repository(f"acme/{unique()}")
    moved, _ = there.push_image("moved"), there.push_image("gone")
    same = there.push_image("same")
    time.sleep(0.01)
    then = datetime.now(UTC).isoformat()
    time.sleep(0.01)
    other = there.push_image("moved")
    assert there.registry.delete(there.path("manifests/gone")).status == 202
    place = f"/r/{there.name}/-/history?{urlencode({'at': then})}"
    states = owner.get(place.replace("history?", "history.json?")).json()["states"]
    assert [(each["name"], each["is_as_then"], each["now"]) for each in states] == [
        ("gone", False, None),
        ("moved", False, other.digest),
        ("same", True, same.digest),
    ]
    page = owner.get(place).body.decode()
    assert {owner.get(each).status for each in links(page) if "/compare/" in each} == {200}
    assert page.count(">Restore<") == 2
    fields = {"do": "restore", "tag": "moved", "version": str(states[1]["version"])}
    assert owner.post(f"/r/{there.name}/-/history", fields).status == 303
    assert there.tagged("moved") == moved.digest


def test_only_who_may_bring_an_image_back_is_asked_to(cast: Cast) -> None:
    there = cast.asked_by["owner"].repository(f"acme/{unique()}")
    gone = there.push_image("latest").digest
    there.push_image("latest")
    place = f"/r/{there.name}/-/history?tag=latest"
    for who, before, after in (("maintainer", True, True), ("writer", True, False)):
        browser = Browser(cast).sign_in(who)
        assert ("Restore this" in browser.get(place).body.decode()) is before
        deleted(there, gone)
        assert ("Restore this" in browser.get(place).body.decode()) is after
        there.registry.post(f"/api/v1/repositories/{there.name}/-/manifests/{gone}/restore").expect(
            200
        )


def test_what_an_image_belongs_to_is_a_link_only_while_it_is_there(
    cast: Cast, owner: Browser
) -> None:
    there = cast.asked_by["owner"].repository(f"acme/{unique()}")
    image = there.push_image("1.0")
    attached = there.push_manifest(there.new_image(subject=image.descriptor()))
    place = f"/r/{there.name}/-/d/{attached.digest}"
    assert image.digest in owner.get(f"{place}.json").json()["subject_image"]
    deleted(there, image.digest)
    facts = owner.get(f"{place}.json").json()
    assert (facts["subject"], facts["subject_image"]) == (image.digest, "")
    page = owner.get(place).body.decode()
    assert "not here" in page.partition("Belongs to")[2].partition("</dl>")[0]


def test_what_an_index_lists_is_a_link_only_while_it_is_there(cast: Cast, owner: Browser) -> None:
    there = cast.asked_by["owner"].repository(f"acme/{unique()}")
    platform = {"os": "linux", "architecture": "amd64"}
    parts = [there.push_image() for _ in "ab"]
    one, other = (
        there.push_manifest(index_document([each.descriptor(platform=platform)]), tag)
        for each, tag in zip(parts, ("1.0", "2.0"), strict=True)
    )
    compared = f"/r/{there.name}/-/compare/{one.digest}...{other.digest}.json"
    assert owner.get(compared).json()["platforms"][0]["compare"]
    deleted(there, parts[0].digest)
    [told] = owner.get(f"/r/{there.name}/-/d/{one.digest}.json").json()["platforms"]
    assert (told["digest"], told["is_here"]) == (parts[0].digest, False)
    page = owner.get(f"/r/{there.name}/-/d/{one.digest}").body.decode()
    assert parts[0].digest not in " ".join(links(page))
    assert owner.get(compared).json()["platforms"][0]["compare"] == ""


def test_a_tag_that_went_by_itself_leads_to_no_image(owner: Browser, cast: Cast) -> None:
    there = cast.asked_by["owner"].repository(f"acme/{unique()}")
    gone = there.push_image("1.0").digest
    there.push_image("2.0")
    place = f"/r/{there.name}/-/delete-tags"
    owner.get(f"{place}?tag=1.0&tag=2.0")
    deleted(there, gone)
    chosen = [f"1.0@{gone}", f"2.0@{there.tagged('2.0')}"]
    done = owner.post(place, {"do": "delete", "tag": chosen}).expect(200).body.decode()
    assert "not there any more" in done
    assert f"/-/d/{gone}" not in done
