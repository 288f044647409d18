"""How a server is started and reached: TLS with reload, Unix sockets, and the command line."""

import hashlib
import http.client
import json
import os
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from api import PASSWORD, Api
from process import Server, free_port, run_moorage

Start = Callable[..., Server]
CONTENT = os.urandom(3_000_000)
DIGEST = "sha256:" + hashlib.sha256(CONTENT).hexdigest()


def make_certificate(directory: Path, name: str) -> None:
    """Write `cert.pem` and `key.pem` for localhost, self-signed, with that common name."""
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-keyout", str(directory / "key.pem"), "-out", str(directory / "cert.pem")),
            *("-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )


def served_name(port: int) -> str:
    """Return the whole certificate that a new handshake is given, in PEM."""
    return ssl.get_server_certificate(("127.0.0.1", port))


def connect(port: int, directory: Path) -> closing[http.client.HTTPSConnection]:
    """Return a connection that trusts the certificate, to be closed."""
    context = ssl.create_default_context(cafile=str(directory / "cert.pem"))
    return closing(http.client.HTTPSConnection("localhost", port, context=context, timeout=20))


def answer(
    connection: http.client.HTTPConnection, method: str, path: str, body: Any = None, **headers: str
) -> tuple[int, bytes]:
    """Send a request and return the status and the body."""
    connection.request(method, path, body, headers)
    got = connection.getresponse()
    return got.status, got.read()


@pytest.fixture
def encrypted(tmp_path: Path) -> Iterator[tuple[Server, Path]]:
    """Yield a server on TLS and the directory of its certificate."""
    make_certificate(tmp_path, "first")
    args = ("--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem"))
    running = Server(args=args)
    running.launch()
    try:
        until = time.monotonic() + 20
        while True:
            try:
                served_name(running.port)
                break
            except OSError:
                assert time.monotonic() < until, running.stderr_tail()
                time.sleep(0.05)
        yield running, tmp_path
    finally:
        running.close()


def test_push_and_pull_over_tls(encrypted: tuple[Server, Path]) -> None:
    """A blob goes in and comes out over TLS, whole and by ranges, in local mode."""
    running, directory = encrypted
    path = f"/v2/tls/app/blobs/uploads/?digest={DIGEST}"
    blob = f"/v2/tls/app/blobs/{DIGEST}"
    with connect(running.port, directory) as client:
        assert answer(client, "POST", path, CONTENT)[0] == 201
        assert answer(client, "GET", blob) == (200, CONTENT)
        assert answer(client, "GET", blob, Range="bytes=100-1000099") == (206, CONTENT[100:1000100])
        status, parts = answer(client, "GET", blob, Range="bytes=0-9,2000000-2900000")
        assert status == 206
        assert CONTENT[2_000_000:2_900_001] in parts


@pytest.mark.on("directory")
def test_damage_is_never_served_whole_over_tls(encrypted: tuple[Server, Path]) -> None:
    """A bit that has turned on the disk breaks the connection before the end; a push heals it."""
    running, directory = encrypted
    path = f"/v2/tls/app/blobs/uploads/?digest={DIGEST}"
    blob = f"/v2/tls/app/blobs/{DIGEST}"
    with connect(running.port, directory) as client:
        assert answer(client, "POST", path, CONTENT)[0] == 201
        (place,) = (running.data / "objects").glob("*/*")
        damaged = bytearray(CONTENT)
        damaged[1_500_000] ^= 1
        place.write_bytes(damaged)
        with pytest.raises((http.client.IncompleteRead, ConnectionError, ssl.SSLError)):
            answer(client, "GET", blob)
    with connect(running.port, directory) as client:
        # Clients ask first: only a blob that is absent is sent again.
        assert answer(client, "HEAD", blob)[0] == 404
        assert answer(client, "POST", path, CONTENT)[0] == 201
        assert answer(client, "GET", blob) == (200, CONTENT)


@pytest.mark.on("directory")
def test_a_blob_that_is_gone_is_asked_for_again(server: Start) -> None:
    """Bytes that are missing from the disk are answered as absent everywhere, until a push."""
    running = server()
    path = f"/v2/app/blobs/uploads/?digest={DIGEST}"
    blob = f"/v2/app/blobs/{DIGEST}"
    with closing(http.client.HTTPConnection("127.0.0.1", running.port, timeout=20)) as client:
        assert answer(client, "POST", path, CONTENT)[0] == 201
        (place,) = (running.data / "objects").glob("*/*")
        place.unlink()
        assert answer(client, "GET", blob)[0] == 404
        assert answer(client, "HEAD", blob)[0] == 404
        assert answer(client, "POST", path, CONTENT)[0] == 201
        assert answer(client, "GET", blob) == (200, CONTENT)


