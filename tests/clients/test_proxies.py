"""What `moorage config proxy` prints, in front of real replicas, as root and as another user.

Everything here holds over any number of replicas: a shape of `REPLICAS` starts them.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pytest

from fronts import NGINX, printed, proxy
from moorage.cli.main import commands
from moorage.errors import Refused
from process import Server, find_tool, free_port, require_tool
from registry import Registry, digest_of, unique, with_query

pytestmark = pytest.mark.on("sqlite")  # the shapes are its own: `REPLICAS`
PASSWORD = "correct horse battery staple"
MIB = 1 << 20
# The proxy may write no file beyond this: a body on its disk would be an error.
LARGEST_FILE = MIB


@dataclass(frozen=True)
class Replicas:
    """Addresses of one registry's servers, and how its administrator is known."""

    addresses: tuple[str, ...]
    authorization: str | None


@contextlib.contextmanager
def one_server(directory: Path) -> Iterator[Replicas]:
    """Run the embedded shape: one server, two processes."""
    secret = directory / "password"
    secret.write_text(PASSWORD)
    env = {
        "MOORAGE_ADMIN_USER": "admin",
        "MOORAGE_ADMIN_PASSWORD_FILE": str(secret),
        # It is the proxy that bodies are to pass through.
        "MOORAGE_REDIRECT__BLOBS": "false",
    }
    with Server(directory / "data", env=env) as server:
        registry = Registry(server.url, ("admin", PASSWORD))
        yield Replicas((server.address,), registry.authorization)


@contextlib.contextmanager
def three_replicas(directory: Path) -> Iterator[Replicas]:
    """Run the fleet: three servers over PostgreSQL and S3, with every byte through the proxy."""
    from fleet import Fleet

    with Fleet(directory, 3, settings={"MOORAGE_REDIRECT__BLOBS": "false"}) as fleet:
        registry = Registry(fleet.servers[0].url, fleet.credentials)
        yield Replicas(fleet.addresses, registry.authorization)


# Each shape is started once, for all proxies; the last of them stays until all tests are done.
REPLICAS: dict[str, Callable[[Path], AbstractContextManager[Replicas]]] = {
    "three replicas": three_replicas,
    "one server": one_server,
}


@pytest.fixture(scope="session", params=REPLICAS)
def replicas(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Replicas]:
    """Start the servers of each shape."""
    with REPLICAS[request.param](tmp_path_factory.mktemp("replicas")) as running:
        yield running


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    """Return a directory that another user may enter."""
    with directory() as made:
        yield made


@contextlib.contextmanager
def directory() -> Iterator[Path]:
    """Make a directory for a proxy, which may not run as root."""
    made = Path(tempfile.mkdtemp(prefix="moorage-proxy-"))
    made.chmod(0o755)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


NEEDS = {name: require_tool(name) for name in ("nginx", "haproxy")}
PROXIES = [pytest.param((name, False), id=name, marks=mark) for name, mark in NEEDS.items()]
AS_NOBODY = [
    pytest.param((name, True), id=f"{name} as nobody", marks=[mark, pytest.mark.needs_root])
    for name, mark in NEEDS.items()
]


@pytest.fixture(scope="module", params=[*PROXIES, *AS_NOBODY])
def through(request: pytest.FixtureRequest, replicas: Replicas) -> Iterator[Registry]:
    """Return the registry as it is seen through a proxy."""
    program, is_nobody = request.param
    with (
        directory() as root,
        proxy(
            program, root, replicas.addresses, is_nobody=is_nobody, largest_file=LARGEST_FILE
        ) as running,
    ):
        registry = Registry(running.url)
        registry.authorization = replicas.authorization
        yield registry


def test_an_image_goes_there_and_back(through: Registry) -> None:
    repository = through.repository()
    image = repository.push_image("latest")
    assert repository.tagged("latest") == image.digest
    assert through.get(repository.path("manifests/latest")).expect(200).body == image.raw
    through.delete(repository.path(f"manifests/{image.digest}")).expect(202)
    assert repository.tagged("latest") is None


