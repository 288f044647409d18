"""Local mode: without any account the registry serves its own machine and nobody behind a proxy."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from process import Program, Server, find_tool, free_port, require_tool
from registry import Answer, Registry, Wire, digest_of, requirement, unique

FORWARDED = [
    {"Forwarded": "for=192.0.2.1;proto=https"},
    {"Via": "1.1 proxy.example"},
    {"X-Forwarded-For": "192.0.2.1"},
    {"X-Forwarded-For": "127.0.0.1"},
    {"X-Forwarded-Host": "registry.example.com"},
    {"X-Forwarded-Proto": "https"},
    {"X-Forwarded-Port": "443"},
    {"X-Real-IP": "192.0.2.1"},
    {"x-real-ip": ""},
]
FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "http://127.0.0.1"},
    {"Origin": "http://localhost.evil.example:{port}"},
    {"Origin": "https://127.0.0.1:{port}"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Host": "registry.example.com"},
    {"Host": "evil.example:{port}"},
    {"Host": "127.0.0.1.evil.example:{port}"},
    {"Host": "localhost.evil.example"},
    {"Host": "192.0.2.1:{port}"},
    {"Host": "0.0.0.0:{port}"},
    {"Host": "[2001:db8::1]:{port}"},
]
OWN = [
    {"Origin": "http://127.0.0.1:{port}"},
    {"Origin": "http://localhost:{port}", "Host": "localhost:{port}"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1:{port}"},
    {"Sec-Fetch-Site": "none"},
    {"Host": "localhost:{port}"},
    {"Host": "LOCALHOST:{port}"},
    {"Host": "[::1]:{port}"},
    {"Host": "127.0.0.1:{port}"},
]
NGINX = """
user {user}; daemon off; pid {root}/nginx.pid; error_log {root}/error.log;
events {{ }}
http {{
  access_log off;
  client_body_temp_path {root}/body; proxy_temp_path {root}/proxy;
  fastcgi_temp_path {root}/f; uwsgi_temp_path {root}/u; scgi_temp_path {root}/s;
  server {{
    listen 127.0.0.1:{port};
    {limits}
    location / {{ proxy_pass http://127.0.0.1:{target}; {more} }}
  }}
}}
"""
RECOMMENDED = {
    "limits": "client_max_body_size 0;",
    "more": (
        "proxy_request_buffering off; proxy_http_version 1.1; proxy_set_header Host $http_host;"
    ),
}
HAPROXY = """
global
    user {user}
    group {user}
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend in
    bind 127.0.0.1:{port}
    default_backend out
backend out
    server one 127.0.0.1:{target}
"""
OTHER_USER = """
import os, socket, sys
os.setgid(65534); os.setuid(65534)
with socket.socket() as connection:
    connection.connect(("127.0.0.1", int(sys.argv[1])))
    connection.sendall(sys.stdin.buffer.read())
    while part := connection.recv(65536):
        sys.stdout.buffer.write(part)
"""


@pytest.fixture(scope="module")
def local(moorage: Server) -> Registry:
    """Return the registry in local mode, on its own connections."""
    return Registry(moorage.url)


@pytest.fixture
def prefix() -> Iterator[Path]:
    """Return a directory that a proxy can use as another user."""
    with tempfile.TemporaryDirectory(prefix="proxy-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def check_refused(answer: Answer) -> None:
    """Check a 403 DENIED that says what to do, and gives no right to a browser."""
    answer.expect(403, "DENIED")
    advice = json.dumps(answer.json()["errors"])
    assert re.search(r"(?i)administrator|account|set-?up|MOORAGE_|trusted_prox|\burl\b", advice)
    assert len(advice) > 60
    assert answer.get("Access-Control-Allow-Origin") is None


def check_nothing_works(registry: Registry, local: Registry, headers: dict[str, str]) -> None:
    """Check that neither reading nor pushing is allowed, and that nothing has been stored."""
    name, content = f"{unique()}/app", unique().encode()
    with registry.wire() as wire:
        check_refused(registry.request("GET", "/v2/", headers, wire=wire))
    path = f"/v2/{name}/blobs/uploads/?digest={digest_of(content)}"
    check_refused(registry.post(path, content, headers))
    local.head(f"/v2/{name}/blobs/{digest_of(content)}").expect(404)
    local.get(f"/v2/{name}/tags/list").expect(404, "NAME_UNKNOWN")


@requirement("local-mode", "S-110")
@pytest.mark.parametrize("headers", FORWARDED + FOREIGN, ids=str)
def test_refused(local: Registry, headers: dict[str, str]) -> None:
    """A request that came through a proxy or from another site is 403 and changes nothing."""
    filled = {name: value.format(port=local.port) for name, value in headers.items()}
    check_nothing_works(local, local, filled)


@requirement("local-mode")
@pytest.mark.parametrize("headers", OWN, ids=str)
def test_accepted(local: Registry, headers: dict[str, str]) -> None:
    """Our own pages and every loopback name of the host are served, without a CORS header."""
    filled = {name: value.format(port=local.port) for name, value in headers.items()}
    answer = local.get("/v2/", filled).expect(200)
    assert answer.get("Access-Control-Allow-Origin") is None
    local.post(f"/v2/{unique()}/blobs/uploads/", b"", filled).expect(202)


@requirement("local-mode")
@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost"])
def test_http_1_0_is_refused(local: Registry, host: str) -> None:
    """HTTP/1.0, which stock proxies speak, is 403."""
    with local.wire() as wire:
        head = f"GET /v2/ HTTP/1.0\r\nHost: {host.format(port=local.port)}\r\n\r\n"
        wire.send(head.encode())
        check_refused(wire.answer())


@requirement("local-mode", "S-73")
@pytest.mark.parametrize("origin", ["http://127.0.0.1:{port}", "https://evil.example", "null"])
@pytest.mark.parametrize("method", ["GET", "OPTIONS", "POST"])
def test_no_cors(local: Registry, origin: str, method: str) -> None:
    """No origin gets a CORS header, on no method."""
    headers = {
        "Origin": origin.format(port=local.port),
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "content-type",
    }
    answer = local.request(method, "/v2/", headers)
    assert not [name for name, _ in answer.headers if name.lower().startswith("access-control-")]


@requirement("local-mode")
@pytest.mark.needs_root
def test_another_user_is_refused(local: Registry) -> None:
    """On Linux a connection of another user of the machine is 403; our own user's is not."""
    content = unique().encode()
    target = f"/v2/{unique()}/app/blobs/uploads/?digest={digest_of(content)}"
    request = local.head_of("POST", target, {"Connection": "close"}, content) + content
    command = [sys.executable, "-c", OTHER_USER, str(local.port)]
    done = subprocess.run(command, input=request, capture_output=True, timeout=30, check=True)
    assert done.stdout.startswith(b"HTTP/1.1 403 "), done
    assert b'"DENIED"' in done.stdout
    with local.wire() as wire:
        wire.send(request)
        wire.answer("POST").expect(201)


def nginx(root: Path, target: int, user: str, **settings: str) -> Program:
    """Return an nginx in front of a port."""
    port, config = free_port(), root / "nginx.conf"
    values = {"limits": "", "more": "", **settings}
    config.write_text(NGINX.format(root=root, port=port, target=target, user=user, **values))
    program = find_tool("nginx") or "nginx"
    command = [program, "-p", str(root), "-c", str(config), "-e", str(root / "start.log")]
    return Program(command, port, root / "output.log")


def haproxy(root: Path, target: int, user: str) -> Program:
    """Return an HAProxy in front of a port."""
    port, config = free_port(), root / "haproxy.cfg"
    config.write_text(HAPROXY.format(port=port, target=target, user=user))
    command = [find_tool("haproxy") or "haproxy", "-db", "-f", str(config)]
    return Program(command, port, root / "output.log")


@requirement("local-mode")
@require_tool("nginx")
@pytest.mark.needs_root
@pytest.mark.parametrize("user", ["www-data", "root"])
@pytest.mark.parametrize("host", [None, "registry.example.com"])
def test_stock_nginx_is_refused(local: Registry, prefix: Path, user: str, host: str | None) -> None:
    """Behind a plain `proxy_pass` nobody is local, whoever nginx runs as."""
    with nginx(prefix, local.port, user) as proxy:
        headers = {"Host": host} if host else {}
        check_nothing_works(Registry(proxy.url), local, headers)


@requirement("local-mode")
@require_tool("nginx")
@pytest.mark.needs_root
def test_recommended_nginx_is_refused_too(local: Registry, prefix: Path) -> None:
    """With HTTP/1.1 and the client's Host nginx is given away by its user."""
    with nginx(prefix, local.port, "www-data", **RECOMMENDED) as proxy:
        check_nothing_works(Registry(proxy.url), local, {})


@requirement("local-mode")
@require_tool("haproxy")
@pytest.mark.needs_root
@pytest.mark.parametrize("host", [None, "registry.example.com", "localhost"])
def test_stock_haproxy_is_refused(local: Registry, prefix: Path, host: str | None) -> None:
    """Behind a plain HAProxy nobody is local, whatever Host he sends."""
    with haproxy(prefix, local.port, "haproxy") as proxy:
        headers = {"Host": host} if host else {}
        check_nothing_works(Registry(proxy.url), local, headers)


@requirement("local-mode")
@require_tool("haproxy")
@pytest.mark.needs_root
def test_haproxy_of_our_user_and_another_host(local: Registry, prefix: Path) -> None:
    """A proxy that runs as our own user is given away by the client's Host."""
    with haproxy(prefix, local.port, "root") as proxy:
        check_nothing_works(Registry(proxy.url), local, {"Host": "registry.example.com"})


@requirement("proxy", "Q-26")
@require_tool("nginx")
@pytest.mark.needs_root
def test_nginx_before_an_administered_registry(administrator: Registry, prefix: Path) -> None:
    """With an administrator a push and a pull go through nginx, relative Locations included."""
    with nginx(prefix, administrator.port, "www-data", **RECOMMENDED) as proxy:
        through = Registry(proxy.url)
        through.authorization = administrator.authorization
        Registry(proxy.url).get("/v2/").expect(401, "UNAUTHORIZED")
        repository = through.repository()
        content = unique().encode() * 200_000
        digest = digest_of(content)
        location = through.patch(repository.begin(), [content[:1000], content[1000:]])["Location"]
        assert location.startswith("/v2/")
        through.put(f"{location}{'&' if '?' in location else '?'}digest={digest}", b"").expect(201)
        image = repository.push_image("latest")
        assert through.get(repository.path(f"blobs/{digest}")).expect(200).body == content
        assert through.get(repository.path("manifests/latest")).expect(200).body == image.raw


@requirement("local-mode")
def test_administrator_ends_local_mode(administered: Registry) -> None:
    """With an administrator a proxy's headers are ignored, and credentials are needed."""
    for headers in (*FORWARDED, {"Host": "registry.example.com"}):
        administered.get("/v2/", headers).expect(401, "UNAUTHORIZED")


@requirement("local-mode")
def test_wire_of_local_mode(local: Registry) -> None:
    """Each request of a kept connection is judged by itself."""
    with Wire(local.host, local.port) as wire:
        local.request("GET", "/v2/", wire=wire).expect(200)
        check_refused(local.request("GET", "/v2/", {"Via": "1.1 x"}, wire=wire))
        local.request("GET", "/v2/", wire=wire).expect(200)