def test_nobody_may_say_so(tmp_path: Path, server: Start) -> None:
    """An empty name with an empty password is nobody, and is asked to sign in, not called wrong."""
    (tmp_path / "password").write_text("a-long-enough-password")
    env = {
        "MOORAGE_ADMIN_USER": "admin",
        "MOORAGE_ADMIN_PASSWORD_FILE": str(tmp_path / "password"),
    }
    running = server(env=env)
    with closing(http.client.HTTPConnection("127.0.0.1", running.port, timeout=20)) as client:
        status, told = answer(client, "GET", "/v2/", Authorization="Basic Og==")
        assert status == 401
        assert b"signed-in user" in told


def test_certificate_is_followed(encrypted: tuple[Server, Path]) -> None:
    """A renewed certificate is served at the next handshake; half of a pair changes nothing."""
    running, directory = encrypted
    first = served_name(running.port)
    (directory / "key.pem").write_text("being written")
    assert served_name(running.port) == first
    make_certificate(directory, "second")
    second = served_name(running.port)
    assert second != first
    assert second.strip() == (directory / "cert.pem").read_text().strip()


def test_unix_socket_needs_an_administrator(tmp_path: Path) -> None:
    """On a Unix socket nobody is local; the administrator gets in with a password."""
    place, password = tmp_path / "m.sock", tmp_path / "password"
    password.write_text("a-long-enough-password\n")
    env = {"MOORAGE_ADMIN_USER": "admin", "MOORAGE_ADMIN_PASSWORD_FILE": str(password)}
    with Server(args=("--listen", f"unix:{place}"), env=env):
        assert place.stat().st_mode & 0o077 == 0
        for credentials, status in (("", 401), ("Authorization: Basic YWRtaW46YWRtaW4=\r\n", 401)):
            assert ask_unix(place, credentials).startswith(f"HTTP/1.1 {status} ".encode())
        right = "Authorization: Basic YWRtaW46YS1sb25nLWVub3VnaC1wYXNzd29yZA==\r\n"
        assert ask_unix(place, right).startswith(b"HTTP/1.1 200 ")
    with Server(args=("--listen", f"unix:{place}")):
        refused = ask_unix(place, "")
        assert refused.startswith(b"HTTP/1.1 403 ")
        assert b"MOORAGE_ADMIN_USER" in refused