@pytest.mark.parametrize("is_chunked", [True, False])
def test_a_layer_in_chunks_of_64_mib(through: Registry, is_chunked: bool) -> None:
    """Bodies go through as they come, of known length or not; ranges and HEAD come back."""
    repository = through.repository()
    content = secrets.token_bytes(MIB) * 160
    location = repository.begin()
    for start in range(0, len(content), 64 * MIB):
        part = content[start : start + 64 * MIB]
        body = [part[at : at + MIB] for at in range(0, len(part), MIB)] if is_chunked else part
        headers = {"Content-Range": f"{start}-{start + len(part) - 1}"}
        answer = through.patch(location, body, headers).expect(202)
        assert answer["Range"] == f"0-{start + len(part) - 1}"
        location = answer["Location"]
    digest = digest_of(content)
    through.put(with_query(location, digest=digest), b"").expect(201)
    path = repository.path(f"blobs/{digest}")
    assert through.head(path).expect(200)["Content-Length"] == str(len(content))
    assert through.get(path).expect(200).body == content
    part = through.get(path, {"Range": "bytes=99999999-100000008"}).expect(206)
    assert part.body == content[99_999_999:100_000_009]


def test_an_upload_of_200_mib_in_one_request(through: Registry) -> None:
    """It is never on the proxy's disk: it could not write a file of this size."""
    repository = through.repository()
    piece, count = secrets.token_bytes(MIB), 200
    digest = digest_of(piece * count)
    target = with_query(repository.begin(), digest=digest)
    with through.wire(60) as wire:
        length = str(len(piece) * count)
        wire.send(through.head_of("PUT", target, {"Content-Length": length}))
        for _ in range(count):
            wire.send(piece)
        wire.answer("PUT").expect(201)


def test_a_wrong_offset_is_told_and_the_upload_goes_on(through: Registry) -> None:
    repository = through.repository()
    content = secrets.token_bytes(3 * MIB)
    first = through.patch(repository.begin(), content[:MIB]).expect(202)
    wrong = {"Content-Range": f"{2 * MIB}-{3 * MIB - 1}"}
    refused = through.patch(first["Location"], content[2 * MIB :], wrong).expect(416)
    assert refused["Range"] == f"0-{MIB - 1}"
    status = through.get(first["Location"]).expect(204)
    assert status["Range"] == f"0-{MIB - 1}"
    right = {"Content-Range": f"{MIB}-{3 * MIB - 1}"}
    last = through.patch(status["Location"], content[MIB:], right).expect(202)
    through.put(with_query(last["Location"], digest=digest_of(content)), b"").expect(201)


@pytest.mark.parametrize("is_chunked", [True, False])
def test_a_refusal_comes_through_before_the_body(through: Registry, is_chunked: bool) -> None:
    """Moorage reads no body of somebody whom it refuses, and the proxy still passes on why."""
    stranger = Registry(through.url)
    body = [bytes(MIB)] * 20 if is_chunked else bytes(20 * MIB)
    stranger.put("/v2/a/b/manifests/1", body).expect(401, "UNAUTHORIZED")


