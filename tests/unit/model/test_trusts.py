"""Rules on claims: what they match, what they never match, and which are refused."""

import time
from typing import Any

import pytest

from moorage.model import presets
from moorage.model.trusts import (
    Rule,
    RuleRefused,
    Trust,
    check_rules,
    pins_of,
    shown_claims,
)


def trust(*rules: Rule, audience: str = "https://registry.example") -> Trust:
    """Return a trust with these rules."""
    return Trust(1, 1, "web", "ci", 1, 7, "web+ci", 9, audience, rules, None, enabled=True)


@pytest.mark.requirement("S-32")
@pytest.mark.parametrize(
    ("pattern", "value", "holds"),
    [
        ("acme/shop", "acme/shop", True),
        ("acme/shop", "acme/shop-evil", False),
        ("acme/shop", "evil/acme/shop", False),
        ("acme/shop", "acme/shop\n", False),
        ("acme/shop", "ACME/shop", False),
        ("acme.shop", "acmexshop", False),
        ("acme/*", "acme/shop", True),
        ("acme/*", "acme/", False),
        ("acme/*", "acme/shop/evil", False),
        ("acme/*", "acme-evil/shop", False),
        ("acme/*", "acme/a:b", False),
        ("acme/*", "acme/a b", False),
        ("acme/*", "acme/a\n", False),
        ("acme/*", "acme/é", False),
        ("acme/s*p", "acme/shop", True),
        ("acme/s*p", "acme/sp", False),
        ("acme/s*p*p", "acme/shoppp", True),
        ("acme/s*a*p", "acme/sap", False),
        ("acme/s*a*p", "acme/saaap", True),
        ("refs/heads/release-*", "refs/heads/release-1", True),
        ("refs/heads/release-*", "refs/heads/release-1/evil", False),
        ("refs/heads/release-*", "refs/tags/release-1", False),
        ("repo:acme/*:ref:refs/heads/main", "repo:acme/shop:ref:refs/heads/main", True),
        ("repo:acme/*:ref:refs/heads/main", "repo:acme/x:y:ref:refs/heads/main", False),
        ("repo:acme/*:ref:refs/heads/main", "repo:acme/shop/ref:refs/heads/main", False),
        ("a/b", "a:b", False),
        ("*-a/b", "x-a:b", False),
        (".*", "anything", False),
        ("[a-z]*", "a", False),
        ("true", True, True),
        ("true", "true", True),
        ("True", True, False),
        ("false", False, True),
        ("1", True, False),
        ("123", 123, True),
        ("123", 123.0, False),
        ("123", ["123"], False),
        ("123", {"123": 1}, False),
        ("None", None, False),
    ],
)
def test_matching(pattern: str, value: Any, holds: bool) -> None:
    assert Rule("x", (pattern,)).holds({"x": value}) is holds
    assert Rule("x", ("other", pattern)).holds({"x": value}) is holds
    assert not Rule("x", (pattern,)).holds({})


def test_matching_takes_no_time() -> None:
    """Many stars against many letters: what keeps a backtracking matcher busy for ever."""
    began = time.monotonic()
    assert not Rule("x", ("a*" * 200 + "b",)).holds({"x": "a" * 8_000 + "c"})
    assert time.monotonic() - began < 0.5


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ((), "from 1 to 20"),
        (tuple(Rule(f"c{n}", ("a",)) for n in range(21)), "from 1 to 20"),
        ((Rule("a", ("x",)), Rule("a", ("y",))), "two rules"),
        ((Rule("a", ()),), "patterns"),
        ((Rule("a", ("x",) * 21),), "patterns"),
        ((Rule("", ("x",)),), "name of a claim"),
        ((Rule("a b", ("x",)),), "name of a claim"),
        ((Rule("aud", ("x",)),), "looked at anyway"),
        ((Rule("iss", ("x",)),), "looked at anyway"),
        ((Rule("a", ("",)),), "printable"),
        ((Rule("a", ("x\n",)),), "printable"),
        ((Rule("a", (" x",)),), "printable"),
        ((Rule("a", ("é",)),), "printable"),
        ((Rule("a", ("x" * 513,)),), "printable"),
        ((Rule("a", ("*",)),), "alone"),
        ((Rule("a", ("*/*",)),), "alone"),
        (
            (
                Rule(
                    "a",
                    ("ok", "*:*"),
                ),
            ),
            "alone",
        ),
        ((Rule("a", ("acme/**",)),), "no meaning"),
    ],
)
def test_rules_that_say_too_little(rules: tuple[Rule, ...], told: str) -> None:
    with pytest.raises(RuleRefused, match=told):
        check_rules(rules, ())


