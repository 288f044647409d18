"""The admin socket of a running server: for root and its own user, for the management API only."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from moorage.config import Config
from moorage.web import private
from process import Program, Server, find_tool, free_port, require_tool
from registry import Registry

pytestmark = pytest.mark.metadata

ON = {"MOORAGE_ADMIN_SOCKET": "on"}
NOBODY = 65_534
ASK = """
import os, socket, sys
os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[2]))
asked = socket.socket(socket.AF_UNIX)
asked.connect(sys.argv[1])
asked.sendall(b"GET /api/v1/whoami HTTP/1.1\\r\\nHost: moorage\\r\\nConnection: close\\r\\n\\r\\n")
while part := asked.recv(65536):
    sys.stdout.buffer.write(part)
"""


def socket_of(server: Server) -> Path:
    """Return the server's admin socket."""
    found = private.find(
        Config(data=str(server.data), database=server.env.get("MOORAGE_DATABASE", ""))
    )
    assert found is not None
    return found


def ask(
    path: Path, target: str, headers: Mapping[str, str] | None = None
) -> tuple[int, dict[str, Any]]:
    """Return the status and document of the answer to a GET over the socket."""
    connection = http.client.HTTPConnection("moorage")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(path))
    try:
        connection.request("GET", target, headers=dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or b"{}")
    finally:
        connection.close()


@pytest.fixture(scope="module")
def opened() -> Iterator[Server]:
    with Server(env=ON) as running:
        yield running
        running.stop()


def test_it_is_not_under_the_data_directory(opened: Server) -> None:
    path = socket_of(opened)
    assert not path.is_relative_to(opened.data)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert not [each for each in opened.data.rglob("*") if each.is_socket()]


def test_the_server_s_user_is_the_operator(opened: Server) -> None:
    status, document = ask(socket_of(opened), "/api/v1/whoami")
    assert (status, document["kind"]) == (200, "operator")


@pytest.mark.parametrize("target", ["/v2/", "/v2/_catalog", "/metrics", "/", "/api", "/v1/_ping"])
def test_it_has_the_management_api_only(opened: Server, target: str) -> None:
    assert ask(socket_of(opened), target)[0] == 404


@pytest.mark.parametrize(
    "name",
    [
        *("Origin", "Referer", "Cookie", "Sec-Fetch-Site", "sec-fetch-mode", "Sec-CH-UA"),
        *("Via", "Forwarded", "X-Forwarded-For", "x-real-ip"),
    ],
)
def test_pages_and_proxies_are_refused(opened: Server, name: str) -> None:
    assert ask(socket_of(opened), "/api/v1/whoami", {name: "http://moorage"})[0] == 403


@pytest.mark.parametrize("host", ["localhost", "registry.example", "moorage:80", "admin.sock"])
def test_a_proxy_that_was_pointed_at_it_is_refused(opened: Server, host: str) -> None:
    """nginx in front of it would let everybody in as the administrator."""
    assert ask(socket_of(opened), "/api/v1/whoami", {"Host": host})[0] == 403


@pytest.mark.needs_root
def test_another_user_can_t_reach_it(opened: Server) -> None:
    asked = subprocess.run(
        [sys.executable, "-c", ASK, str(socket_of(opened)), str(NOBODY)],
        capture_output=True,
        check=False,
    )
    assert b"PermissionError" in asked.stderr


@pytest.mark.needs_root
def test_another_user_who_reaches_it_is_refused() -> None:
    """The kernel's word on who connects is a bar of its own, behind the directory's mode."""
    with Server(env=ON) as running:
        path = socket_of(running)
        path.parent.chmod(0o755)
        path.chmod(0o666)
        asked = subprocess.run(
            [sys.executable, "-c", ASK, str(path), str(NOBODY)], capture_output=True, check=True
        )
        assert asked.stdout.startswith(b"HTTP/1.1 403 "), asked.stdout
        assert b"operator" not in asked.stdout
        path.parent.chmod(0o700)
        running.stop()


@pytest.mark.parametrize("how", ["killed", "left a file"])
def test_what_a_dead_server_left_is_replaced(server: Callable[..., Server], how: str) -> None:
    running = server(env=ON)
    path = socket_of(running)
    running.kill()
    assert path.exists()
    if how == "left a file":
        path.unlink()
        path.write_text("")
    running.start()
    assert ask(socket_of(running), "/api/v1/whoami")[0] == 200
    running.stop()


NGINX = """
user root;
daemon off;
worker_processes 1;
pid {home}/pid;
error_log {home}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass http://unix:{socket}:; }}
        location /v1.1/ {{ proxy_http_version 1.1; proxy_pass http://unix:{socket}:/; }}
    }}
}}
"""


@pytest.mark.needs_root
@require_tool("nginx")
def test_a_real_proxy_as_root_lets_nobody_in(opened: Server, tmp_path: Path) -> None:
    port, path = free_port(), socket_of(opened)
    (tmp_path / "nginx.conf").write_text(NGINX.format(home=tmp_path, port=port, socket=path))
    nginx = find_tool("nginx")
    assert nginx is not None
    with Program([nginx, "-c", str(tmp_path / "nginx.conf")], port, tmp_path / "log"):
        for target in ("/api/v1/whoami", "/v1.1/api/v1/whoami"):
            answer = Registry(f"http://127.0.0.1:{port}").get(target)
            assert answer.status == 403, answer.body


def test_it_stays_when_its_process_ends(opened: Server) -> None:
    """The supervisor has the listener, and the process that answers is made anew."""
    for pid in opened.children():
        os.kill(pid, signal.SIGKILL)
    assert ask(socket_of(opened), "/api/v1/whoami")[0] == 200


def test_it_goes_with_its_server(server: Callable[..., Server]) -> None:
    running = server(env=ON)
    path = socket_of(running)
    running.stop()
    assert not path.parent.exists()


def test_off_is_off(server: Callable[..., Server]) -> None:
    running = server(env={"MOORAGE_ADMIN_SOCKET": "off"})
    assert private.find(Config(data=str(running.data))) is None


def test_in_a_container_it_must_be_asked_for(server: Callable[..., Server]) -> None:
    running = server(env={"container": "podman"})
    assert private.find(Config(data=str(running.data))) is None


def test_an_open_directory_is_refused(server: Callable[..., Server], tmp_path: Path) -> None:
    running = server(env=ON)
    path = socket_of(running)
    running.kill()
    path.parent.chmod(0o755)
    try:
        with pytest.raises(AssertionError, match="lets others in"):
            running.start()
    finally:
        private.clear(path.parent)
