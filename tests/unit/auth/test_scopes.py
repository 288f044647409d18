"""The grammar of what the token service is asked for."""

import pytest

from moorage.auth.scopes import Asked, parse_asked


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        ([], []),
        ([""], []),
        (["repository:a/b:pull"], [("repository", "a/b", {"pull"})]),
        (["repository:a/b:push,pull"], [("repository", "a/b", {"pull", "push"})]),
        (["repository(plugin):a/b:pull"], [("repository", "a/b", {"pull"})]),
        (["repository:h.example:5000/a/b:pull"], [("repository", "h.example:5000/a/b", {"pull"})]),
        (["registry:catalog:*"], [("registry", "catalog", {"*"})]),
        (["repository:a:"], [("repository", "a", set())]),
        (["repository:a:,pull,,"], [("repository", "a", {"pull"})]),
        (
            ["repository:a:pull repository:b:pull,push", "repository:c:*"],
            [
                ("repository", "a", {"pull"}),
                ("repository", "b", {"pull", "push"}),
                ("repository", "c", {"*"}),
            ],
        ),
        (
            ["repository:a:pull", "repository:b:pull", "repository:a:push"],
            [("repository", "a", {"pull", "push"}), ("repository", "b", {"pull"})],
        ),
        (["nonsense", "repository:", "repository::pull", ":a:pull", "repository:a"], []),
        (["repository:a:PULL"], []),
        (["  repository:a:pull  "], [("repository", "a", {"pull"})]),
        (["repository:" + "a" * 600 + ":pull"], []),
    ],
)
def test_scopes(texts: list[str], found: list[tuple[str, str, set[str]]]) -> None:
    wanted = [Asked(kind, name, frozenset(actions)) for kind, name, actions in found]
    assert parse_asked(texts) == wanted


def test_no_more_than_fifty_are_looked_at() -> None:
    assert len(parse_asked([" ".join(f"repository:a{n}:pull" for n in range(500))])) == 50
