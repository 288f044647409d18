"""Turns a refusal into bytes, in the one shape that the address asks for."""

from moorage.errors import RegistryError
from moorage.web.response import Response, json_answer

_PROBLEM = "application/problem+json"


def render(error: RegistryError, path: str, request_id: str) -> Response:
    """Return the OCI error envelope under `/v2`, and problem details (RFC 9457) elsewhere."""
    headers = {"Cache-Control": "no-store", **error.headers}
    if error.status in (429, 503, 507):
        headers.setdefault("Retry-After", "5")
    if path == "/v2" or path.startswith(("/v2/", "/v1/")):
        return json_answer(error.status, {"errors": error.entries()}, headers)
    problem = {
        "type": "about:blank",
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
