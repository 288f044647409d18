"""Who visits a page: by the cookie of its session, or as everywhere else."""

from moorage.errors import Unauthorized
from moorage.model.access import Actor
from moorage.registry import sign_in
from moorage.registry.services import Services
from moorage.ui.page import Visit


async def authenticate(s: Services, visit: Visit) -> Actor:
    """Return who visits; nobody if the session has ended, who can then sign in again.

    One visit is one visitor's: who it is, is looked up once.

    Raises:
        Unauthorized: there are credentials in the request's own field, and they are wrong.
        TooManyRequests: too many wrong ones have come from there.
    """
    if visit.actor is not None:
        return visit.actor
    request = visit.request
    actor = await s.auth.authenticate(request)
    visit.actor = actor
    if actor.kind != "anonymous" or actor.refusal or "Authorization" in request.headers:
        return actor
    if visit.session:
        try:
            actor = await sign_in.identify(s, visit.session)
        except Unauthorized:
            return actor
        request.actor, request.credential = actor.name, actor.credential
        visit.actor = actor
    return actor
