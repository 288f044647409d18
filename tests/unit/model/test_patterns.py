"""Patterns of tags against a reference, and the time that the worst of them take."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.errors import TagInvalid
from moorage.model.patterns import MAX_PATTERN, TagPattern
from moorage.oci.names import Tag

# Few characters, so that patterns meet their tags often.
TAGS = st.from_regex(r"[ab_][ab._-]{0,12}", fullmatch=True)
PATTERNS = st.from_regex(r"[ab_*?][ab._*?-]{0,8}", fullmatch=True)


def reference(pattern: str, tag: str) -> bool:
    """Return what a regular expression of the same meaning says."""
    text = "".join({"*": ".*", "?": "."}.get(each, re.escape(each)) for each in pattern)
    return re.fullmatch(text, tag, re.DOTALL | re.ASCII) is not None


@given(PATTERNS, TAGS)
def test_a_pattern_means_what_it_says(pattern: str, tag: str) -> None:
    assert TagPattern.parse(pattern).matches(Tag(tag)) is reference(pattern, tag)


@pytest.mark.parametrize(
    ("pattern", "tag", "held"),
    [
        ("*", "latest", True),
        ("v*", "v", True),
        ("v*", "V1", False),
        ("v*", "1v", False),
        ("*-rc?", "1.0-rc1", True),
        ("*-rc?", "1.0-rc", False),
        ("*-rc?", "1.0-rc12", False),
        ("1.0", "1.0", True),
        ("1.0", "1x0", False),
        ("1.?", "1.10", False),
        ("**", "a", True),
        ("*a*a*", "aa", True),
        ("*a*a*", "ba", False),
        ("?*?", "a", False),
        ("?*?", "ab", True),
    ],
)
def test_examples(pattern: str, tag: str, *, held: bool) -> None:
    assert TagPattern.parse(pattern).matches(Tag.parse(tag)) is held


@pytest.mark.parametrize(
    "text",
    ["", "v1.0\n", "v[0-9]", "v1\u20240", "v 1", "vé", "v{1,2}", "v\\*", "a/b", "-v*", ".v", "\0"],
)
def test_what_is_no_pattern_is_refused_in_words(text: str) -> None:
    with pytest.raises(TagInvalid) as refused:
        TagPattern.parse(text)
    assert "pattern" in refused.value.message or "no tag begins" in refused.value.message


def test_a_pattern_is_as_long_as_a_tag_at_most() -> None:
    assert TagPattern.parse("a" * MAX_PATTERN).matches(Tag("a" * 128))
    with pytest.raises(TagInvalid, match="128"):
        TagPattern.parse("a" * (MAX_PATTERN + 1))


@pytest.mark.parametrize(
    "pattern", ["a*" * 49 + "ab", "*a" * 50, "*?" * 50, "?" * 99 + "b", "*" * 100, "a*" * 50 + "b"]
)
def test_no_pattern_takes_long(pattern: str) -> None:
    """What takes a backtracking matcher years takes this one step for each character."""
    tag, parsed = Tag("a" * 128), TagPattern.parse(pattern)
    parsed.matches(tag)
    began = time.process_time()
    for _ in range(200):
        parsed.matches(tag)
    assert (time.process_time() - began) / 200 < 0.001
