"""`Idempotency-Key`: a request that is sent again because its answer was lost is done once.

The key is claimed in a transaction of its own before the request is acted on, and the answer is
kept for a day. Between the two stands a claim that ends by itself: after a crash nobody knows
whether the change was made, and the client is told so rather than answered wrongly.
"""

import hashlib
import re

import msgspec

from moorage.api.call import Call
from moorage.api.caller import authenticate
from moorage.auth.policy import require
from moorage.auth.scopes import encode_scopes
from moorage.clock import DAY, MINUTE
from moorage.db import idempotent as rows
from moorage.db.idempotent import Answered
from moorage.errors import Conflicting, Invalid, RegistryError
from moorage.model.access import Action, Actor, System
from moorage.registry import rights
from moorage.registry.services import Services
from moorage.web.response import Response

_KEPT = DAY
_CLAIMED = MINUTE
_KEY = re.compile(r"[\x21-\x7e]{1,200}", re.ASCII)


class _Kept(msgspec.Struct, frozen=True):
    headers: dict[str, str]
    body: bytes


async def answer(s: Services, call: Call) -> Response:
    """Answer a request, or say again what was answered to it before.

    Raises:
        Invalid: the key is none, or was sent with another request.
        Conflicting: the first request has not ended, or its answer had a secret and is gone.
    """
    header = call.request.headers.get("Idempotency-Key")
    if header is None or call.route.action is None:
        return await call.route.handler(s, call)
    if not _KEY.fullmatch(header):
        raise Invalid("an Idempotency-Key has 1 to 200 visible ASCII characters")
    actor = await authenticate(s, call)
    require(actor, Action.PING, System(), await rights.find_standing(s, actor))
    digest = _digest(call, actor, await call.raw())
    number = actor.subject.principal_id
    now = s.clock.now()
    until = now + _CLAIMED
    known = await s.db.write(lambda tx: rows.claim_key(tx, number, header, digest, now, until))
    if known is not None:
        return _again(known, digest)
    try:
        made = await call.route.handler(s, call)
    except RegistryError as error:
        if error.status < 500:  # else it may have been done after all, and the claim runs out
            await s.db.write(lambda tx: rows.end_claim(tx, number, header, until))
        raise
    answered = _answered(call, digest, made)
    await s.db.write(lambda tx: rows.keep_answer(tx, number, header, until, answered, now + _KEPT))
    return made


def _digest(call: Call, actor: Actor, raw: bytes) -> bytes:
    # Who comes by a narrower credential is not told what a wider one was answered.
    hashed = hashlib.sha256(
        encode_scopes(actor.scopes) + b"\0" + encode_scopes(actor.bound) + b"\0"
    )
    for part in (call.request.method, call.request.path, call.request.query_text):
        hashed.update(part.encode("utf-8", "surrogateescape") + b"\0")
    hashed.update(raw)
    return hashed.digest()


def _answered(call: Call, digest: bytes, made: Response) -> Answered:
    if call.route.shows_secret:
        return Answered(digest, made.status, b"")
    assert isinstance(made.body, bytes)  # noqa: S101 - no route of the API sends files
    return Answered(digest, made.status, msgspec.json.encode(_Kept(made.headers, made.body)))


def _again(known: Answered, digest: bytes) -> Response:
    if known.request != digest:
        raise Invalid("this Idempotency-Key was sent with another request before")
    if not known.status:
        raise Conflicting(
            "the request that this Idempotency-Key came with before has not ended",
            hint="Look whether it was done, or try again in a minute",
        )
    if not known.body:
        raise Conflicting(
            "it was done, and its answer had a secret that is shown once only",
            hint="Make another one if the first has been lost, and revoke that",
        )
    kept = msgspec.json.decode(known.body, type=_Kept)
    return Response(known.status, {**kept.headers, "Idempotent-Replayed": "true"}, kept.body)
