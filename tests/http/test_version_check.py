"""The version check, and the administrator's credentials on every call."""

from __future__ import annotations

import base64
import re

import pytest

from registry import (
    OCI_MANIFEST,
    Answer,
    Registry,
    absent_digest,
    basic,
    digest_of,
    requirement,
    unique,
)

ZERO = absent_digest()
CALLS = [
    ("GET", "/v2/"),
    ("GET", "/v2/_catalog"),
    ("GET", "/v2/{name}/tags/list"),
    ("GET", "/v2/{name}/manifests/latest"),
    ("HEAD", "/v2/{name}/manifests/latest"),
    ("PUT", "/v2/{name}/manifests/latest"),
    ("DELETE", "/v2/{name}/manifests/latest"),
    ("GET", f"/v2/{{name}}/blobs/{ZERO}"),
    ("HEAD", f"/v2/{{name}}/blobs/{ZERO}"),
    ("DELETE", f"/v2/{{name}}/blobs/{ZERO}"),
    ("POST", "/v2/{name}/blobs/uploads/"),
    ("POST", f"/v2/{{name}}/blobs/uploads/?mount={ZERO}"),
    ("GET", "/v2/{name}/blobs/uploads/0b9ce1b2-5ea5-4a6c-9f5c-1f6f5a2f1a11"),
    ("PATCH", "/v2/{name}/blobs/uploads/0b9ce1b2-5ea5-4a6c-9f5c-1f6f5a2f1a11"),
    ("PUT", f"/v2/{{name}}/blobs/uploads/0b9ce1b2-5ea5-4a6c-9f5c-1f6f5a2f1a11?digest={ZERO}"),
    ("DELETE", "/v2/{name}/blobs/uploads/0b9ce1b2-5ea5-4a6c-9f5c-1f6f5a2f1a11"),
    ("GET", f"/v2/{{name}}/referrers/{ZERO}"),
    ("GET", "/v2/_oci/ext/discover"),
    ("GET", "/v2/{name}/_oci/ext/discover"),
]


def check_challenge(answer: Answer) -> None:
    """Check a 401: one Bearer challenge, UNAUTHORIZED, kept by no cache."""
    answer.expect(401)
    parameter = r'[a-z]+="[^"]+"'
    assert re.fullmatch(rf"Bearer {parameter}(,{parameter})*", answer["WWW-Authenticate"])
    assert "no-store" in answer["Cache-Control"]
    if answer.method != "HEAD":
        assert answer.codes == ["UNAUTHORIZED"]


@requirement("end-1")
@pytest.mark.parametrize("path", ["/v2/", "/v2"])
def test_open_registry_answers_200(registry: Registry, path: str) -> None:
    """Without any account the version check is 200 with an empty JSON object."""
    answer = registry.get(path).expect(200)
    assert answer["Content-Type"].split(";")[0] == "application/json"
    assert answer["Content-Length"] == str(len(answer.body))
    assert answer.json() == {}


@requirement("end-1")
@pytest.mark.parametrize("path", ["/v2/", "/v2"])
def test_head_answers_as_get(registry: Registry, path: str) -> None:
    """HEAD of the version check has the headers of GET and no body."""
    got, head = registry.get(path), registry.head(path).expect(200)
    assert head["Content-Length"] == got["Content-Length"]
    assert head["Content-Type"] == got["Content-Type"]


@requirement("end-1", "Q-18")
def test_content_type_has_no_charset(registry: Registry) -> None:
    """The content type is `application/json` without parameters."""
    assert registry.get("/v2/")["Content-Type"] == "application/json"


@requirement("end-1")
def test_answer_names_the_api_version(registry: Registry) -> None:
    """Old clients look for Docker-Distribution-API-Version."""
    assert registry.get("/v2/")["Docker-Distribution-API-Version"] == "registry/2.0"


@requirement("end-1", "Q-01", "Q-12")
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/v2/", "/v2"])
def test_challenge_without_credentials(administered: Registry, method: str, path: str) -> None:
    """With an administrator the version check is one challenge without scope."""
    answer = administered.request(method, path)
    check_challenge(answer)
    assert "scope=" not in answer["WWW-Authenticate"]


