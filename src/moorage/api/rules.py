"""`…/rules`: who may make, move and delete which tags, in a namespace or in one repository."""

from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from moorage.api.call import Ask, Call, Handler, Route, cut, done, told, told_page, when
from moorage.api.caller import authenticate
from moorage.errors import NotFound
from moorage.model.access import Action, Actor, Namespace, RepositoryTarget, Role
from moorage.model.patterns import MAX_PATTERN, TagPattern
from moorage.model.tag_rules import NOBODY_RANK, Needs, Proposal, TagRule
from moorage.registry import rights, rules
from moorage.registry.rules import MAX_EXCEPTIONS, Place
from moorage.registry.services import Services, change_by
from moorage.web.response import Response

# `reader` lets everybody who may push or delete; an auditor is no rank of its own.
Least = Literal["reader", "writer", "maintainer", "owner", "nobody"]
Pattern = Annotated[
    str, Meta(min_length=1, max_length=MAX_PATTERN, pattern=r"^[A-Za-z0-9_*?][A-Za-z0-9_.*?-]*$")
]
Exceptions = Annotated[tuple[Pattern, ...], Meta(max_length=MAX_EXCEPTIONS)]
_NOBODY: Final = "nobody"


class NewRule(Ask, frozen=True):
    """A rule to be: the least role that may make, move and delete the tags of the pattern.

    As it comes, they are immutable: who may push makes one, and nobody moves or deletes it.
    """

    pattern: Pattern
    exceptions: Exceptions = ()
    create: Least = "reader"
    move: Least = _NOBODY
    delete: Least = _NOBODY


class AskedTrial(Ask, frozen=True):
    """A pattern that is to be tried on the tags that there are, behind `after`."""

    pattern: Pattern
    exceptions: Exceptions = ()
    after: Annotated[str, Meta(max_length=128, pattern=r"^[A-Za-z0-9_.-]*$")] = ""


class Rule(msgspec.Struct, frozen=True):
    """A rule."""

    id: int
    pattern: str
    exceptions: list[str]
    create: str
    move: str
    delete: str
    created_at: datetime | None
    created_by: str


class Rules(msgspec.Struct, frozen=True):
    """A page of rules, in the order of their ids."""

    items: list[Rule]


class Trial(msgspec.Struct, frozen=True):
    """The tags that a pattern is for; `after` begins the next page, empty behind the last."""

    tags: list[str]
    after: str


def _shown(rule: TagRule) -> Rule:
    return Rule(
        rule.id,
        rule.pattern,
        list(rule.exceptions),
        _least(rule.needs.create),
        _least(rule.needs.move),
        _least(rule.needs.delete),
        when(rule.created_at),
        rule.created_by,
    )


def _least(rank: int) -> str:
    found = (role.value for role in Role if role.rank == rank)
    return _NOBODY if rank == NOBODY_RANK else next(found, _NOBODY)


def _rank(least: Least) -> int:
    return NOBODY_RANK if least == _NOBODY else Role(least).rank


async def list_rules(s: Services, call: Call) -> Response:
    """Answer with a page of the namespace's own rules."""
    actor = await authenticate(s, call)
    await rights.require_namespace(s, actor, Action.CONFIGURE, call.namespace)
    return await _told_page(s, actor, call, Namespace(call.namespace))


async def create_rule(s: Services, call: Call) -> Response:
    """Add a rule for all of the namespace."""
    actor = await authenticate(s, call)
    await rights.require_namespace(s, actor, Action.CONFIGURE, call.namespace)
    return await _create(s, actor, call, Namespace(call.namespace))


async def delete_rule(s: Services, call: Call) -> Response:
    """Remove a rule of the namespace."""
    actor = await authenticate(s, call)
    await rights.require_namespace(s, actor, Action.CONFIGURE, call.namespace)
    return await _delete(s, actor, call, Namespace(call.namespace))


