"""The one decision, as a table: every kind of caller, action and visibility."""

import pytest

from moorage.auth.policy import decide, require
from moorage.errors import Denied, Unauthorized
from moorage.model.access import Action, Actor, Facts, RepositoryTarget, System, TagOf
from moorage.oci.names import RepositoryName, Tag

ADMIN = Actor("administrator", "admin", "password")
LOCAL = Actor("local", "local", "loopback")
NOBODY = Actor("anonymous", "anonymous", "none")
REMOTE = Actor("anonymous", "anonymous", "none", "it came from another machine")
NAME = RepositoryName.parse("web/shop")
TARGETS = (System(), RepositoryTarget(NAME), TagOf(NAME, Tag.parse("latest")))
FACTS = (Facts(), *(Facts(True, kind) for kind in ("private", "internal", "public")))


@pytest.mark.parametrize("facts", FACTS)
@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("target", TARGETS)
def test_table(action: Action, target: object, facts: Facts) -> None:
    """Administrator and local may all there is; nobody only pulls what is public."""
    public = action is Action.PULL and facts.visibility == "public"
    for actor, allowed in ((ADMIN, True), (LOCAL, True), (NOBODY, public), (REMOTE, False)):
        assert decide(actor, action, target, facts).allowed is allowed  # type: ignore[arg-type]


def test_refusals_say_what_to_do() -> None:
    """Who is not local is told why; who is not signed in is told the same of all there is."""
    with pytest.raises(Denied, match="it came from another machine") as denied:
        require(REMOTE, Action.PULL, RepositoryTarget(NAME), Facts())
    assert "MOORAGE_ADMIN_USER" in (denied.value.hint or "")
    told = set()
    for facts in FACTS[:3]:
        with pytest.raises(Unauthorized) as refused:
            require(NOBODY, Action.PULL, RepositoryTarget(NAME), facts)
        told.add((refused.value.message, str(refused.value.headers)))
    assert len(told) == 1
    require(NOBODY, Action.PULL, RepositoryTarget(NAME), Facts(True, "public"))
