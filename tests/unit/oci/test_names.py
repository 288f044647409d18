"""Repository names and tags, by the tables beside."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases.load import cases, table
from moorage.errors import DigestInvalid, NameInvalid, TagInvalid
from moorage.oci.digest import Digest, digest_of
from moorage.oci.names import MAX_NAME, RepositoryName, Tag, parse_reference


@pytest.mark.parametrize("text", cases("names", "names"))
def test_name(text: str) -> None:
    name = RepositoryName.parse(text)
    assert name == text
    assert isinstance(name, RepositoryName)


@pytest.mark.parametrize("text", cases("names", "bad_names"))
def test_bad_name(text: str) -> None:
    with pytest.raises(NameInvalid) as refused:
        RepositoryName.parse(text)
    assert refused.value.hint
    assert refused.value.message.isprintable()


@pytest.mark.parametrize("text", cases("names", "tags"))
def test_tag(text: str) -> None:
    tag = Tag.parse(text)
    assert tag == text
    assert isinstance(tag, Tag)
    assert isinstance(parse_reference(text), Tag)


@pytest.mark.parametrize("text", cases("names", "bad_tags"))
def test_bad_tag(text: str) -> None:
    with pytest.raises(TagInvalid) as refused:
        Tag.parse(text)
    assert refused.value.hint
    assert refused.value.message.isprintable()


def test_longest_name() -> None:
    """Clients limit the name with the host to 255 characters."""
    assert MAX_NAME == 229
    assert RepositoryName.parse("a" * MAX_NAME)
    with pytest.raises(NameInvalid):
        RepositoryName.parse("a" * (MAX_NAME + 1))


def test_longest_tag() -> None:
    assert Tag.parse("a" * 128)
    with pytest.raises(TagInvalid):
        Tag.parse("a" * 129)


def test_upper_case_has_a_hint_that_helps() -> None:
    with pytest.raises(NameInvalid) as refused:
        RepositoryName.parse("Web/Shop")
    assert "web/shop" in (refused.value.hint or "")


@pytest.mark.parametrize(("text", "namespace"), table("names", "namespaces").items())
def test_namespace(text: str, namespace: str) -> None:
    assert RepositoryName.parse(text).namespace == namespace


def test_what_has_a_colon_is_a_digest() -> None:
    digest = digest_of(b"{}")
    assert isinstance(parse_reference(digest), Digest)
    with pytest.raises(DigestInvalid):
        parse_reference("a:b")


@given(st.text(max_size=300))
def test_any_text_is_a_name_or_is_refused(text: str) -> None:
    try:
        name = RepositoryName.parse(text)
    except NameInvalid:
        return
    assert name.isascii()
    assert name == name.lower()
    assert not set(name) - set("abcdefghijklmnopqrstuvwxyz0123456789._-/")


def test_long_names_are_refused_at_once() -> None:
    """Separators in a row must not make the pattern try every way to divide them."""
    with pytest.raises(NameInvalid):
        RepositoryName.parse("a" + "-" * 227 + "!")
    with pytest.raises(NameInvalid):
        RepositoryName.parse("a-" * 114 + "!")
