"""`Query`: the names of a statement's parameters, and what it refuses."""

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from moorage.db.engine import Query
from moorage.db.schema import setting

KEY = setting.c.key == sa.bindparam("key")


def test_names_and_text() -> None:
    query = Query("q", sa.select(setting.c.value).where(KEY).limit(sa.bindparam("limit")))
    assert query.names == {"key", "limit"}
    assert "%(key)s" in query.text("postgresql")
    assert '"key" = ?1' in query.text("sqlite")
    assert query.text("sqlite").endswith("LIMIT ?2")
    assert query.bind({"key": "a", "limit": 1}) == {"key": "a", "limit": 1}
    assert query.arguments({"limit": 1, "key": "a"}) == ("a", 1)


def test_a_name_has_one_number() -> None:
    other = setting.c.value != sa.bindparam("value")
    query = Query("q", sa.select(setting.c.key).where(other, KEY, setting.c.value != KEY.right))
    assert query.text("sqlite").count("?2") == 2
    assert query.arguments({"key": "a", "value": "b"}) == ("b", "a")


def test_texts_in_a_statement_are_left_alone() -> None:
    query = Query("q", sa.select(setting.c.value, sa.literal_column("'it''s :key'")).where(KEY))
    assert "'it''s :key'" in query.text("sqlite")
    assert query.arguments({"key": "a"}) == ("a",)


def test_no_names_are_no_arguments() -> None:
    assert Query("q", sa.select(setting.c.value)).arguments({}) == ()


def test_values_in_the_statement_are_defaults() -> None:
    query = Query("q", sa.select(setting.c.value).where(KEY).where(setting.c.value == "x"))
    (default,) = query.names - {"key"}
    assert query.bind({"key": "a"}) == {"key": "a", default: "x"}


@pytest.mark.parametrize("values", [{}, {"kye": "a"}, {"key": "a", "other": 1}])
def test_names_must_be_right(values: dict[str, object]) -> None:
    query = Query("the_title", sa.select(setting.c.value).where(KEY))
    for bind in (query.bind, query.arguments):
        with pytest.raises(TypeError, match="the_title"):
            bind(values)


@pytest.mark.parametrize("names", [sa.bindparam("names", expanding=True), ["a", "b"]])
def test_lists_are_refused(names: object) -> None:
    query = Query("the_title", sa.select(setting.c.value).where(setting.c.key.in_(names)))
    for use in (lambda: query.text("sqlite"), lambda: query.bind({}), lambda: query.arguments({})):
        with pytest.raises(ValueError, match="the_title"):
            use()


def test_a_number_in_a_limit_is_bound_or_refused() -> None:
    """Never a parameter in the text that no value is bound to."""
    query = Query("q", sa.select(setting.c.value).limit(5))
    try:
        bound = query.bind({})
    except ValueError:
        return
    assert all(f"?{number}" in query.text("sqlite") for number in range(1, len(bound) + 1))
    assert query.text("sqlite").count("?") == len(bound)


def test_inserts_too() -> None:
    statement = sqlite.insert(setting).values(key=sa.bindparam("key"), value=sa.bindparam("value"))
    assert Query("q", statement.on_conflict_do_nothing()).names == {"key", "value"}


def test_another_dialect_is_not_made_up() -> None:
    with pytest.raises(KeyError):
        Query("q", sa.select(setting.c.value)).text("another")
