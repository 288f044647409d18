"""Lists of tags and of repositories, page by page."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from registry import Registry, Repository, next_link, requirement, unique

TAGS = ["1", "10", "2", "A", "Z", "_x", "a", "a-b", "a.b", "a_b", "b", "latest"]
NOT_A_NUMBER = ["-1", "x", "1.5", "", "0x10", "%31%00", "1e3", "%C2%B2", "9" * 20, "9" * 5000]


@pytest.fixture(scope="module")
def tagged(registry: Registry) -> Repository:
    """Return a repository with TAGS."""
    repository = registry.repository()
    image = repository.push_image()
    for tag in reversed(TAGS):
        repository.push_manifest(image.raw, tag)
    return repository


@pytest.fixture(scope="module")
def names(registry: Registry) -> list[str]:
    """Return the names of seven repositories that stand together in the catalog."""
    prefix = unique()
    made = [f"{prefix}/{leaf}" for leaf in ("a", "a-b", "a.b", "a/b", "a_b", "b", "c")]
    for name in reversed(made):
        registry.repository(name).push_image("latest")
    return sorted(made)


def walk(registry: Registry, target: str | None, member: str) -> list[list[str]]:
    """Return the pages of a list, following every Link."""
    pages = []
    while target:
        answer = registry.get(target).expect(200)
        pages.append(answer.json()[member])
        target = next_link(answer)
    return pages


@requirement("end-8a")
def test_tags(tagged: Repository) -> None:
    """All tags come in ASCII order with the repository's name, in one page."""
    answer = tagged.registry.get(tagged.path("tags/list")).expect(200)
    assert answer.json() == {"name": tagged.name, "tags": sorted(TAGS)}
    assert answer["Content-Type"].startswith("application/json")
    assert answer.get("Link") is None


@requirement("end-8a")
def test_head(tagged: Repository) -> None:
    """HEAD of the list has the length of GET."""
    path = tagged.path("tags/list")
    length = tagged.registry.get(path)["Content-Length"]
    assert tagged.registry.head(path).expect(200)["Content-Length"] == length


@requirement("end-8b")
@pytest.mark.parametrize("count", [1, 2, 5, 11, 12, 13, 1000])
def test_pages(tagged: Repository, count: int) -> None:
    """Pages of `n` tags lead through all tags once."""
    pages = walk(tagged.registry, tagged.path(f"tags/list?n={count}"), "tags")
    assert [tag for page in pages for tag in page] == sorted(TAGS)
    assert all(len(page) == count for page in pages[:-1])


@requirement("end-8b", "Q-11")
def test_link(tagged: Repository) -> None:
    """The Link is relative, has `n` and `last`, and keeps the other parameters."""
    target = tagged.path("tags/list?n=2&ns=docker.io")
    link = next_link(tagged.registry.get(target))
    assert link is not None
    assert urlsplit(link).path == tagged.path("tags/list")
    query = parse_qs(urlsplit(link).query)
    assert query == {"n": ["2"], "last": [sorted(TAGS)[1]], "ns": ["docker.io"]}


@requirement("end-8b")
@pytest.mark.parametrize("last", ["0", "A", "AA", "a", "a-c", "b", "latest", "zzz", "~"])
@pytest.mark.parametrize("count", [None, 3])
def test_last(tagged: Repository, last: str, count: int | None) -> None:
    """`last` starts the list after that tag, whether or not there is one, with or without `n`."""
    limit = f"&n={count}" if count else ""
    answer = tagged.registry.get(tagged.path(f"tags/list?last={last}{limit}")).expect(200)
    assert answer.json()["tags"] == [tag for tag in sorted(TAGS) if tag > last][:count]


@requirement("end-8b")
def test_zero_tags(tagged: Repository) -> None:
    """`n=0` is an empty list without a Link."""
    answer = tagged.registry.get(tagged.path("tags/list?n=0")).expect(200)
    assert answer.json()["tags"] == []
    assert answer.get("Link") is None


