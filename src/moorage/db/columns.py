"""What every table is made of: kinds of columns, and the catalogue that all tables are in."""

from typing import Any

import sqlalchemy as sa

metadata = sa.MetaData()

_integer = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
# Pages are in the order of bytes on both databases, whatever language the server speaks.
_plain_text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

# Ids of rows are never used again; tables without ids are kept in the order of their key.
AUTOINCREMENT: dict[str, Any] = {"sqlite_autoincrement": True}
CLUSTERED: dict[str, Any] = {"sqlite_with_rowid": False}


def identity() -> sa.Column[int]:
    """Return the column `id`, given by the database."""
    return sa.Column("id", _integer, primary_key=True, autoincrement=True)


def number(name: str, **options: Any) -> sa.Column[int]:
    """Return a column of integers."""
    return sa.Column(name, _integer, nullable=False, autoincrement=False, **options)


def text(name: str, **options: Any) -> sa.Column[str]:
    """Return a column of texts, ordered by their bytes."""
    return sa.Column(name, _plain_text, nullable=False, **options)


def data(name: str, **options: Any) -> sa.Column[bytes]:
    """Return a column of bytes."""
    return sa.Column(name, sa.LargeBinary, nullable=False, **options)


def partial(name: str, rule: str, *columns: str, unique: bool = False) -> sa.Index:
    """Return an index of the rows that the rule holds for; statements repeat the rule."""
    return sa.Index(
        name,
        *columns,
        unique=unique,
        sqlite_where=sa.text(rule),
        postgresql_where=sa.text(rule.replace("x''", "''::bytea")),
    )