def ask_unix(place: Path, headers: str) -> bytes:
    """Return what a version check over the socket is answered."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(place))
        head = f"GET /v2/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n"
        connection.sendall(head.encode())
        return b"".join(iter(lambda: connection.recv(65_536), b""))


@pytest.mark.on("sqlite")
@pytest.mark.on("directory")
def test_doctor_finds_nothing_wrong(server: Start) -> None:
    """Beside a running server the doctor pushes and pulls, and exits 0."""
    running = server()
    place = ("--listen", running.address, "--data", str(running.data))
    done = run_moorage("doctor", "--json", *place, MOORAGE_LIMITS__FREE_BYTES="1")
    findings = json.loads(done.stdout)
    assert done.returncode == 0, done
    assert {finding["check"] for finding in findings if finding["state"] == "ok"} >= {
        "data directory",
        "fsync",
        "disk space",
        "clock",
        "push and pull",
    }
    assert Api(running.url).items("/repositories") == []


def start_administered(
    server: Start, directory: Path, **settings: str
) -> tuple[Server, dict[str, str]]:
    """Return a server that Alice administers, and the settings that name her."""
    password = directory / "password"
    password.write_text(PASSWORD)
    named = {
        "MOORAGE_ADMIN_USER": "alice",
        "MOORAGE_ADMIN_PASSWORD_FILE": str(password),
        "MOORAGE_LIMITS__FREE_BYTES": "1",
    }
    return server(env={**named, **settings}), named


def examine(running: Server, settings: dict[str, str]) -> dict[str, dict[str, str]]:
    """Return what the doctor finds at the server, by checks."""
    place = ("--listen", running.address, "--data", str(running.data))
    done = run_moorage("doctor", "--json", *place, **settings)
    return {each["check"]: each for each in json.loads(done.stdout)}


@pytest.mark.on("sqlite")
@pytest.mark.on("directory")
def test_doctor_leaves_nothing_after_a_failure(server: Start, tmp_path: Path) -> None:
    """Neither a repository nor a namespace, also where the push ended half-way."""
    small = {"MOORAGE_LIMITS__MANIFEST_BYTES": "10"}
    running, settings = start_administered(server, tmp_path, **small)
    alice = Api(running.url, ("alice", PASSWORD))
    before = alice.items("/namespaces")
    found = examine(running, settings)
    assert "a manifest could not be pushed: 413" in found["push and pull"]["found"]
    assert "clean-up" not in found
    assert alice.items("/repositories") == []
    assert alice.items("/namespaces") == before
    [trashed] = alice.items("/namespaces/alice/trash")
    assert trashed["name"].startswith("alice/moorage-doctor-")


@pytest.mark.on("sqlite")
@pytest.mark.on("directory")
def test_doctor_says_what_it_could_not_remove(server: Start, tmp_path: Path) -> None:
    """It names the repository, and the command that removes it."""
    running, settings = start_administered(server, tmp_path)
    alice = Api(running.url, ("alice", PASSWORD))
    alice.post("/namespaces/alice/rules", {"pattern": "*"}).expect(201)
    found = examine(running, settings)
    [left] = alice.items("/repositories")
    assert found["clean-up"]["state"] == "warn"
    assert f"{left['name']} could not be removed: 403" in found["clean-up"]["found"]
    assert found["clean-up"]["do"] == f"moorage repo delete {left['name']}"


@pytest.mark.on("sqlite")
@pytest.mark.on("directory")
def test_doctor_says_who_was_refused(server: Start, tmp_path: Path) -> None:
    """And how to be somebody else."""
    running, settings = start_administered(server, tmp_path)
    nobody = {"MOORAGE_LIMITS__FREE_BYTES": "1"}
    found = examine(running, nobody)["push and pull"]
    assert "none was given" in found["found"]
    assert "MOORAGE_ADMIN_USER=NAME MOORAGE_ADMIN_PASSWORD_FILE=FILE moorage doctor" in found["do"]
    Path(settings["MOORAGE_ADMIN_PASSWORD_FILE"]).write_text("another password")
    found = examine(running, settings)["push and pull"]
    assert "401 as alice: the user name or password is wrong" in found["found"]
    assert "docker login" not in found["found"]
    assert settings["MOORAGE_ADMIN_PASSWORD_FILE"] in found["do"]
    assert "moorage user link alice" in found["do"]


def test_doctor_tells_what_is_wrong(tmp_path: Path) -> None:
    """A failing check is named, with what to do, and the exit code is 7."""
    limit = str(2**62)
    done = run_moorage("doctor", "--data", str(tmp_path), MOORAGE_LIMITS__FREE_BYTES=limit)
    assert done.returncode == 7
    assert "FAIL  disk space" in done.stdout
    assert "Do: " in done.stdout


def test_jobs_are_listed(server: Start) -> None:
    """The schedule's jobs have run by themselves, and are listed beside the running server."""
    running = server(env={"MOORAGE_ADMIN_SOCKET": "on"})
    until = time.monotonic() + 20
    while time.monotonic() < until:
        place = ("--data", str(running.data))
        listed = json.loads(run_moorage("job", "list", "-o", "json", *place, **running.env).stdout)
        done = {job["name"] for job in listed if job["state"] == "done"}
        if {"uploads.expire", "objects.delete", "events.fan-out"} <= done:
            break
        time.sleep(0.3)
    else:
        pytest.fail(f"not done: {listed}")
    table = run_moorage("job", "list", "--data", str(running.data), **running.env)
    assert table.returncode == 0
    assert "uploads.expire" in table.stdout


def test_missing_registry_has_its_own_exit_code(tmp_path: Path) -> None:
    """Looking at jobs where there is no registry is 3, not found."""
    done = run_moorage("job", "list", "--data", str(tmp_path))
    assert done.returncode == 3
    assert "There is no registry in" in done.stderr


@pytest.mark.on("sqlite")
def test_second_server_on_the_directory_is_refused(server: Start) -> None:
    """Two servers on one directory: the second says so and ends, the first goes on."""
    running = server()
    done = run_moorage("serve", "--listen", f"127.0.0.1:{free_port()}", "--data", str(running.data))
    assert done.returncode == 1
    assert "Another server is using the data directory" in done.stderr
    assert running.is_ready()


def test_taken_port_is_refused(server: Start, tmp_path: Path) -> None:
    """A port in use is told with another one to take."""
    running = server()
    done = run_moorage("serve", "--listen", running.address, "--data", str(tmp_path / "other"))
    assert done.returncode == 1
    assert "Can't listen on" in done.stderr
    assert "--listen 127.0.0.1:" in done.stderr


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("workrs = 2\n", ("moorage.toml:1", "workrs", "'workers'")),
        ("\n[limits]\nmanifest_byte = 1\n", ("moorage.toml:3", "limits.manifest_bytes")),
        ('workers = "many"\n', ("moorage.toml:1", "workers can't be 'many'")),
        ("workers = \n", ("can't be read", "line 1")),
        ('trusted_proxies = ["*"]\n', ("trusted_proxies", "anybody")),
    ],
)
def test_settings_are_checked(tmp_path: Path, text: str, told: tuple[str, ...]) -> None:
    """A wrong setting is refused with its place, what is known, and exit code 2."""
    file = tmp_path / "moorage.toml"
    file.write_text(text)
    for command in (("config", "check"), ("serve",)):
        done = run_moorage(*command, "--config", str(file), "--data", str(tmp_path / "data"))
        assert done.returncode == 2, done
        assert all(part in done.stderr for part in told), done.stderr
        assert "Traceback" not in done.stderr


