"""The one decision, as a table: every kind of caller, action and visibility."""

import msgspec
import pytest

from moorage.auth.policy import decide, knows_people, rank_of, require
from moorage.errors import Denied, NotPermitted, SignInNeeded, Unauthorized
from moorage.model.access import (
    BEFORE_ACCOUNTS,
    EARLY,
    Action,
    Actor,
    Facts,
    Namespace,
    RepositoryTarget,
    Role,
    Scope,
    Subject,
    System,
    TagOf,
    Target,
)
from moorage.oci.names import RepositoryName, Tag

LOCAL = Actor("local", "local", "loopback", subject=EARLY)
NOBODY = Actor("anonymous", "anonymous", "none")
REMOTE = Actor("anonymous", "anonymous", "none", "it came from another machine")
SOMEBODY = Actor("account", "ann", "password", subject=Subject(7, 0, 1))
NAME = RepositoryName.parse("web/shop")
REPOSITORY = RepositoryTarget(NAME)
TARGETS = (System(), REPOSITORY, TagOf(NAME, Tag.parse("latest")))
VISIBILITIES = ("private", "internal", "public")
# What each role may do in a namespace that is there.
MAY = {
    None: set(),
    Role.READER: {Action.PULL},
    Role.WRITER: {Action.PULL, Action.PUSH},
    Role.MAINTAINER: {Action.PULL, Action.PUSH, Action.DELETE, Action.CONFIGURE},
    Role.OWNER: {
        Action.PULL,
        Action.PUSH,
        Action.DELETE,
        Action.CONFIGURE,
        Action.MANAGE_ACCESS,
        Action.SEE_ACCESS,
        Action.AUDIT,
    },
    Role.AUDITOR: {Action.PULL, Action.SEE_ACCESS, Action.AUDIT},
}
ALWAYS = {Action.PING, Action.CATALOG}


def facts(
    visibility: str = "private", role: Role | None = None, *, standing: int = 1, exists: bool = True
) -> Facts:
    """Return the facts about somebody with that role."""
    return Facts(
        exists=exists,
        has_namespace=True,
        visibility=visibility,
        standing=standing,
        rank=role.rank if role else 0,
        audits=bool(role and role.audits),
    )


@pytest.mark.parametrize("visibility", VISIBILITIES)
@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("target", TARGETS)
def test_without_an_account(action: Action, target: Target, visibility: str) -> None:
    """Local mode has no accounts and issuers to manage; nobody only pulls what is public."""
    found = facts(visibility, standing=BEFORE_ACCOUNTS)
    public = action is Action.PULL and visibility == "public"
    local = {Action.PING, Action.PULL, Action.PUSH, Action.DELETE, Action.CATALOG, Action.METRICS}
    for actor, allowed in ((LOCAL, action in local), (NOBODY, public), (REMOTE, False)):
        assert decide(actor, action, target, found).allowed is allowed


@pytest.mark.parametrize("visibility", VISIBILITIES)
@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("target", TARGETS)
def test_local_mode_ends_with_the_first_account(
    action: Action, target: Target, visibility: str
) -> None:
    """Whoever was taken for local, or for remote, is nobody in particular from then on."""
    found = facts(visibility, standing=0)
    asked = [decide(actor, action, target, found) for actor in (LOCAL, REMOTE, NOBODY)]
    assert asked[0] == asked[1] == asked[2]
    assert asked[0].allowed is (action is Action.PULL and visibility == "public")
    for actor in (LOCAL, REMOTE):
        assert rank_of(actor, found) == 0
        if not asked[0].allowed:
            with pytest.raises(SignInNeeded):
                require(actor, action, target, found)


@pytest.mark.parametrize("visibility", VISIBILITIES)
@pytest.mark.parametrize("role", MAY)
@pytest.mark.parametrize("action", Action)
def test_roles(action: Action, role: Role | None, visibility: str) -> None:
    allowed = MAY[role] | ALWAYS | ({Action.PULL} if visibility != "private" else set())
    assert decide(SOMEBODY, action, REPOSITORY, facts(visibility, role)).allowed is (
        action in allowed
    )
    ended = decide(SOMEBODY, action, REPOSITORY, facts(visibility, role, standing=0))
    assert (ended.allowed, ended.ended) == (False, True)
    assert decide(SOMEBODY, action, REPOSITORY, facts(visibility, role, standing=2)).allowed


@pytest.mark.parametrize("action", Action)
def test_the_registry_itself_is_for_administrators(action: Action) -> None:
    owner = facts("public", Role.OWNER)
    assert decide(SOMEBODY, action, System(), owner).allowed is (action in ALWAYS)
    assert decide(SOMEBODY, action, System(), facts(standing=2)).allowed


def test_a_push_makes_a_repository_but_no_namespace() -> None:
    new = facts(role=Role.WRITER, exists=False)
    assert decide(SOMEBODY, Action.PUSH, REPOSITORY, new).allowed
    nowhere = Facts(standing=1, rank=4)
    assert not decide(SOMEBODY, Action.PUSH, REPOSITORY, nowhere).allowed
    assert not decide(SOMEBODY, Action.PULL, REPOSITORY, nowhere).allowed
    assert decide(SOMEBODY, Action.PUSH, REPOSITORY, Facts(standing=2)).allowed


