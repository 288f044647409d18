"""Turns a refusal into bytes, in the one shape that the address asks for."""

from typing import Any

from moorage.errors import RegistryError, TokenRequestInvalid
from moorage.web.response import Response, json_answer

_PROBLEM = "application/problem+json"


def render(error: RegistryError, path: str, request_id: str) -> Response:
    """Return the OCI error envelope under `/v2`, and problem details (RFC 9457) elsewhere.

    `/token` has the envelope, which docker reads, and the words of OAuth 2 (RFC 6749, 5.2).
    """
    headers = {"Cache-Control": "no-store", **error.headers}
    if error.status in (429, 503, 507):
        headers.setdefault("Retry-After", "5")
    if path == "/v2" or path.startswith(("/v2/", "/v1/")):
        return json_answer(error.status, {"errors": error.entries()}, headers)
    if path == "/token":
        return json_answer(error.status, _oauth(error), headers)
    problem = {
        "type": type(error).problem,
        "title": type(error).message,
        "status": error.status,
        "code": error.code,
        "request_id": request_id,
    }
    if error.message != problem["title"]:
        problem["detail"] = error.message
    if error.hint:
        problem["do"] = error.hint
    return json_answer(error.status, problem, {**headers, "Content-Type": _PROBLEM})


def _oauth(error: RegistryError) -> dict[str, Any]:
    named = "invalid_grant" if error.status == 401 else "invalid_request"
    if isinstance(error, TokenRequestInvalid):
        named = error.error
    return {"error": named, "error_description": error.message, "errors": error.entries()}