@pytest.mark.parametrize(
    ("kind", "pin"), [("github", "repository_id"), ("gitlab", "project_id"), ("generic", "sub")]
)
def test_where_strangers_are_too_an_immutable_id_is_named(kind: str, pin: str) -> None:
    pins = pins_of(kind, shared=True)
    assert pins == (pin,)
    for rules in (
        (Rule("repository", ("acme/shop",)),),
        (Rule("repository_owner", ("acme",)), Rule("repository", ("acme/*",))),
        (Rule(pin, ("12*",)),),
        (Rule(pin, ("12", "1*")),),
    ):
        with pytest.raises(RuleRefused, match=pin):
            check_rules(rules, pins)
    check_rules((Rule(pin, ("12", "13")),), pins)
    check_rules((Rule("repository", ("acme/*",)),), pins_of(kind, shared=False))


@pytest.mark.requirement("S-26")
@pytest.mark.parametrize(
    ("audience", "holds"),
    [
        ("https://registry.example", True),
        (["https://registry.example"], True),
        (["https://registry.example", "https://other.example"], False),
        (["https://registry.example", "https://registry.example"], False),
        ([], False),
        ("https://registry.example/", False),
        ("https://registry.example.evil", False),
        ("https://other.example", False),
        ("", False),
        (None, False),
        (True, False),
        ({"https://registry.example": 1}, False),
        ([["https://registry.example"]], False),
    ],
)
def test_the_audience(audience: Any, holds: bool) -> None:
    assert trust(Rule("sub", ("x",))).is_for(audience) is holds


GITHUB = {
    "sub": "repo:acme/shop:ref:refs/heads/main",
    "aud": "https://registry.example",
    "repository": "acme/shop",
    "repository_id": "1296269",
    "repository_owner_id": "42",
    "ref": "refs/heads/main",
    "event_name": "push",
    "environment": "production",
}


@pytest.mark.requirement("S-32")
@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, ""),
        ({"ref": "refs/heads/dev"}, "this trust only allows branch main"),
        ({"ref": "refs/heads/main-evil"}, "branch main"),
        ({"ref": "refs/tags/main"}, "branch main"),
        ({"repository": "acme/shop-evil"}, "repository acme/shop"),
        ({"repository_id": "1"}, "repository_id 1296269"),
        ({"environment": "staging"}, "environment production"),
        ({"environment": None}, "it has no environment"),
        ({"event_name": "pull_request"}, "event_name push"),
        ({"event_name": "pull_request_target"}, "event_name push"),
        ({"event_name": "workflow_run"}, "event_name push"),
        ({"aud": "https://other.example"}, "this trust only allows https://registry.example"),
    ],
)
def test_github(changes: dict[str, Any], told: str) -> None:
    rules = presets.github("acme/shop", "1296269", branch="main", environment="production")
    check_rules(rules, pins_of("github", shared=True))
    claims = {**GITHUB, **changes}
    refusal = trust(*rules).refusal(claims)
    assert told in refusal
    assert bool(refusal) == bool(told)
    if told:
        assert refusal.startswith("subject repo:acme/shop:ref:refs/heads/main: ")
    assert all(verdict.holds for verdict in trust(*rules).judge(claims)) == (not told)


def test_github_tags_and_pull_requests() -> None:
    rules = presets.github("acme/shop", "1296269", branch="main", tag="v*")
    assert not trust(*rules).refusal({**GITHUB, "ref": "refs/tags/v1.2"})
    assert "branch main or tag v*" in trust(*rules).refusal({**GITHUB, "ref": "refs/tags/x"})
    asked = presets.github("acme/shop", "1296269", branch="main", pull_requests=True)
    pull_request = {**GITHUB, "ref": "refs/pull/7/merge", "event_name": "pull_request"}
    assert trust(*rules).refusal(pull_request)
    assert not trust(*asked).refusal(pull_request)


