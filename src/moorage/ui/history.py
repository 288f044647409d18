"""`/r/NAME/-/history`: how tags came to be what they are, what they were, and back to that."""

from datetime import UTC, datetime

from moorage.auth.policy import require
from moorage.errors import Invalid
from moorage.model.access import Action, RepositoryTarget, TagOf
from moorage.model.artifacts import TagChange
from moorage.model.history import EndedTag, TagMove, TagState
from moorage.oci.digest import Digest
from moorage.oci.names import RepositoryName, Tag
from moorage.registry import history, restore, rights
from moorage.registry.services import Services, change_by
from moorage.ui.caller import authenticate
from moorage.ui.page import ROWS, Page, View, Visit, go, more, when
from moorage.ui.references import image_place, repository_place
from moorage.ui.repository import opened
from moorage.web.response import Response


async def show(s: Services, visit: Visit) -> View:
    """Show the moves of one tag, or all tags as they are or were at some time, or those deleted."""
    name = visit.repository
    actor = await authenticate(s, visit)
    found = await rights.find(s, actor, name)
    require(actor, Action.PULL, RepositoryTarget(name), found.facts)
    place = opened(actor, name, found)
    tag, at = visit.parameter("tag"), visit.parameter("at")
    facts: dict[str, object] = {
        **place.facts(),
        "tag": tag,
        "at": at,
        "then": None,
        "moves": [],
        "states": [],
        "is_of_deleted": False,
        "ended": [],
    }
    if tag:
        moves = await history.list_moves(
            s, actor, name, Tag.parse(tag), visit.number("before"), ROWS
        )
        is_more = len(moves) == ROWS and moves[-1].version > 1
        facts["moves"] = [_move(name, each) for each in moves]
        facts["next"] = more(visit, moves[-1].version if is_more else None, "before")
    elif visit.parameter("deleted"):
        ended = await history.list_ended(s, actor, name, visit.parameter("after"), ROWS)
        facts["is_of_deleted"] = True
        facts["ended"] = [_ended(name, each) for each in ended.tags]
        facts["next"] = more(visit, ended.after)
    elif at:
        then, after = _moment(at), visit.parameter("after")
        page = await history.list_states_at(s, actor, name, then, after, ROWS)
        now = await history.find_digests(s, actor, name, [each.name for each in page.tags])
        facts["then"] = when(then)
        facts["states"] = [_state_then(name, each, now.get(each.name)) for each in page.tags]
        facts["next"] = more(visit, page.after)
    else:
        page = await history.list_states(s, actor, name, visit.parameter("after"), ROWS)
        facts["states"] = [_state(name, each) for each in page.tags]
        facts["next"] = more(visit, page.after)
    crumbs = place.crumbs(("History", ""))
    return View("history.html", f"History of {name}", facts, "images", "history", crumbs)


async def restore_tag(s: Services, visit: Visit) -> Response:
    """Have a tag name again what it named before: a new move, nothing is rewritten."""
    name, tag = visit.repository, Tag.parse(visit.field("tag"))
    actor = await authenticate(s, visit)
    require(actor, Action.PUSH, TagOf(name, tag), (await rights.find(s, actor, name)).facts)
    version = visit.field_number("version")
    by = change_by(actor, visit.request)
    await restore.restore_tag(s, actor, name, tag, by, version=version)
    return go(repository_place(name, f"history?tag={tag}"), "restored")


def _moment(text: str) -> int:
    """Return the time that a day or a moment of the query is, in UTC where it names no zone."""
    try:
        found = datetime.fromisoformat(text)
        found = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
        return max(1, int(found.timestamp() * 1000))
    except (ValueError, OverflowError):
        raise Invalid("at is no time", hint="Write it as 2026-09-14 or 2026-09-14T12:00") from None


def _state(name: RepositoryName, state: TagState) -> dict[str, object]:
    return {
        "name": state.name,
        "version": state.version,
        "digest": state.digest or "",
        "image": _image(name, state.digest, is_deleted=state.is_deleted),
        "is_deleted": state.is_deleted,
        "history": repository_place(name, f"history?tag={state.name}"),
        "at": when(state.at),
        **_by(state.by),
    }


def _state_then(name: RepositoryName, state: TagState, now: Digest | None) -> dict[str, object]:
    """Return what a tag was at some time, with what it is now."""
    shown = _state(name, state)
    is_other = now is not None and now != state.digest
    pair = f"compare/{state.digest}...{now}"
    return {
        **shown,
        "is_as_then": now == state.digest,
        "now": now,
        "now_image": image_place(name, now) if now is not None else "",
        "compare": repository_place(name, pair) if is_other and shown["image"] else "",
    }


def _ended(name: RepositoryName, ended: EndedTag) -> dict[str, object]:
    return {
        "name": ended.name,
        # What it named came by the change before its end.
        "version": ended.version - 1,
        "digest": ended.digest,
        "image": _image(name, ended.digest, is_deleted=ended.is_deleted),
        "is_deleted": ended.is_deleted,
        "history": repository_place(name, f"history?tag={ended.name}"),
        "at": when(ended.at),
        **_by(ended.by),
    }


def _move(name: RepositoryName, move: TagMove) -> dict[str, object]:
    images = {
        "before_image": _image(name, move.before, is_deleted=move.before_is_deleted),
        "after_image": _image(name, move.after, is_deleted=move.after_is_deleted),
    }
    both = all(images.values())
    return {
        "version": move.version,
        "at": when(move.at),
        "before": move.before,
        "after": move.after,
        "before_is_deleted": move.before_is_deleted,
        "after_is_deleted": move.after_is_deleted,
        **images,
        "compare": repository_place(name, f"compare/{move.before}...{move.after}") if both else "",
        **_by(move.by),
    }


def _image(name: RepositoryName, digest: Digest | None, *, is_deleted: bool) -> str:
    """Return where the image is shown, empty for what was deleted and has no page."""
    return image_place(name, digest) if digest is not None and not is_deleted else ""


def _by(by: TagChange) -> dict[str, object]:
    return {
        "cause": by.cause,
        "actor": by.actor or None,
        "credential": by.credential or None,
        "request": by.request_id or None,
    }


PAGES = (
    Page(
        name="history",
        path="/r/{repository}/-/history",
        action=Action.PULL,
        show=show,
        acts={"restore": restore_tag},
    ),
)
