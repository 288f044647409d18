"""`/r/NAME/-/settings`: who finds a repository, the rules for its tags, its trash and its end."""

from moorage.errors import Invalid
from moorage.model.access import Action, RepositoryTarget, Role
from moorage.model.patterns import TagPattern
from moorage.model.tag_rules import NOBODY_RANK, Needs, Proposal, TagRule
from moorage.oci.digest import Digest
from moorage.oci.names import RepositoryName
from moorage.registry import namespaces, renaming, repositories, restore, rights, rules, trash
from moorage.registry.namespaces import VISIBILITIES
from moorage.registry.services import Services, change_by
from moorage.ui.caller import authenticate
from moorage.ui.page import ROWS, Page, View, Visit, cut, go, more, when
from moorage.ui.references import namespace_place, repository_place
from moorage.ui.repository import opened
from moorage.web.response import Response

_PROTECTORS = (Role.MAINTAINER, Role.OWNER)


async def show(s: Services, visit: Visit) -> View:
    """Show the settings to whoever may change them."""
    name = visit.repository
    actor = await authenticate(s, visit)
    await rights.require_repository(s, actor, Action.CONFIGURE, name)
    place = opened(actor, name, await rights.find(s, actor, name))
    found = await rules.list_rules(s, actor, RepositoryTarget(name))
    rows, is_more = cut(
        await trash.list_items(s, actor, name, "manifest", visit.number("after"), ROWS + 1)
    )
    facts = {
        **place.facts(),
        "namespace_page": namespace_place(name.namespace),
        "visibilities": list(VISIBILITIES),
        "rules": [_rule(each) for each in found],
        "trash": [
            {
                "digest": each.digest,
                "media_type": each.media_type,
                "size": each.size,
                "until": when(each.until),
            }
            for each in rows
        ],
        "next": more(visit, rows[-1].id if is_more else None),
    }
    crumbs = place.crumbs(("Settings", ""))
    return View("settings.html", f"Settings of {name}", facts, "images", "settings", crumbs)


async def set_visibility(s: Services, visit: Visit) -> Response:
    """Say who finds and reads the repository besides those with a right in it."""
    name = visit.repository
    actor = await authenticate(s, visit)
    await rights.require_repository(s, actor, Action.CONFIGURE, name)
    by = change_by(actor, visit.request)
    await namespaces.set_visibility(s, actor, name, visit.field("visibility"), by)
    return go(repository_place(name, "settings"), "visibility")


async def rename(s: Services, visit: Visit) -> Response:
    """Give the repository another name; the one before goes on leading to it."""
    name = visit.repository
    actor = await authenticate(s, visit)
    await rights.require_repository(s, actor, Action.CONFIGURE, name)
    wanted = RepositoryName.parse(visit.field("name").strip())
    by = change_by(actor, visit.request)
    made = await renaming.rename_repository(s, actor, name, wanted, by)
    return go(repository_place(made.name, "settings"), "renamed")


async def add_rule(s: Services, visit: Visit) -> Response:
    """Add a rule for tags: immutable ones, or such that only some may change."""
    name = visit.repository
    actor = await authenticate(s, visit)
    await rights.require_repository(s, actor, Action.CONFIGURE, name)
    wanted = Proposal(TagPattern.parse(visit.field("pattern")), (), _needs(visit.field("needs")))
    by = change_by(actor, visit.request)
    await rules.add_rule(s, actor, RepositoryTarget(name), wanted, by)
    return go(repository_place(name, "settings"), "rule-added")


async def remove_rule(s: Services, visit: Visit) -> Response:
    """Remove a rule for tags."""
    name = visit.repository
    actor = await authenticate(s, visit)
    await rights.require_repository(s, actor, Action.CONFIGURE, name)
    by = change_by(actor, visit.request)
    await rules.remove_rule(s, actor, RepositoryTarget(name), visit.field_number("rule"), by)
    return go(repository_place(name, "settings"), "rule-removed")


async def restore_manifest(s: Services, visit: Visit) -> Response:
    """Take a manifest out of the trash, with what it names."""
    name = visit.repository
    actor = await authenticate(s, visit)
    await rights.require_repository(s, actor, Action.DELETE, name)
    by = change_by(actor, visit.request)
    await restore.restore_manifest(s, actor, name, Digest.parse(visit.field("digest")), by)
    return go(repository_place(name, "settings"), "restored")


async def delete_repository(s: Services, visit: Visit) -> Response:
    """Put the repository into the trash, once its name was written out."""
    name = visit.repository
    actor = await authenticate(s, visit)
    await rights.require_repository(s, actor, Action.DELETE, name)
    if visit.field("name").strip() != name:
        raise Invalid(
            "the name that was written is not that of the repository; nothing was deleted",
            hint=f"Write {name} to delete it",
        )
    await repositories.delete_repository(s, actor, name, change_by(actor, visit.request))
    return go(namespace_place(name.namespace), "deleted")


def _needs(text: str) -> Needs:
    if text == "immutable":
        return Needs.immutable()
    if text not in _PROTECTORS:
        raise Invalid("a rule makes tags immutable, or leaves them to maintainers or owners")
    return Needs.protected(Role(text))


def _rule(rule: TagRule) -> dict[str, object]:
    return {
        "id": rule.id,
        "pattern": rule.pattern,
        "exceptions": list(rule.exceptions),
        "create": least(rule.needs.create),
        "move": least(rule.needs.move),
        "delete": least(rule.needs.delete),
        "created_at": when(rule.created_at),
        "created_by": rule.created_by,
    }


def least(rank: int) -> str:
    """Return who may do what takes this rank; 1 is everybody who may push or delete."""
    if rank == NOBODY_RANK:
        return "nobody"
    return next((role.value for role in Role if role.rank == rank and rank > 1), "everybody")


PAGES = (
    Page(
        name="settings",
        path="/r/{repository}/-/settings",
        action=Action.CONFIGURE,
        show=show,
        acts={
            "visibility": set_visibility,
            "rename": rename,
            "add-rule": add_rule,
            "remove-rule": remove_rule,
            "restore": restore_manifest,
            "delete": delete_repository,
        },
    ),
)
