"""What they may: one pure function for every door."""

from functools import lru_cache

from moorage.errors import Denied, NotPermitted, SignInNeeded, Unauthorized
from moorage.model.access import (
    BEFORE_ACCOUNTS,
    Action,
    Actor,
    Decision,
    Facts,
    Namespace,
    RepositoryTarget,
    Scope,
    System,
    TagOf,
    Target,
)

_LOCAL_ACTIONS = frozenset(
    {Action.PING, Action.PULL, Action.PUSH, Action.DELETE, Action.CATALOG, Action.METRICS}
)
# What needs how much (`Role.rank`); what an auditor sees is asked of `audits`.
_RANKS = {
    Action.PULL: 1,
    Action.PUSH: 2,
    Action.DELETE: 3,
    Action.CONFIGURE: 3,
    Action.MANAGE_ACCESS: 4,
}
_ROLES = {1: "reader", 2: "writer", 3: "maintainer", 4: "owner"}
_AUDITED = frozenset({Action.AUDIT, Action.SEE_ACCESS})
_ANY_ACCOUNT = frozenset({Action.PING, Action.CATALOG})
_ASKED = {Action.PULL: "pull", Action.PUSH: "pull,push", Action.DELETE: "delete"}
# What a bearer token or a scoped credential is told by name; all else is for whole credentials.
_IN_SCOPES = frozenset({Action.PULL, Action.PUSH, Action.DELETE})


def decide(actor: Actor, action: Action, target: Target, facts: Facts) -> Decision:
    """Return whether the actor may do this to the target, and why.

    Pure: everything it needs is in its arguments, so the same question has the same answer at
    every door. `facts` come with the statement that resolved the target.
    """
    if not actor.is_signed_in:
        return _of_nobody(actor, action, facts)
    if not facts.standing:
        return Decision(allowed=False, reason="the credential has ended", ended=True)
    reason = _reason(action, target, facts)
    is_for = _covers(actor.scopes, action, target)
    is_asked = _covers(actor.bound, action, target)
    if reason and is_for and is_asked:
        return Decision(allowed=True, reason=reason, disclose=True)
    where = _name_of(target) or "this registry"
    if reason and is_for and _can_be_asked(action, target):
        told = f"the token was not asked for {action.value} on {where}"
        return Decision(allowed=False, reason=told, wider=True)
    title = _title(actor)
    told = f"{title} has no {action.value} right on {where}"
    # In one text whatever its owner may: whoever has the token alone does not learn that.
    if not is_for or not (is_asked or _can_be_asked(action, target)):
        told = f"the token of {title} is not for {action.value} on {where}"
    may_pull = bool(_reason(Action.PULL, target, facts))
    disclose = may_pull and covers(actor, Action.PULL, target)
    return Decision(allowed=False, reason=told, disclose=disclose)


# A connection asks the same again and again. All that a decision depends on is in its key, and what
# isn't gone through pushes nothing out of the processor's caches: 3 of a pull's 120 µs.
_decide = lru_cache(maxsize=4_096)(decide)


def covers(actor: Actor, action: Action, target: Target) -> bool:
    """Tell whether the actor's credential is for this, whatever its owner may."""
    limits = (actor.scopes, actor.bound)
    return all(_covers(each, action, target) for each in limits)


def require(actor: Actor, action: Action, target: Target, facts: Facts) -> None:
    """Let the actor pass, or raise the refusal that its client shows best.

    Raises:
        Denied: local mode does not hold for the request; says why and what to do.
        SignInNeeded: nobody is signed in; in one text for what exists and what does not.
        Unauthorized: what was signed in with has ended, or was not asked for this.
        NotPermitted: who is signed in has not the right, in one text as well.
    """
    decision = _decide(actor, action, target, facts)
    if decision.allowed:
        return
    is_before_accounts = facts.standing == BEFORE_ACCOUNTS
    if actor.refusal and is_before_accounts:
        raise Denied(
            f"this registry is in local mode, and the request is not local: {actor.refusal}",
            hint=(
                "Open the set-up link that its terminal shows, or start it with "
                "MOORAGE_ADMIN_USER and MOORAGE_ADMIN_PASSWORD_FILE set, then sign in with "
                "docker login"
            ),
        )
    if actor.kind == "local" and is_before_accounts:
        raise _of_local_mode()
    scope = _scope(action, target)
    if not actor.is_signed_in:
        raise SignInNeeded(scope=scope)
    if decision.ended:
        raise Unauthorized("the credential is no longer good", scope=scope, error="invalid_token")
    if decision.wider:
        raise Unauthorized(decision.reason, scope=scope, error="insufficient_scope")
    raise NotPermitted(
        decision.reason,
        scope=scope,
        disclose=decision.disclose,
        hint="Ask an owner of the namespace for it",
    )