async def list_repository_rules(s: Services, call: Call) -> Response:
    """Answer with a page of the repository's own rules."""
    actor = await authenticate(s, call)
    await rights.require_repository(s, actor, Action.CONFIGURE, call.repository)
    return await _told_page(s, actor, call, RepositoryTarget(call.repository))


async def create_repository_rule(s: Services, call: Call) -> Response:
    """Add a rule for one repository."""
    actor = await authenticate(s, call)
    await rights.require_repository(s, actor, Action.CONFIGURE, call.repository)
    return await _create(s, actor, call, RepositoryTarget(call.repository))


async def delete_repository_rule(s: Services, call: Call) -> Response:
    """Remove a rule of the repository."""
    actor = await authenticate(s, call)
    await rights.require_repository(s, actor, Action.CONFIGURE, call.repository)
    return await _delete(s, actor, call, RepositoryTarget(call.repository))


async def try_rule(s: Services, call: Call) -> Response:
    """Answer with the tags of the repository that a rule would be for."""
    actor = await authenticate(s, call)
    await rights.require_repository(s, actor, Action.CONFIGURE, call.repository)
    asked = await call.asked(AskedTrial)
    pattern, exceptions = TagPattern.parse(asked.pattern), _patterns(asked.exceptions)
    found = await rules.try_rule(s, actor, call.repository, pattern, exceptions, asked.after)
    return told(200, Trial(found.tags, found.after))


async def _told_page(s: Services, actor: Actor, call: Call, place: Place) -> Response:
    page = call.page()
    rows = await rules.list_rules(s, actor, place, page.after_number, page.limit + 1)
    found, more = cut(rows, page.limit)
    return told_page(call, [_shown(each) for each in found], found[-1].id if more else None)


async def _create(s: Services, actor: Actor, call: Call, place: Place) -> Response:
    asked = await call.asked(NewRule)
    needs = Needs(_rank(asked.create), _rank(asked.move), _rank(asked.delete))
    wanted = Proposal(TagPattern.parse(asked.pattern), _patterns(asked.exceptions), needs)
    made = await rules.add_rule(s, actor, place, wanted, change_by(actor, call.request))
    return told(201, _shown(made))


async def _delete(s: Services, actor: Actor, call: Call, place: Place) -> Response:
    by = change_by(actor, call.request)
    if await rules.remove_rule(s, actor, place, call.number("rule"), by) is None:
        raise NotFound("there is no such rule here")
    return done()


def _patterns(texts: tuple[str, ...]) -> tuple[TagPattern, ...]:
    return tuple(TagPattern.parse(each) for each in texts)


def _routes(path: str, of: str, where: str, handlers: tuple[Handler, ...]) -> tuple[Route, ...]:
    return (
        Route(
            method="GET",
            path=path,
            name=f"list-{of}s",
            summary=f"The rules for tags {where}",
            action=Action.CONFIGURE,
            handler=handlers[0],
            gives=Rules,
            pages=True,
        ),
        Route(
            method="POST",
            path=path,
            name=f"create-{of}",
            summary=f"Add a rule for tags {where}",
            action=Action.CONFIGURE,
            handler=handlers[1],
            takes=NewRule,
            gives=Rule,
            status=201,
        ),
        Route(
            method="DELETE",
            path=path + "/{rule}",
            name=f"delete-{of}",
            summary=f"Remove a rule for tags {where}",
            action=Action.CONFIGURE,
            handler=handlers[2],
            status=204,
        ),
    )


ROUTES = (
    *_routes(
        "/namespaces/{namespace}/rules",
        "rule",
        "of a namespace",
        (list_rules, create_rule, delete_rule),
    ),
    *_routes(
        "/repositories/{repository}/-/rules",
        "repository-rule",
        "of one repository",
        (list_repository_rules, create_repository_rule, delete_repository_rule),
    ),
    Route(
        method="POST",
        path="/repositories/{repository}/-/rules/-/try",
        name="try-rule",
        summary="The tags that a rule would be for",
        action=Action.CONFIGURE,
        handler=try_rule,
        takes=AskedTrial,
        gives=Trial,
    ),
)
