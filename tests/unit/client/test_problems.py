"""A server's refusals as sentences: names keep their spelling, and rules have their exit code."""

import msgspec
import pytest

from moorage.client.problems import refusal_of
from moorage.errors import Denied, ManifestUnknown, TagProtected
from moorage.web.errors import render

JSON = {"content-type": "application/problem+json"}


@pytest.mark.parametrize(
    ("detail", "why"),
    [
        ("web/shop has no tag 1.4", "web/shop has no tag 1.4."),
        ("shop has no tag 1.4", "shop has no tag 1.4."),
        ("limit must be a whole number", "limit must be a whole number."),
        ("there is no namespace nope", "There is no namespace nope."),
        ("too many, others are waiting", "Too many, others are waiting."),
        ("It is so.", "It is so."),
    ],
)
def test_names_keep_their_spelling(detail: str, why: str) -> None:
    body = msgspec.json.encode({"title": "no", "detail": detail})
    assert refusal_of(404, JSON, body, "registry.example").why == why


@pytest.mark.parametrize(("error", "exit_code"), [(TagProtected("kept"), 5), (Denied("no"), 4)])
def test_a_rule_is_told_from_a_lack_of_rights(error: Denied, exit_code: int) -> None:
    """Both are 403 with the code that the specification has for them."""
    answer = render(error, "/api/v1/x", "r")
    refused = refusal_of(answer.status, JSON, bytes(answer.body or b""), "registry.example")
    assert (refused.code, refused.exit_code) == ("DENIED", exit_code)


def test_refusals_of_the_distribution_api() -> None:
    """`moorage api GET /v2/…` asks there."""
    answer = render(ManifestUnknown("web/shop has no tag x"), "/v2/web/shop/manifests/x", "r")
    headers = {"content-type": "application/json", "x-request-id": "r"}
    refused = refusal_of(404, headers, bytes(answer.body or b""), "registry.example")
    assert (refused.what, refused.code) == ("web/shop has no tag x.", "MANIFEST_UNKNOWN")
    assert (refused.exit_code, refused.request_id) == (3, "r")


@pytest.mark.parametrize("body", [b'{"errors": []}', b'{"errors": [{}]}', b'{"errors": 1}'])
def test_what_only_looks_like_one(body: bytes) -> None:
    assert "status 404" in refusal_of(404, JSON, body, "registry.example").what