def test_settings_say_where_they_come_from(tmp_path: Path) -> None:
    """Flags win over the environment, that over the file; each value names its origin."""
    file = tmp_path / "moorage.toml"
    file.write_text('workers = 3\nurl = "https://a.example"\n[limits]\ntags_per_push = 7\n')
    done = run_moorage(
        *("config", "show", "--origin", "--config", str(file), "--workers", "5"),
        MOORAGE_URL="https://b.example",
    )
    lines = {line.split(" = ")[0]: line for line in done.stdout.splitlines()}
    assert lines["workers"].split("#")[1].strip() == "flag"
    assert lines["url"].split("#")[1].strip() == "$MOORAGE_URL"
    assert lines["limits.tags_per_push"].split("#")[1].strip() == f"{file}:4"
    assert lines["limits.keepalive_seconds"].split("#")[1].strip() == "default"


def test_the_start_tells_the_address_that_clients_use(server: Callable[..., Server]) -> None:
    running = server(env={"MOORAGE_URL": "https://registry.example"})
    told = running.stderr_tail()
    assert f"listening on localhost:{running.port}\n" in told
    assert "docker push registry.example/NAME:TAG\n" in told
    assert "docker push localhost" not in told


@pytest.mark.parametrize("command", ["serve", "restore"])
def test_a_directory_to_try_joins_no_database(tmp_path: Path, command: str) -> None:
    """A file of settings that was there before must not make a trial a part of its registry."""
    file = tmp_path / "moorage.toml"
    place = "postgresql://moorage:hidden@127.0.0.1:9/moorage"
    file.write_text(f'workers = 1\ndatabase = "{place}"\n')
    words = [command, *(["nothing"] if command == "restore" else []), "--config", str(file)]
    trial = ("--data", str(tmp_path / "trial"), "--listen", f"127.0.0.1:{free_port()}")
    done = run_moorage(*words, *trial)
    assert done.returncode == 2
    assert f"{file}:2 names a database" in done.stderr
    assert "--config /dev/null" in done.stderr
    assert "hidden" not in done.stderr
    assert not (tmp_path / "trial").exists()
    # What names both, on the command line or in the file, is meant.
    for others in ((*trial, "--database", place), trial[2:]):
        meant = run_moorage(*words, *others)
        assert "names a database elsewhere" not in meant.stderr
        assert meant.returncode != 0


def test_the_start_names_the_file_and_the_database(tmp_path: Path) -> None:
    """Before anything is changed there, and without the password."""
    file = tmp_path / "moorage.toml"
    file.write_text(
        'database = "postgresql://moorage:hidden@127.0.0.1:9/shop"\nstorage = "s3://bucket/there"\n'
    )
    done = run_moorage("serve", "--config", str(file), "--listen", f"127.0.0.1:{free_port()}")
    assert done.returncode == 1
    told = done.stderr.splitlines()
    assert told[1:4] == [
        f"  settings of {file}",
        "  database shop at 127.0.0.1",
        "  blobs in s3://bucket/there",
    ]
    assert "data in" not in told[0]
    assert "hidden" not in done.stderr


def test_short_password_is_refused(tmp_path: Path) -> None:
    """No server starts with a password that is quickly guessed."""
    (tmp_path / "password").write_text("admin")
    done = run_moorage(
        *("serve", "--listen", f"127.0.0.1:{free_port()}", "--data", str(tmp_path / "data")),
        MOORAGE_ADMIN_USER="admin",
        MOORAGE_ADMIN_PASSWORD_FILE=str(tmp_path / "password"),
    )
    assert done.returncode == 2
    assert "too short" in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str) -> None:
    """Each shell gets a script that names the command."""
    done = run_moorage("completion", shell)
    assert done.returncode == 0
    assert "_MOORAGE_COMPLETE" in done.stdout


def test_help_is_quick() -> None:
    """`moorage --help` loads nothing that a command might need."""
    took = []
    for _ in range(5):
        began = time.perf_counter()
        assert run_moorage("--help").returncode == 0
        took.append(time.perf_counter() - began)
    assert min(took) < 0.3
