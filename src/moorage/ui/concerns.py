"""What somebody should look at, as the first page and that of the registry tell it."""

from moorage.registry.condition import Concern
from moorage.ui.page import when

# Where each can be looked at further.
_PAGES = {
    "token": "/tokens",
    "jobs": "/jobs?state=dead",
    "disk": "/storage",
    "full": "/storage",
    "paused": "/storage",
}
_OTHERS = "/admin/registry"


def shown(concern: Concern) -> dict[str, object]:
    """Return it as pages and their twins tell it."""
    return {
        "kind": concern.kind,
        "name": concern.name,
        "count": concern.count,
        "at": when(concern.at),
        "page": _PAGES.get(concern.kind, _OTHERS),
    }
