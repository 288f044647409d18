"""What operators ask: health, readiness, metrics, extensions, and a process that ends in order."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest

from process import Server
from registry import (
    Registry,
    Repository,
    digest_of,
    requirement,
    unique,
    with_query,
)

Start = Callable[..., Server]


@requirement("health", "S-109")
@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_health(moorage: Server, path: str, method: str) -> None:
    """Health and readiness are 200 and tell nothing of versions and paths."""
    answer = Registry(moorage.url).request(method, path).expect(200)
    assert "no-store" in answer["Cache-Control"]
    assert str(moorage.data).encode() not in answer.body
    assert not re.search(rb"\d+\.\d+\.\d+", answer.body)
    assert len(answer.body) < 500


@requirement("health")
@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_needs_no_credentials(administered: Registry, path: str) -> None:
    """Health and readiness are asked without credentials."""
    administered.get(path).expect(200)


@requirement("metrics")
def test_metrics(moorage: Server) -> None:
    """Metrics are in the text format of Prometheus."""
    answer = Registry(moorage.url).get("/metrics").expect(200)
    assert answer["Content-Type"].startswith("text/plain")
    samples = [line for line in answer.body.decode().splitlines() if line and line[0] != "#"]
    assert samples
    assert all(re.fullmatch(r"[a-zA-Z_:][\w:]*(\{.*\})? \S+( \d+)?", line) for line in samples)


@requirement("metrics", "S-106", "S-17")
def test_metrics_hold_no_names(moorage: Server) -> None:
    """No name, tag, digest or path that a client made up becomes a label."""
    registry = Registry(moorage.url)
    repository, tag = registry.repository(), unique("tag")
    image = repository.push_image(tag)
    registry.get(f"/v2/{repository.name}/{tag}", {"User-Agent": unique("agent")})
    text = registry.get("/metrics").body.decode()
    for word in (*repository.name.split("/"), tag, image.digest, "agent"):
        assert word not in text


@requirement("extensions")
@pytest.mark.parametrize("level", ["registry", "repository"])
def test_discover(repository: Repository, level: str) -> None:
    """Extensions are listed for the registry and for a repository."""
    repository.push_image("latest")
    path = "_oci/ext/discover"
    target = f"/v2/{path}" if level == "registry" else repository.path(path)
    answer = repository.registry.get(target).expect(200)
    assert answer["Content-Type"] == "application/json"
    extensions = answer.json()["extensions"]
    assert extensions
    for extension in extensions:
        assert re.fullmatch(r"_[a-z0-9]+([._-][a-z0-9]+)*", extension["name"])
        assert extension["endpoints"]
        assert {type(each) for each in extension["endpoints"]} == {str}


@requirement("life")
def test_end_in_order(server: Start) -> None:
    """SIGTERM ends the server with exit code 0, also with connections that are kept open."""
    running = server()
    registry = Registry(running.url)
    with registry.wire() as idle, registry.wire() as used:
        registry.request("GET", "/v2/", wire=used).expect(200)
        assert running.stop() == 0
        assert idle.is_closed()


@requirement("life", "Q-21")
@pytest.mark.parametrize("how", ["stop", "kill"])
def test_content_outlives_the_process(server: Start, how: str) -> None:
    """What was acknowledged is there after a restart, also after the process was killed."""
    running = server()
    repository = Registry(running.url).repository()
    image, content = repository.push_image("latest"), unique().encode() * 1000
    repository.push_blob(content)
    half = len(content) // 2
    location = repository.registry.patch(repository.begin(), content[:half])["Location"]
    if how == "kill":
        running.kill()
        running.start()
    else:
        running.restart()
    registry = repository.registry
    assert registry.get(repository.path("manifests/latest")).expect(200).body == image.raw
    assert registry.get(repository.path(f"blobs/{digest_of(content)}")).body == content
    status = registry.get(location).expect(204)
    assert status["Range"] == f"0-{half - 1}"
    target = with_query(status["Location"], digest=digest_of(content))
    registry.put(target, content[half:]).expect(201)


@requirement("life")
def test_running_push_is_finished(server: Start) -> None:
    """A push that is under way when SIGTERM comes is taken to its end, and is there afterwards."""
    running = server()
    registry = Registry(running.url)
    repository, content = registry.repository(), unique().encode() * 10_000
    target = with_query(repository.begin(), digest=digest_of(content))
    with registry.wire(8) as wire:
        wire.send(registry.head_of("PUT", target, (), content) + content[:50_000])
        time.sleep(0.3)
        running.terminate()
        time.sleep(0.5)
        wire.send(content[50_000:])
        wire.answer("PUT").expect(201)
        assert wire.is_closed()
    assert running.wait() == 0
    running.start()
    assert repository.has_blob(digest_of(content))