@pytest.mark.parametrize("size", [12 << 10, 60_000])
def test_a_long_token(through: Registry, size: int) -> None:
    """It reaches Moorage, which says that it doesn't know it; so does any other header."""
    token = secrets.token_hex(size // 2)
    through.get("/v2/", {"Authorization": f"Bearer {token}"}).expect(401, "UNAUTHORIZED")
    through.get("/v2/", {"X-Something": token}).expect(200)


def test_the_request_has_an_id_of_the_proxys(through: Registry) -> None:
    answers = [through.get("/v2/", {"X-Request-Id": "mine"}).expect(200) for _ in range(2)]
    ids = {answer["X-Request-Id"] for answer in answers}
    assert len(ids) == 2
    assert "mine" not in ids


@pytest.mark.parametrize("method", ["GET", "PUT"])
@pytest.mark.parametrize("rest", ["%61", "a%2fb", "a//b", "..", "a%0ab", "%2e%2e"])
def test_paths_are_passed_on_as_written(
    through: Registry, replicas: Replicas, method: str, rest: str
) -> None:
    direct = Registry(f"http://{replicas.addresses[0]}")
    direct.authorization = replicas.authorization
    target = f"/v2/{unique()}/{rest}/manifests/1"
    answers = [each.request(method, target, body=b"{}") for each in (direct, through)]
    assert answers[0].status == answers[1].status
    assert answers[0].codes == answers[1].codes


def test_a_connection_is_used_again(through: Registry) -> None:
    """Answers with a body and without keep the client's connection."""
    repository = through.repository()
    image = repository.push_image("latest")
    with through.wire() as wire:
        for method in ("GET", "HEAD", "GET"):
            target = repository.path(f"manifests/{image.digest}")
            through.request(method, target, wire=wire).expect(200)
        through.request("POST", repository.path("blobs/uploads/"), wire=wire).expect(202)
        through.request("GET", "/v2/", wire=wire).expect(200)


@pytest.mark.parametrize("program", PROXIES)
def test_a_dead_replica_is_not_noticed(
    program: tuple[str, bool], replicas: Replicas, root: Path
) -> None:
    """What could not be sent is sent to another one, whatever it is and whatever it carries."""
    dead = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    addresses = (dead[0], *replicas.addresses, dead[1])
    with proxy(program[0], root, addresses) as running:
        registry = Registry(running.url)
        registry.authorization = replicas.authorization
        for length in (0, 64, 100_000, 900_000, 1_000_000, 3 * MIB) * 2:
            repository = registry.repository()
            content = secrets.token_bytes(length or 64)
            location = repository.begin()
            if not length:
                location = registry.patch(location, content).expect(202)["Location"]
            body = content if length else b""
            registry.put(with_query(location, digest=digest_of(content)), body).expect(201)
            assert repository.has_blob(digest_of(content))
            registry.delete(repository.path(f"blobs/{digest_of(content)}")).expect(202)


def everything(connection: socket.socket) -> bytes:
    """Read a request to its end; empty if nothing comes."""
    raw = b""
    while not is_whole(raw) and (more := connection.recv(1 << 20)):
        raw += more
    return raw


def is_whole(raw: bytes) -> bool:
    """Tell whether a request has its head and the body that the head announces."""
    head, _, body = raw.partition(b"\r\n\r\n")
    if b"chunked" in head.lower():
        return body.endswith(b"0\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    return b"\r\n\r\n" in raw and len(body) == int(length[1] if length else 0)


@dataclass
class Dying:
    """A replica that takes a request and dies with it; it is well when asked whether it is."""

    port: int = 0
    taken: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                head = everything(connection)
                if head.startswith(b"GET /healthz "):
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                elif head:
                    self.taken.append(head.split(b" ")[0].decode())


@pytest.mark.parametrize("program", PROXIES)
@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
@pytest.mark.parametrize(
    "body",
    [None, b"", b"body", bytes(100_000), bytes(999_999), bytes(MIB), [b"in", b"chunks"]],
    ids=lambda body: f"{len(body)} pieces" if isinstance(body, list) else f"{len(body or b'')}",
)
def test_what_was_sent_is_not_sent_again(
    program: tuple[str, bool], method: str, body: bytes | list[bytes] | None, root: Path
) -> None:
    """It may have been done: only the client knows whether it may be repeated."""
    with Dying() as one, Dying() as two:
        addresses = (f"127.0.0.1:{one.port}", f"127.0.0.1:{two.port}")
        with proxy(program[0], root, addresses) as running:
            head = {"Content-Length": None} if body is None else {}
            answer = Registry(running.url).request(method, "/v2/a/b", head, body)
            assert answer.status == 502
            assert [*one.taken, *two.taken] == [method]


@require_tool("nginx")
def test_nginx_asks_another_replica_for_what_can_be_read_twice(root: Path) -> None:
    with Dying() as one, Dying() as two:
        addresses = (f"127.0.0.1:{one.port}", f"127.0.0.1:{two.port}")
        with proxy("nginx", root, addresses) as running:
            Registry(running.url).get("/v2/a/b").expect(502)
            assert one.taken == two.taken == ["GET"]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a certificate and its key in one file."""
    made = tmp_path_factory.mktemp("pair") / "pair.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=registry.example", "-keyout", str(made), "-out", f"{made}.crt"]
    subprocess.run(command, check=True, capture_output=True)
    made.write_text(made.read_text() + Path(f"{made}.crt").read_text())
    return made


FORMS = [
    [],
    ["--listen", ":5000", "--url", "https://registry.example:8443"],
    ["--listen", "unix:/run/moorage/moorage.sock"],
    ["--replica", "[2001:db8::7]:5000", "--replica", "192.0.2.7:5000"],
    ["--replica", "localhost:5000", "--bind", "[::1]:8443"],
]


@pytest.mark.parametrize("options", FORMS)
@pytest.mark.parametrize("is_tls", [True, False])
@require_tool("nginx")
@require_tool("haproxy")
@require_tool("openssl")
def test_both_take_every_form(options: list[str], is_tls: bool, pair: Path, tmp_path: Path) -> None:
    """`nginx -t` and `haproxy -c` find nothing to complain about."""
    bind = [] if "--bind" in options else ["--bind", f"127.0.0.1:{free_port()}"]
    for program in ("nginx", "haproxy"):
        more = ["--cert", str(pair)] if is_tls else []
        more += ["--key", str(pair)] if is_tls and program == "nginx" else []
        more += ["--user", ""] if os.geteuid() and program == "haproxy" else []
        (tmp_path / "moorage.conf").write_text(printed(program, *options, *bind, *more))
        (tmp_path / "nginx.conf").write_text(NGINX.format(root=tmp_path, user=""))
        check = {
            "nginx": ["-t", "-p", tmp_path, "-e", "stderr", "-c", tmp_path / "nginx.conf"],
            "haproxy": ["-c", "-f", tmp_path / "moorage.conf"],
        }[program]
        command = [find_tool(program) or program, *check]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done
        assert "[warn]" not in done.stderr, done
        assert "[WARNING]" not in done.stderr, done


@pytest.mark.parametrize(
    "options",
    [
        ["--replica", "a;b:5000"],
        ["--replica", "a b:5000"],
        ["--replica", "a:0"],
        ["--replica", "a:65536"],
        ["--replica", "a"],
        ["--replica", ":5000"],
        ["--replica", "a\n:5000"],
        ["--replica", "[fe80::1%eth0]:5000"],
        ["--replica", "unix:/run/a b"],
        ["--replica", "unix:a"],
        ["--server-name", "a; return 200"],
        ["--server-name", "a\n"],
        ["--server-name", "-a"],
        ["--server-name", "a" * 64],
        ["--bind", "registry.example:443"],
        ["--bind", "443"],
        ["--cert", "/etc/a b.pem", "--key", "/etc/key.pem"],
        ["--cert", "cert.pem", "--key", "/etc/key.pem"],
        ["--cert", "/etc/cert.pem;", "--key", "/etc/key.pem"],
        ["--tls-cert", "/etc/cert.pem", "--tls-key", "/etc/key.pem"],
    ],
)
@pytest.mark.parametrize("program", ["nginx", "haproxy"])
def test_what_can_not_stand_in_the_file_is_refused(program: str, options: list[str]) -> None:
    with pytest.raises(Refused) as refused:
        commands.main(["config", "proxy", program, *options], standalone_mode=False)
    assert refused.value.exit_code == 2


@pytest.mark.parametrize(
    ("program", "options"),
    [
        ("nginx", ["--cert", "/etc/cert.pem"]),
        ("haproxy", ["--cert", "/etc/cert.pem", "--key", "/etc/key.pem"]),
        ("haproxy", ["--user", "a b"]),
        ("haproxy", ["--user", "root\nchroot"]),
    ],
)
def test_what_one_of_them_can_not_do_is_refused(program: str, options: list[str]) -> None:
    with pytest.raises(Refused) as refused:
        commands.main(["config", "proxy", program, *options], standalone_mode=False)
    assert refused.value.exit_code == 2
