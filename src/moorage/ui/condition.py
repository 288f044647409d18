"""`/admin/registry`: what the registry runs on and how it is set, and what to look at."""

from moorage.model.access import Action
from moorage.registry import condition, rights
from moorage.registry.services import Services
from moorage.ui.admin import CRUMB
from moorage.ui.caller import authenticate
from moorage.ui.concerns import shown
from moorage.ui.page import Page, View, Visit, when


async def show(s: Services, visit: Visit) -> View:
    """Show how the registry is, to its administrators."""
    actor = await authenticate(s, visit)
    await rights.require_administrator(s, actor)
    found = await condition.find_condition(s, actor)
    backup = found.backup
    facts = {
        "version": found.version,
        "python": found.python,
        "database": "sqlite" if s.config.is_embedded else "postgresql",
        "storage": "s3" if s.config.storage else "directory",
        "answers": found.answers,
        "free": found.free,
        "free_least": found.free_least,
        "certificate_until": when(found.certificate_until),
        "backup": None
        if backup is None
        else {
            "id": backup.id,
            "host": backup.host,
            "place": backup.place,
            "taken_at": when(backup.taken_at),
            "objects": backup.objects,
            "bytes": backup.bytes,
        },
        "restored_at": when(found.restored_at),
        "servers": [
            {
                "host": each.host,
                "version": each.version,
                "settings": each.settings,
                "seen_at": when(each.seen_at),
            }
            for each in found.servers
        ],
        "concerns": [shown(each) for each in found.concerns],
        "settings": [
            {"key": each.key, "value": each.value, "origin": each.origin} for each in found.settings
        ],
    }
    crumbs = (CRUMB, ("Registry", ""))
    return View("condition.html", "Registry", facts, "admin", "registry", crumbs)


PAGES = (Page(name="registry", path="/admin/registry", action=Action.ADMINISTER, show=show),)
