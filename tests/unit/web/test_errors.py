"""How a refusal is put: entries, headers, hints."""

import json
from typing import Any

import pytest

from moorage.errors import (
    BlobUnknown,
    InsufficientStorage,
    ManifestBlobUnknown,
    RangeInvalid,
    RegistryError,
    TooManyRequests,
    Unavailable,
)
from moorage.web.errors import render


def entries(error: RegistryError) -> list[dict[str, Any]]:
    """Return the entries of the envelope."""
    response = render(error, "/v2/a/tags/list", "")
    assert isinstance(response.body, bytes)
    found: list[dict[str, Any]] = json.loads(response.body)["errors"]
    return found


def test_the_class_has_the_text_unless_the_instance_has_one() -> None:
    assert entries(BlobUnknown()) == [{"code": "BLOB_UNKNOWN", "message": BlobUnknown.message}]
    assert entries(BlobUnknown("not here")) == [{"code": "BLOB_UNKNOWN", "message": "not here"}]


def test_the_hint_follows_the_message() -> None:
    assert entries(BlobUnknown("not here", hint="Push it"))[0]["message"] == "not here. Push it"


@pytest.mark.parametrize("detail", [{"digest": "x"}, [], 0, False, "", {}])
def test_any_detail_is_shown(detail: object) -> None:
    assert entries(BlobUnknown(detail=detail))[0]["detail"] == detail


def test_one_entry_for_each_missing_blob() -> None:
    found = entries(ManifestBlobUnknown(["sha256:a", "sha256:b"]))
    assert [entry["detail"]["digest"] for entry in found] == ["sha256:a", "sha256:b"]
    assert all(entry["detail"]["digest"] in entry["message"] for entry in found)


def test_the_error_brings_its_headers() -> None:
    response = render(RangeInvalid(headers={"Range": "0-4"}), "/v2/", "")
    assert response.headers["Range"] == "0-4"
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("kind", [TooManyRequests, Unavailable, InsufficientStorage])
def test_what_passes_says_when_to_come_back(kind: type[RegistryError]) -> None:
    assert render(kind(), "/v2/", "").headers["Retry-After"] == "5"
    later = render(kind(headers={"Retry-After": "60"}), "/v2/", "")
    assert later.headers["Retry-After"] == "60"


def test_other_errors_say_nothing_of_later() -> None:
    assert "Retry-After" not in render(BlobUnknown(), "/v2/", "").headers


def test_a_problem_says_what_happened_and_what_to_do() -> None:
    response = render(BlobUnknown("x is not here", hint="Push it"), "/api/", "id")
    assert isinstance(response.body, bytes)
    problem = json.loads(response.body)
    assert problem["title"] == BlobUnknown.message
    assert problem["detail"] == "x is not here"
    assert problem["do"] == "Push it"


def test_line_ends_stay_within_the_text() -> None:
    response = render(BlobUnknown("a\r\nX-Injected: b"), "/v2/", "")
    assert isinstance(response.body, bytes)
    assert b"\r\n" not in response.body
    assert all("\n" not in value for value in response.headers.values())