GITLAB = {
    "sub": "project_path:group/shop:ref_type:branch:ref:main",
    "aud": "https://registry.example",
    "project_path": "group/shop",
    "project_id": "20",
    "ref": "main",
    "ref_type": "branch",
    "ref_protected": "true",
    "pipeline_source": "push",
}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, ""),
        ({"ref_protected": "false"}, "ref_protected true"),
        ({"ref_type": "tag"}, "ref_type branch"),
        ({"ref": "dev"}, "main"),
        ({"project_id": "21"}, "project_id 20"),
        ({"project_path": "group/shop/evil"}, "project_path group/shop"),
        ({"pipeline_source": "merge_request_event"}, "pipeline_source push"),
        ({"pipeline_source": "external_pull_request_event"}, "pipeline_source push"),
    ],
)
def test_gitlab(changes: dict[str, Any], told: str) -> None:
    rules = presets.gitlab("group/shop", "20", branch="main", ref_protected=True)
    check_rules(rules, pins_of("gitlab", shared=True))
    refusal = trust(*rules).refusal({**GITLAB, **changes})
    assert told in refusal
    assert bool(refusal) == bool(told)


def test_kubernetes_and_jenkins() -> None:
    cluster = trust(*presets.kubernetes("shop", ["builder", "deployer"]))
    aud = "https://registry.example"
    assert not cluster.refusal({"sub": "system:serviceaccount:shop:deployer", "aud": aud})
    for subject in ("system:serviceaccount:other:builder", "system:serviceaccount:shop:builder:x"):
        assert cluster.refusal({"sub": subject, "aud": aud})
    job = trust(*presets.jenkins(["https://jenkins.example/job/shop/job/*/"]))
    assert not job.refusal({"sub": "https://jenkins.example/job/shop/job/main/", "aud": aud})
    assert job.refusal({"sub": "https://jenkins.example/job/other/job/main/", "aud": aud})


def test_who_is_told_of_rules() -> None:
    """A stranger of the same issuer never is."""
    rules = presets.github("acme/shop", "1296269", branch="main")
    pins = pins_of("github", shared=True)
    assert trust(*rules).is_near({**GITHUB, "ref": "refs/heads/dev"}, pins)
    assert not trust(*rules).is_near({**GITHUB, "repository_id": "666"}, pins)
    own = trust(*presets.gitlab("group/shop", "20", branch="main"))
    assert own.is_near({**GITLAB, "ref": "dev"}, ())
    assert not own.is_near({**GITLAB, "project_id": "21", "project_path": "group/other"}, ())
    cluster = trust(*presets.kubernetes("shop", ["builder"]))
    assert cluster.is_near({"sub": "system:serviceaccount:shop:default"}, ())
    assert not cluster.is_near({"sub": "system:serviceaccount:other:builder"}, ())
    assert not cluster.is_near({"sub": "system:serviceaccount:shop:default"}, ("sub",))
    assert not cluster.is_near({"sub": 5}, ())
    job = trust(*presets.jenkins(["https://jenkins.example/job/shop/job/main/"]))
    assert job.is_near({"sub": "https://jenkins.example/job/shop/job/dev/"}, ())
    assert not job.is_near({"sub": "https://jenkins.example/job/other/job/main/"}, ())
    other = trust(Rule("team", ("web",)), Rule("stage", ("live",)))
    assert other.is_near({"team": "web", "stage": "test"}, ())
    assert not other.is_near({"sub": "x"}, ())


def test_what_is_shown_of_claims_is_plain() -> None:
    hostile = {"sub": 'a"b\r\nc\x1b[31m\u202e' + "d" * 500, "aud": ["x", 5], "other": "secret"}
    shown = shown_claims(hostile, [Rule("ref", ("x",)), Rule("sub", ("x",))])
    assert set(shown) == {"sub", "aud"}
    assert shown["sub"].startswith("a?b??c?[31m?ddd")
    assert len(shown["sub"]) == 100
    assert shown["aud"] == "x, ?"
    refusal = trust(Rule("sub", ("x",))).refusal({**hostile, "aud": "https://registry.example"})
    assert refusal.isascii()
    assert refusal.isprintable()