def require_whole(actor: Actor, facts: Facts) -> None:
    """Let an account pass to what is its own: its password, its tokens, its second factor.

    Raises:
        Unauthorized: nobody is signed in, or with what has ended.
        NotPermitted: it is no account, or its credential is confined to something.
    """
    if _is_local(actor, facts):
        raise _of_local_mode()
    if not actor.is_signed_in:
        raise SignInNeeded
    if not facts.standing:
        raise Unauthorized("the credential is no longer good", error="invalid_token")
    if actor.kind != "account":
        raise NotPermitted(f"{_title(actor)} has nothing of its own to change")
    if actor.scopes is not None or actor.bound is not None:
        raise NotPermitted(
            f"the token of {_title(actor)} is not for its account",
            hint="Sign in by password, or by a token that is not confined to anything",
        )


def rank_of(actor: Actor, facts: Facts) -> int:
    """Return how much the actor counts for rules about what is in a repository (`Role.rank`).

    An administrator is an owner everywhere, as is the server's operator, and local mode a
    maintainer, who may delete.
    """
    if not actor.is_signed_in:
        if actor.kind == "operator":
            return _RANKS[Action.MANAGE_ACCESS]
        return _RANKS[Action.DELETE] if _is_local(actor, facts) else 0
    return _RANKS[Action.MANAGE_ACCESS] if facts.standing > 1 else facts.rank


def knows_people(actor: Actor, facts: Facts) -> bool:
    """Tell whether the actor is told who has done something in the repository.

    Those are who were given a role there, by a credential that is not confined; who reads it only
    because everybody may, learns no names of accounts.
    """
    if not actor.is_signed_in:
        return actor.kind == "operator" or _is_local(actor, facts)
    is_confined = actor.scopes is not None or actor.bound is not None
    return not is_confined and (facts.standing > 1 or (facts.standing > 0 and facts.rank > 0))


def role_of(rank: int) -> str:
    """Return the name of the least role that counts so much, empty if there is none."""
    return _ROLES.get(rank, "")


def _is_local(actor: Actor, facts: Facts) -> bool:
    return actor.kind == "local" and facts.standing == BEFORE_ACCOUNTS


def _of_local_mode() -> Denied:
    return Denied(
        "local mode has no accounts, tokens or settings",
        hint="Open the set-up link that the registry's terminal shows, and make an account",
    )


def _of_nobody(actor: Actor, action: Action, facts: Facts) -> Decision:
    if actor.kind == "operator":
        return Decision(allowed=True, reason="operator of this server", disclose=True)
    if facts.standing == BEFORE_ACCOUNTS:
        if actor.kind == "local":
            allowed = action in _LOCAL_ACTIONS
            return Decision(allowed=allowed, reason="local mode", disclose=True)
        if actor.refusal:
            return Decision(allowed=False, reason=actor.refusal)
    if action is Action.PULL and facts.visibility == "public":
        return Decision(allowed=True, reason="public repository", disclose=True)
    return Decision(allowed=False, reason="not signed in")


def _reason(action: Action, target: Target, facts: Facts) -> str:
    """Return by what the subject may, its credential's limits aside; empty if it may not."""
    if action in _ANY_ACCOUNT:
        return "signed in"
    if facts.standing > 1:
        return "administrator"
    if isinstance(target, System):
        return ""
    # A namespace that is not there is looked at as closely as one that is: time would tell.
    reason = ""
    if action is Action.PULL and facts.visibility != "private" and facts.exists:
        reason = f"{facts.visibility} repository"
    elif action in _AUDITED:
        reason = "auditor or owner" if facts.audits else ""
    else:
        needed = _RANKS.get(action)
        reason = _ROLES[facts.rank] if needed is not None and facts.rank >= needed else ""
    return reason if facts.has_namespace else ""


def _covers(scopes: tuple[Scope, ...] | None, action: Action, target: Target) -> bool:
    if scopes is None or action is Action.PING:
        return True
    if action is Action.CATALOG:
        return any(action.value in each.actions for each in scopes)
    # What scopes name are repositories; one may be called as a namespace is.
    name = "" if isinstance(target, Namespace) else _name_of(target)
    if action in _IN_SCOPES:
        for each in scopes:  # `any` would make a generator for each request
            if each.covers(name, action):
                return True
    return False


def _can_be_asked(action: Action, target: Target) -> bool:
    """Tell whether there is a scope for it, which a client can ask the token service for."""
    return action is Action.CATALOG or (action in _ASKED and not isinstance(target, Namespace))


def _scope(action: Action, target: Target) -> str:
    """Return what a client is to ask the token service for; empty where no scope helps."""
    if not _can_be_asked(action, target):
        return ""
    if action is Action.CATALOG:
        return "registry:catalog:*"
    name = _name_of(target)
    return f"repository:{name}:{_ASKED[action]}" if name else ""


def _name_of(target: Target) -> str:
    if isinstance(target, TagOf):
        return target.repository
    if isinstance(target, RepositoryTarget):
        return target.name
    if isinstance(target, System):
        return ""
    return target.name if isinstance(target, Namespace) else target.repository


def _title(actor: Actor) -> str:
    return actor.name if actor.kind == "account" else f"{actor.kind} {actor.name}"
