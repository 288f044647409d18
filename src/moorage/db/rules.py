"""Rules for tags, and the count of their changes that every write of a tag looks at."""

import msgspec
import sqlalchemy as sa

from moorage.db.access_schema import tag_rule
from moorage.db.engine import ONE, Query, Row, Tx, add_row
from moorage.db.schema import namespace
from moorage.model.patterns import TagPattern
from moorage.model.tag_rules import Needs, TagRule

_columns = (
    tag_rule.c.id,
    tag_rule.c.namespace_id,
    tag_rule.c.repository_id,
    tag_rule.c.pattern,
    tag_rule.c.exceptions,
    tag_rule.c.push_rank,
    tag_rule.c.move_rank,
    tag_rule.c.delete_rank,
    tag_rule.c.created_at,
    tag_rule.c.created_by,
)
LIST_RULES = Query(
    "list_tag_rules",
    sa.select(*_columns)
    .where(tag_rule.c.namespace_id == sa.bindparam("namespace_id"))
    .where(tag_rule.c.repository_id == sa.bindparam("repository_id"))
    .where(tag_rule.c.id > sa.bindparam("after"))
    .order_by(tag_rule.c.id)
    .limit(sa.bindparam("limit")),
)
ADD_RULE = Query(
    "add_tag_rule",
    sa.insert(tag_rule)
    .values(
        namespace_id=sa.bindparam("namespace_id"),
        repository_id=sa.bindparam("repository_id"),
        pattern=sa.bindparam("pattern"),
        exceptions=sa.bindparam("exceptions"),
        push_rank=sa.bindparam("push_rank"),
        move_rank=sa.bindparam("move_rank"),
        delete_rank=sa.bindparam("delete_rank"),
        created_at=sa.bindparam("now"),
        created_by=sa.bindparam("created_by"),
    )
    .returning(tag_rule.c.id),
)
# By its place as well: an id of another namespace's rule finds nothing.
END_RULE = Query(
    "end_tag_rule",
    sa.delete(tag_rule)
    .where(tag_rule.c.id == sa.bindparam("rule_id"))
    .where(tag_rule.c.namespace_id == sa.bindparam("namespace_key"))
    .where(tag_rule.c.repository_id == sa.bindparam("repository_key"))
    .returning(*_columns),
)
# Never set back: a version that was read names one set of rules for ever.
NEXT_VERSION = Query(
    "next_rules_version",
    sa.update(namespace)
    .where(namespace.c.id == sa.bindparam("namespace_key"))
    .values(rules_version=namespace.c.rules_version + ONE),
)


def _rule_of(row: Row) -> TagRule:
    number, namespace_id, repository_id, pattern, exceptions, create, move, delete, at, by = row
    told = msgspec.json.decode(exceptions, type=list[str])
    return TagRule(
        number,
        namespace_id,
        repository_id,
        TagPattern(pattern),
        tuple(map(TagPattern, told)),
        Needs(create, move, delete),
        at,
        by,
    )


async def list_rules(
    tx: Tx, namespace_id: int, repository_id: int, after: int, limit: int
) -> list[TagRule]:
    """Return up to `limit` rules with a higher id of the repository, or with 0 the namespace."""
    rows = await tx.many(
        LIST_RULES,
        namespace_id=namespace_id,
        repository_id=repository_id,
        after=after,
        limit=limit,
    )
    return [_rule_of(row) for row in rows]


async def add_rule(tx: Tx, rule: TagRule) -> TagRule:
    """Add the rule and return it with its id; writes by older rules start again.

    The caller has taken the namespace (`locks.py`).
    """
    number = await add_row(
        tx,
        ADD_RULE,
        namespace_id=rule.namespace_id,
        repository_id=rule.repository_id,
        pattern=rule.pattern,
        exceptions=msgspec.json.encode(list(map(str, rule.exceptions))),
        push_rank=rule.needs.create,
        move_rank=rule.needs.move,
        delete_rank=rule.needs.delete,
        now=rule.created_at,
        created_by=rule.created_by,
    )
    await tx.run(NEXT_VERSION, namespace_key=rule.namespace_id)
    return msgspec.structs.replace(rule, id=number)


async def end_rule(tx: Tx, namespace_id: int, repository_id: int, rule_id: int) -> TagRule | None:
    """Remove the rule of that place and return it, None if it has no such rule.

    The caller has taken the namespace (`locks.py`).
    """
    row = await tx.one(
        END_RULE, rule_id=rule_id, namespace_key=namespace_id, repository_key=repository_id
    )
    if row is None:
        return None
    await tx.run(NEXT_VERSION, namespace_key=namespace_id)
    return _rule_of(row)
