"""What they may: one pure function for every door."""

from moorage.auth.credentials import unauthorized
from moorage.errors import Denied
from moorage.model.access import Action, Actor, Decision, Facts, Target

_LOCAL_ACTIONS = frozenset(
    {Action.PING, Action.PULL, Action.PUSH, Action.DELETE, Action.CATALOG, Action.METRICS}
)


def decide(actor: Actor, action: Action, target: Target, facts: Facts) -> Decision:  # noqa: ARG001
    """Return whether the actor may do this to the target, and why.

    Pure: everything it needs is in its arguments, so the same question has the same answer at
    every door. `facts` come with the statement that resolved the target.
    """
    if actor.kind == "administrator":
        return Decision(allowed=True, reason="administrator", disclose=True)
    if actor.kind == "local":
        allowed = action in _LOCAL_ACTIONS
        return Decision(allowed=allowed, reason="local mode", disclose=True)
    if action is Action.PULL and facts.visibility == "public" and not actor.refusal:
        return Decision(allowed=True, reason="public repository", disclose=True)
    return Decision(allowed=False, reason=actor.refusal or "not signed in")


def require(actor: Actor, action: Action, target: Target, facts: Facts) -> None:
    """Let the actor pass, or raise the refusal that its client shows best.

    Raises:
        Denied: local mode does not hold for the request; says why and what to do.
        Unauthorized: nobody is signed in; in one text for what exists and what does not.
    """
    decision = decide(actor, action, target, facts)
    if decision.allowed:
        return
    if actor.refusal:
        raise Denied(
            f"this registry is in local mode, and the request is not local: {actor.refusal}",
            hint=(
                "Start it with MOORAGE_ADMIN_USER and MOORAGE_ADMIN_PASSWORD_FILE set, then sign "
                "in with docker login"
            ),
        )
    raise unauthorized("this needs a signed-in user")