@pytest.mark.parametrize(
    ("pattern", "covered"),
    [
        ("web/shop", True),
        ("web/**", True),
        ("**", True),
        ("web/sho", False),
        ("web/shop/sub", False),
        ("web/shop/**", False),
        ("we/**", False),
        ("shop", False),
        ("", False),
    ],
)
def test_a_scoped_credential_gives_no_more_than_it_says(pattern: str, covered: bool) -> None:
    scopes = (Scope(pattern, frozenset({"pull", "push"})),)
    owner = facts(role=Role.OWNER)
    for limit in ("scopes", "bound"):
        actor = Actor("account", "ann", "token:1", subject=Subject(7, 1, 0), **{limit: scopes})
        for action in (Action.PULL, Action.PUSH):
            assert decide(actor, action, REPOSITORY, owner).allowed is covered
        for action in set(Action) - {Action.PULL, Action.PUSH, Action.PING}:
            assert not decide(actor, action, REPOSITORY, owner).allowed
            assert not decide(actor, action, REPOSITORY, facts(standing=2)).allowed
        assert not decide(actor, Action.PUSH, REPOSITORY, facts(role=Role.READER)).allowed


def test_a_wider_token_is_asked_for_only_where_it_would_do() -> None:
    actor = Actor("account", "ann", "bearer", subject=Subject(7, 1, 0), bound=())
    assert decide(actor, Action.PULL, REPOSITORY, facts(role=Role.READER)).wider
    assert not decide(actor, Action.PUSH, REPOSITORY, facts(role=Role.READER)).wider


def test_a_bearer_does_not_tell_what_its_owner_may_otherwise() -> None:
    """Of what no token can be asked for, whoever has one learns no more than from any other."""
    scopes = (Scope("web/**", frozenset({"pull"})),)
    actor = Actor("account", "ann", "bearer", subject=Subject(7, 1, 0), bound=scopes)
    place = Namespace("web")
    for target, actions in (
        (place, (Action.PULL, Action.SEE_ACCESS, Action.MANAGE_ACCESS, Action.CONFIGURE)),
        (REPOSITORY, (Action.SEE_ACCESS, Action.MANAGE_ACCESS, Action.CONFIGURE, Action.AUDIT)),
    ):
        for action in actions:
            decisions = [
                decide(actor, action, target, facts(role=role))
                for role in (Role.OWNER, Role.READER)
            ]
            assert decisions[0] == decisions[1]
            assert not decisions[0].allowed
            assert decisions[0].disclose is (target is REPOSITORY)


def test_a_repository_called_as_a_namespace_is_not_the_namespace() -> None:
    scopes = (Scope("web", frozenset({"*"})),)
    for limit in ("scopes", "bound"):
        actor = Actor("account", "ann", "token:1", subject=Subject(7, 1, 0), **{limit: scopes})
        assert not decide(actor, Action.PULL, Namespace("web"), facts(role=Role.OWNER)).allowed


def test_refusals_say_what_to_do() -> None:
    """Who is not local is told why; all others the same of what exists and what does not."""
    with pytest.raises(Denied, match="it came from another machine") as denied:
        require(REMOTE, Action.PULL, REPOSITORY, Facts(standing=BEFORE_ACCOUNTS))
    assert "MOORAGE_ADMIN_USER" in (denied.value.hint or "")
    for actor, standing in ((NOBODY, 0), (SOMEBODY, 1)):
        told = set()
        for found in (
            facts(standing=standing),
            Facts(standing=standing),
            facts(exists=False, standing=standing),
        ):
            with pytest.raises((Unauthorized, NotPermitted)) as refused:
                require(actor, Action.PULL, REPOSITORY, found)
            error = refused.value
            told.add((type(error), error.message, error.hint, error.scope))
        assert len(told) == 1
    require(NOBODY, Action.PULL, REPOSITORY, facts("public"))


@pytest.mark.parametrize("role", [None, *Role])
@pytest.mark.parametrize("visibility", VISIBILITIES)
def test_who_knows_people(role: Role | None, visibility: str) -> None:
    """Who was given a role, whatever others may read; not by what is confined, nor when ended."""
    assert knows_people(SOMEBODY, facts(visibility, role)) == (role is not None)
    assert knows_people(SOMEBODY, facts(visibility, role, standing=2))
    assert not knows_people(SOMEBODY, facts(visibility, role, standing=0))
    scopes = (Scope("**", frozenset({"*"})),)
    for limits in ({"scopes": scopes}, {"bound": scopes}):
        confined = msgspec.structs.replace(SOMEBODY, **limits)
        assert not knows_people(confined, facts(visibility, role, standing=2))
    for nobody in (NOBODY, REMOTE):
        assert not knows_people(nobody, facts(visibility))
    assert knows_people(LOCAL, facts(visibility, standing=BEFORE_ACCOUNTS))
    assert not knows_people(LOCAL, facts(visibility, standing=0))


def test_how_much_somebody_counts_for_rules() -> None:
    """Who is at the server itself is no less than its administrator."""
    for role in (None, *Role):
        assert rank_of(SOMEBODY, facts(role=role)) == (role.rank if role else 0)
        assert rank_of(SOMEBODY, facts(role=role, standing=2)) == Role.OWNER.rank
    operator = Actor("operator", "root", "uid 0")
    early = facts(standing=BEFORE_ACCOUNTS)
    ranks = [rank_of(each, early) for each in (NOBODY, REMOTE, LOCAL, operator)]
    assert ranks == [0, 0, Role.MAINTAINER.rank, Role.OWNER.rank]