@requirement("end-8b", "S-97", "S-102")
@pytest.mark.parametrize("number", NOT_A_NUMBER)
@pytest.mark.parametrize("path", ["{name}/tags/list", "_catalog"])
def test_not_a_number(tagged: Repository, path: str, number: str) -> None:
    """An `n` that is no count is 400 PAGINATION_NUMBER_INVALID."""
    target = f"/v2/{path.format(name=tagged.name)}?n={number}"
    if number.startswith("99"):
        tagged.registry.get(target).expect((200, 400))
    else:
        tagged.registry.get(target).expect(400, "PAGINATION_NUMBER_INVALID")


@requirement("end-8b", "S-97")
@pytest.mark.parametrize("number", ["1001", "1000000000"])
@pytest.mark.parametrize("path", ["{name}/tags/list", "_catalog"])
def test_huge_number(tagged: Repository, path: str, number: str) -> None:
    """An `n` beyond the greatest page is as good as the greatest page."""
    tagged.registry.get(f"/v2/{path.format(name=tagged.name)}?n={number}").expect(200)


@requirement("end-8a", "Q-16")
def test_no_tags(repository: Repository) -> None:
    """A repository without tags has an empty list, not null."""
    image = repository.push_image("latest")
    repository.registry.delete(repository.path("manifests/latest")).expect(202)
    answer = repository.registry.get(repository.path("tags/list")).expect(200)
    assert answer.json() == {"name": repository.name, "tags": []}
    assert repository.tagged(image.digest)


@requirement("end-8a", "Q-16")
def test_only_blobs(repository: Repository) -> None:
    """A repository that only has blobs is there, without tags."""
    repository.push_blob()
    assert repository.tags() == []


@requirement("end-8a")
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_unknown_repository(repository: Repository, method: str) -> None:
    """The tags of a repository that is not there are 404 NAME_UNKNOWN, kept by no cache."""
    answer = repository.registry.request(method, repository.path("tags/list"))
    assert answer.expect(404, "NAME_UNKNOWN")["Cache-Control"] == "no-store"


@requirement("end-8a")
def test_tags_follow_at_once(repository: Repository) -> None:
    """A tag is listed as soon as it is pushed, once, and gone as soon as it is deleted."""
    for tag in ("b", "a", "b"):
        repository.push_image(tag)
    assert repository.tags() == ["a", "b"]
    repository.registry.delete(repository.path("manifests/a")).expect(202)
    assert repository.tags() == ["b"]


@requirement("catalog")
def test_catalog(registry: Registry, names: list[str]) -> None:
    """The catalog lists repositories in ASCII order."""
    listed = [
        name for page in walk(registry, "/v2/_catalog?n=1000", "repositories") for name in page
    ]
    assert listed == sorted(set(listed))
    assert set(names) <= set(listed)


@requirement("catalog")
@pytest.mark.parametrize("count", [1, 3, 7])
def test_catalog_page(registry: Registry, names: list[str], count: int) -> None:
    """A page of the catalog starts after `last`, which need not be there."""
    before = names[0].partition("/")[0]
    answer = registry.get(f"/v2/_catalog?n={count}&last={before}/").expect(200)
    assert answer.json()["repositories"] == names[:count]
    answer = registry.get(f"/v2/_catalog?n=2&last={names[3]}").expect(200)
    assert answer.json()["repositories"] == names[4:6]


@requirement("catalog", "Q-11")
def test_catalog_link(registry: Registry, names: list[str]) -> None:
    """The catalog's Link is relative and goes on after the last name of the page."""
    link = next_link(registry.get(f"/v2/_catalog?n=2&last={names[0]}").expect(200))
    assert link is not None
    assert urlsplit(link).path == "/v2/_catalog"
    assert parse_qs(urlsplit(link).query) == {"n": ["2"], "last": [names[2]]}
    assert registry.get(link).expect(200).json()["repositories"] == names[3:5]


@requirement("catalog")
def test_catalog_of_nothing(registry: Registry) -> None:
    """`n=0` and a `last` beyond every name are empty lists without a Link."""
    for query in ("n=0", "last=zzzzzzzzzzzzzzzz", "n=5&last=~"):
        answer = registry.get(f"/v2/_catalog?{query}").expect(200)
        assert answer.json() == {"repositories": []}
        assert answer.get("Link") is None


@requirement("catalog")
def test_catalog_head(registry: Registry) -> None:
    """HEAD of the catalog answers."""
    registry.head("/v2/_catalog?n=1").expect(200)