@requirement("end-1", "Q-02")
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/v2/", "/v2"])
def test_credentials_pass(administrator: Registry, method: str, path: str) -> None:
    """With the administrator's credentials the version check is 200."""
    administrator.request(method, path).expect(200)


@requirement("end-1", "S-36", "S-40")
@pytest.mark.parametrize(
    "authorization",
    [
        basic("admin", "wrong"),
        basic("nobody", "wrong"),
        basic("admin", ""),
        basic("", ""),
        basic("admin\0", "wrong"),
        basic("$oauthtoken", "wrong"),
        "Basic",
        "Basic !!!",
        "Basic " + base64.b64encode(b"no-colon").decode(),
        "Basic " + base64.b64encode(b"\xff\xfe:\xff").decode(),
        "Bearer abc.def.ghi",
        "Negotiate abc",
        "nonsense",
    ],
)
def test_bad_credentials_are_refused(administered: Registry, authorization: str) -> None:
    """Whatever is wrong with the credentials, the answer is the same challenge."""
    check_challenge(administered.get("/v2/", {"Authorization": authorization}))


@requirement("S-36")
def test_unknown_user_and_wrong_password_look_alike(administered: Registry) -> None:
    """An answer does not tell whether the user exists."""
    unknown = administered.get("/v2/", {"Authorization": basic(unique(), "wrong")})
    wrong = administered.get("/v2/", {"Authorization": basic("admin", "wrong")})
    assert unknown.status == wrong.status
    assert unknown.codes == wrong.codes
    assert unknown.message == wrong.message
    assert unknown["WWW-Authenticate"] == wrong["WWW-Authenticate"]


@requirement("S-11")
@pytest.mark.parametrize(("method", "path"), CALLS)
def test_every_call_needs_credentials(administered: Registry, method: str, path: str) -> None:
    """No path is open without credentials, whether or not what it names exists."""
    check_challenge(administered.request(method, path.format(name=unique("a/"))))


@requirement("end-1")
@pytest.mark.parametrize(("method", "path"), CALLS)
def test_basic_is_accepted_on_every_call(administrator: Registry, method: str, path: str) -> None:
    """The administrator's Basic credentials are good on every path."""
    answer = administrator.request(method, path.format(name=unique("a/")))
    assert answer.status not in (401, 403), answer
    assert answer.status < 500, answer


@requirement("S-11")
def test_nothing_is_stored_without_credentials(
    administered: Registry, administrator: Registry
) -> None:
    """A push without credentials leaves nothing behind."""
    name, content = unique("a/"), unique().encode()
    digest = digest_of(content)
    uploads = f"/v2/{name}/blobs/uploads/?digest={digest}"
    check_challenge(administered.post(uploads, content))
    manifest = f"/v2/{name}/manifests/latest"
    check_challenge(administered.put(manifest, b"{}", {"Content-Type": OCI_MANIFEST}))
    administrator.head(f"/v2/{name}/blobs/{digest}").expect(404)
    administrator.get(f"/v2/{name}/tags/list").expect(404, "NAME_UNKNOWN")


@requirement("end-1")
def test_administrator_can_push_and_pull(administrator: Registry) -> None:
    """The administrator pushes into a new namespace and pulls it again."""
    repository = administrator.repository()
    image = repository.push_image("latest")
    assert administrator.get(repository.path("manifests/latest")).body == image.raw


@requirement("S-10", "Q-10")
def test_host_header_reaches_no_location(administered: Registry, administrator: Registry) -> None:
    """A session's Location has no host; a realm has that of the request, and of no other header."""
    evil = {"Host": "evil.example", "X-Forwarded-Host": "worse.example", "Forwarded": "host=worse"}
    refused = administered.get("/v2/", evil)
    check_challenge(refused)
    assert 'realm="http://evil.example/token"' in refused["WWW-Authenticate"]
    assert "worse" not in str(refused.headers)
    answer = administrator.post(f"/v2/{unique()}/blobs/uploads/", b"", evil).expect(202)
    assert answer["Location"].startswith("/v2/")
