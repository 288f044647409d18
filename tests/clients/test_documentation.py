"""Every command in the tutorials and the how-to pages, in their order, by real programs."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import subprocess
import time
import tomllib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

import oidc
from api import PASSWORD, Api
from clients.engines import Ctr, Docker, temporary_directory
from clients.marks import ROOT as AS_ROOT
from clients.marks import SLOW, needing, needs
from clients.programs import end_processes_of
from documented import DOCS, Exempt, Story, blocks
from fronts import NGINX
from postgres import Postgres
from process import Server, find_tool, free_port, is_listening, require_tool
from registry import Registry, Repository, unique
from s3 import S3Server
from trusting import PROVIDER, Provider

# Rights and stores are tested elsewhere; what a page says is the same on all of them.
pytestmark = [pytest.mark.on("sqlite"), SLOW, *needs("docker"), require_tool("openssl")]

ROOT = DOCS.parent
# What the pages have where a reader puts in a digest of his own.
DIGEST = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


def has(file: str, text: str) -> Callable[[], bool]:
    """Return what tells that a file of the project still has a text."""
    return lambda: text in (ROOT / file).read_text()


EXEMPT: dict[str, tuple[Exempt, ...]] = {
    "tutorials/team-server.md": (
        Exempt(
            "make .venv/.serve",
            "makes an environment from the package index, which the README's test does by it",
            has("tests/clients/test_readme.py", "story.run(INSTALLED)"),
        ),
    ),
    "how-to/fleet.md": (
        Exempt(
            "make fleet",
            "starts a fleet with all that it stands on, which a test of its own does",
            has("tests/clients/test_fleet.py", '"fleet.py"'),
        ),
        Exempt(
            "pip download --only-binary",
            "fetches all wheels and builds the image, which a test of its own does",
            has("tests/clients/test_container.py", "deploy/Dockerfile"),
        ),
        Exempt(
            "python3 -m venv /opt/moorage",
            "installs a service on this machine; a test of its own has systemd judge the unit",
            has("tests/clients/test_deploy.py", "moorage.service"),
        ),
    ),
    "how-to/upgrade.md": (
        Exempt(
            "/opt/moorage/bin/pip install",
            "installs a service on this machine; a test of its own has systemd judge the unit",
            has("tests/clients/test_deploy.py", "moorage.service"),
        ),
        Exempt(
            "docker build --tag moorage:0.2.0",
            "builds the image and runs it on a volume, which a test of its own does",
            has("tests/clients/test_container.py", "deploy/Dockerfile"),
        ),
        Exempt(
            "MOORAGE_IMAGE=moorage:0.2.0 docker compose --file deploy/compose.ha.yaml",
            "replaces a fleet by a release that is not there yet; tests of their own read the file"
            " and run two releases side by side",
            has("tests/faults/test_releases.py", "def test_side_by_side_on_postgres("),
        ),
    ),
}


class Stage:
    """A server with its administrator Alice, and what the pages speak of."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.home = home
        port = free_port()
        url = {"MOORAGE_URL": f"http://127.0.0.1:{port}"}
        settings = {"MOORAGE_ADMIN_SOCKET": "on", **url, **environment}
        self.server = Server(home / "data", env=settings, port=port)
        self.api = Api(self.server.url, ("alice", PASSWORD))

    def __enter__(self) -> Stage:
        self.server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.close()

    def story(self, page: str, replace: dict[str, str] | None = None, **more: str) -> Story:
        """Return the story of a page, whose reader is Alice, signed in."""
        known = {
            "--server-name registry.example": "--server-name registry.invalid",
            "https://registry.example": self.server.url,
            "registry.example": self.server.address,
            "/srv/moorage": str(self.server.data),
        }
        exempt = EXEMPT.get(page, ())
        story = Story(page, self.home, replace={**(replace or {}), **known}, exempt=exempt, **more)
        story.api = self.server.url
        story.run(f"moorage user link alice --data {self.server.data}")
        place = self.server.address
        story.run(f'printf %s "$PASSWORD" | moorage login {place} --user alice --password-stdin')
        return story

    def push(self, name: str, *tags: str) -> list[str]:
        """Push an image of its own under each tag; return their digests."""
        repository = Repository(Registry(self.server.url, ("alice", PASSWORD)), name)
        return [repository.push_image(tag).digest for tag in tags]

    def layer(self, name: str, tag: str) -> str:
        """Return the digest of an image's first layer."""
        registry = Registry(self.server.url, ("alice", PASSWORD))
        raw = registry.get(f"/v2/{name}/manifests/{tag}").expect(200).body
        digest: str = json.loads(raw)["layers"][0]["digest"]
        return digest


@pytest.fixture
def home() -> Iterator[Path]:
    """Return a directory with a short name, for sockets."""
    with temporary_directory() as made:
        yield made


@pytest.fixture
def readied(home: Path) -> Iterator[Stage]:
    """Run a server in which the pages' namespace, people and images are."""
    with Stage(home, MOORAGE_OUTBOUND__ALLOW="127.0.0.0/8") as made:
        yield made


def prepare(made: Stage, story: Story) -> None:
    """Make what the pages take for granted."""
    for command in (
        "moorage namespace create web",
        "moorage invite bob",
        "moorage robot create web+jobs",
    ):
        story.run(command)
    made.push("web/shop", "latest", "latest", "1.0")
    made.push("web/old-shop", "1")


def test_undelete(readied: Stage) -> None:
    story = readied.story("how-to/undelete.md")
    prepare(readied, story)
    [digest] = readied.push("web/shop", "old")
    Registry(readied.server.url, ("alice", PASSWORD)).delete(
        f"/v2/web/shop/manifests/{digest}"
    ).expect(202)
    story.replace[DIGEST] = digest
    told = story.play()
    assert "restore" in story.run("moorage tag history web/shop:latest").out
    assert digest.removeprefix("sha256:")[:12] in "".join(each.out for each in told)


@needing("skopeo")
def test_purge(readied: Stage) -> None:
    story = readied.story("how-to/purge.md", {"inspect --raw": "inspect --tls-verify=false --raw"})
    prepare(readied, story)
    story.replace[DIGEST] = readied.layer("web/shop", "1.0")
    story.play()
    answer = readied.api.registry.get("/v2/web/shop/manifests/1.0", readied.api.headers)
    answer.expect(404)


def test_free_space(readied: Stage) -> None:
    story = readied.story("how-to/free-space.md")
    prepare(readied, story)
    story.replace[DIGEST] = readied.layer("web/shop", "1.0")
    told = story.play()
    assert "because the manifest" in "".join(each.out for each in told)


@require_tool("curl")
def test_fix_a_401(readied: Stage) -> None:
    story = readied.story("how-to/fix-a-401.md")
    prepare(readied, story)
    told = story.play()
    assert f'realm="{readied.server.url}/token"' in "".join(each.out for each in told)


def test_rotate(readied: Stage) -> None:
    story = readied.story("how-to/rotate.md")
    prepare(readied, story)
    story.run("moorage robot create web+ci")
    story.run("moorage token create old")
    listed = json.loads(story.run("moorage token list -o json").out)
    [number] = [each["id"] for each in listed if each["name"] == "old"]
    story.replace |= {"rotate 3": f"rotate {number}", "revoke 3": f"revoke {number}"}
    story.play()
    assert readied.api.get("/accounts/bob").expect(200).json()["enabled"] is False


def test_audit(readied: Stage) -> None:
    today = datetime.now(UTC)
    dates = {"2026-07-01": today - timedelta(1), "2026-10-01": today + timedelta(1)}
    days = {old: f"{new:%Y-%m-%d}" for old, new in dates.items()}
    story = readied.story("how-to/audit.md", days)
    prepare(readied, story)
    # Once a minute, a job seals what there is: now is the minute.
    assert readied.server.stop() == 0
    readied.server.make_due("audit.seal")
    readied.server.start()
    until(lambda: '"audit sealed"' in readied.server.log.read_text(), 90)
    told = story.play()
    assert '"action"' in (story.place / "q3.jsonl").read_text()
    assert "All of it is as it was sealed." in told[-1].out


@pytest.mark.where(PROVIDER)
def test_sign_in(readied: Stage, tmp_path: Path) -> None:
    with Provider({"sub": "3f9c-72"}, tmp_path / "provider.log") as provider:
        story = readied.story("how-to/sign-in.md", {"https://login.example": provider.url})
        prepare(readied, story)
        (story.place / "secret").write_text("a secret of the provider's")
        story.play()


def test_kubernetes(readied: Stage, tmp_path: Path) -> None:
    """A cluster is not at hand: what kubectl would be given is read as it reads it."""
    with oidc.Issuer() as issuer:
        story = readied.story("how-to/kubernetes.md", {"https://kubernetes.example": issuer.url})
        prepare(readied, story)
        given = tmp_path / "given"
        patch = tmp_path / "patch"
        story.program(
            "kubectl",
            f'case "$1" in apply) cat > {given};; *) printf %s "$7" > {patch};; esac',
        )
        story.play()
    secret = yaml.safe_load(given.read_text())
    assert (secret["kind"], secret["metadata"]["namespace"]) == ("Secret", "shop")
    [wanted] = json.loads(patch.read_text())["imagePullSecrets"]
    assert wanted["name"] == secret["metadata"]["name"]
    assert yaml.safe_load((story.place / "secret.yaml").read_text())["kind"] == "Secret"


@pytest.mark.parametrize("ci", ["github-actions", "gitlab-ci", "jenkins"])
def test_ci(ci: str, readied: Stage) -> None:
    """What the CI servers run themselves, `test_ci.py` runs."""
    with oidc.Issuer() as issuer:
        text = "".join(blocks(f"how-to/{ci}.md"))
        place = text.partition("issuer add ")[2].split()[0]
        # What this machine can't reach is registered by the file of its keys.
        keys = {f"issuer add {place}": f"issuer add {place} --jwks keys"}
        story = readied.story(f"how-to/{ci}.md", keys)
        prepare(readied, story)
        (story.place / "keys").write_text(issuer.jwks.decode())
        story.play()
    [robot] = readied.api.items("/namespaces/web/trusts")
    assert robot["robot"] in ("ci", "web+ci")


def test_ci_without_secrets(docker: Docker, home: Path) -> None:
    with oidc.Issuer("RS256") as issuer, Stage(home, MOORAGE_OUTBOUND__ALLOW="127.0.0.0/8") as made:
        claims = {
            "sub": "project_path:group/shop:ref_type:branch:ref:main",
            "project_path": "group/shop",
            "project_id": "20",
            "ref": "main",
            "ref_type": "branch",
            "pipeline_source": "push",
            "aud": made.server.url,
        }
        story = made.story(
            "tutorials/ci-without-secrets.md",
            {"https://gitlab.example.com": issuer.url},
            REGISTRY_TOKEN=issuer.sign(claims),
            DOCKER_HOST=docker.socket,
        )
        told = story.play()
        assert "Login Succeeded" in "".join(each.out for each in told)


def test_backup(docker: Docker, readied: Stage) -> None:
    port = free_port()
    ports = {"127.0.0.1:5999": f"127.0.0.1:{port}", "localhost:5999": f"localhost:{port}"}
    drill = {"/srv/drill": str(readied.home / "drill")}
    story = readied.story("how-to/backup.md", {**ports, **drill}, DOCKER_HOST=docker.socket)
    with story:
        prepare(readied, story)
        build = "FROM scratch\nCOPY Dockerfile /\n"
        (story.place / "Dockerfile").write_text(build)
        name = f"{readied.server.address}/web/shop:latest"
        login = f"docker login -u alice --password-stdin {readied.server.address}"
        story.run(f'printf %s "$PASSWORD" | {login}; docker build -t {name} .; docker push {name}')
        settings = story.root / "etc" / "moorage"
        settings.mkdir()
        (settings / "moorage.toml").write_text(f'data = "{readied.server.data}"\n')
        story.play()
        found = Registry(f"http://localhost:{port}", ("alice", PASSWORD)).get("/v2/_catalog")
        assert "web/shop" in found.expect(200).json()["repositories"]


@require_tool("curl")
def test_upgrade(readied: Stage) -> None:
    """To the release that is there already: what a step does is tested where there is one more."""
    place = {"127.0.0.1:5000": readied.server.address, "/srv/back": str(readied.home / "back")}
    story = readied.story("how-to/upgrade.md", place)
    prepare(readied, story)
    settings = story.root / "etc" / "moorage"
    settings.mkdir()
    (settings / "password").write_text(PASSWORD)
    (settings / "moorage.toml").write_text(
        f'data = "{readied.server.data}"\nurl = "{readied.server.url}"\n'
        f'admin_user = "alice"\nadmin_password_file = "{settings}/password"\n'
    )
    told = [each.out for each in story.play()]
    assert "Nothing is to be done." in told[1]
    assert "OK    push and pull" in told[-2]
    assert "every one verified" in told[-1]


@require_tool("nginx")
def test_proxy(readied: Stage) -> None:
    story = readied.story("how-to/proxy.md")
    prepare(readied, story)
    (story.place / "password").write_text(PASSWORD)
    (story.place / "password").chmod(0o600)
    told = story.play()
    assert "OK    push and pull" in told[-1].out
    assert "proxy_request_buffering off" in (story.place / "moorage.conf").read_text()


def test_fleet(readied: Stage, postgres: Postgres, s3_servers: Callable[[str], S3Server]) -> None:
    """What is moved goes to a real database and a real object store."""
    url = postgres.empty(f"documented_{unique()}")
    store = s3_servers("swift").environment()
    storage = store.pop("MOORAGE_STORAGE")
    targets = {
        "postgresql://moorage@db.example/moorage": url,
        "s3://registry-blobs/moorage": storage,
    }
    story = readied.story("how-to/fleet.md", targets, **store)
    readied.push("alice/app", "1.0")
    proxies, moved = story.play()
    assert "upstream" in proxies.out
    assert "1 repositories, 1 tags, 1 manifests" in moved.out
    readied.server.stop()
    postgres.drop(url)


@AS_ROOT
@needing("ctr", "skopeo")
def test_containerd(ctr: Ctr, small: Callable[[str], Path], home: Path) -> None:
    pair = {"MOORAGE_TLS__CERT": f"{home}/pair.crt", "MOORAGE_TLS__KEY": f"{home}/pair.key"}
    certify(home)
    server = Server(home / "data", env={**pair, "MOORAGE_VISIBILITY": "public"})
    with contextlib.closing(server.launch()):
        until(lambda: is_listening(server.port))
        story = Story(
            "how-to/containerd.md",
            home,
            replace={"registry.example": server.address},
            CONTAINERD_SNAPSHOTTER="native",
            CONTAINERD_ADDRESS=f"{ctr.home}/socket",
        )
        (story.place / "ca.crt").write_bytes((home / "pair.crt").read_bytes())
        layout = small("containerd")
        target = f"docker://{server.address}/web/shop:1.0"
        story.run(f"skopeo copy --dest-tls-verify=false oci:{layout} {target}")
        story.play()


def until(holds: Callable[[], bool], seconds: float = 20) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def certify(home: Path) -> None:
    """Make a certificate for the loopback address that is its own authority."""
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", f"{home}/pair.key", "-out", f"{home}/pair.crt"]
    subprocess.run(command, check=True, capture_output=True)


def test_first_push(docker: Docker, home: Path) -> None:
    port = free_port()
    recipe = (ROOT / "Makefile").read_text().partition("\nserve: ")[2].split("\n")[1].strip()
    assert recipe.startswith("$(BIN)/moorage serve ")
    story = Story(
        "tutorials/first-push.md",
        home,
        # The environment that `make serve` makes is the one that the tests run in.
        replace={"make serve": recipe.removeprefix("$(BIN)/"), ":5000": f":{port}"},
        DOCKER_HOST=docker.socket,
        MOORAGE_ADMIN_SOCKET="on",
    )
    with story:
        story.play()
        found = story.run("docker run --rm --network=none localhost:5000/hello /none || true")
        assert found.code == 0
        history = story.run("moorage tag history hello:latest --data ./data -o json").out
        assert [each["by"]["through"] for each in json.loads(history)] == [
            "restore",
            "push",
            "push",
        ]


@AS_ROOT
@require_tool("nginx")
def test_team_server(docker: Docker, home: Path) -> None:
    """With nginx in front, on another port than 443; the rest is as on the page."""
    page = "tutorials/team-server.md"
    inner, outer = free_port(), free_port()
    authority = f"127.0.0.1:{outer}"
    story = Story(
        page,
        home,
        replace={
            "/srv/moorage": str(home / "data"),
            "127.0.0.1:5000": f"127.0.0.1:{inner}",
            "--server-name registry.example": f"--server-name 127.0.0.1 --bind {authority}",
            "/CN=registry.example": "/CN=127.0.0.1",
            "DNS:registry.example": "IP:127.0.0.1",
            # Bob has a machine of his own, and so docker's directory is his.
            "printf '%s' \"$PASSWORD\" | docker": f"export DOCKER_CONFIG={home}/bob\n"
            "printf '%s' \"$PASSWORD\" | docker",
            "moorage login registry.example": f"moorage login https://{authority}",
            "registry.example": authority,
        },
        exempt=EXEMPT[page],
        DOCKER_HOST=docker.socket,
        MOORAGE_ADMIN_SOCKET="on",
        SSL_CERT_FILE=f"{home}/root/etc/ssl/registry.crt",
    )
    story.api = f"http://127.0.0.1:{inner}"
    with fronted(story), story:
        told = story.play()
        assert "bob" in told[-2].out
        assert "OK    push and pull" in told[-1].out


@contextlib.contextmanager
def fronted(story: Story) -> Iterator[None]:
    """Have the reader's nginx be one of its own, with the directories of this root."""
    root = story.root
    include = f"include {root}/etc/nginx/conf.d/*.conf"
    text = NGINX.format(root=root, user="user root; ").replace(
        f"include {root}/moorage.conf", include
    )
    (root / "nginx.conf").write_text(text.replace("daemon off; ", ""))
    real = f"{find_tool('nginx')} -p {root} -c {root}/nginx.conf -e {root}/nginx.log"
    story.program("nginx", f'[ "$1" = -s ] && exec {real} > /dev/null 2>&1; exec {real} "$@"')
    try:
        yield
    finally:
        # Its workers, which don't name the directory, end with it only when it is told to end.
        subprocess.run([*shlex.split(real), "-s", "stop"], check=False, capture_output=True)
        until = time.monotonic() + 5
        while (root / "pid").exists() and time.monotonic() < until:
            time.sleep(0.05)
        end_processes_of(root)


PAGES = {
    f"{path.parent.name}/{path.name}"
    for kind in ("tutorials", "how-to")
    for path in (DOCS / kind).glob("*.md")
}


def test_every_page_is_followed() -> None:
    """A new page needs a test here."""
    text = Path(__file__).read_text()
    played = {page for page in PAGES if f'"{page}"' in text}
    played |= {f"how-to/{name}.md" for name in ("github-actions", "gitlab-ci", "jenkins")}
    assert sorted(page for page in PAGES - played if list(blocks(page))) == []


@pytest.mark.parametrize(
    ("page", "exempt"), [(page, each) for page, found in EXEMPT.items() for each in found]
)
def test_what_is_not_run_is_still_there_and_has_its_reason(page: str, exempt: Exempt) -> None:
    assert [text for text in blocks(page) if text.startswith(exempt.begins)]
    assert exempt.is_needed(), exempt.why


def test_files_in_the_pages_can_be_read() -> None:
    """What is not typed but copied: each piece of YAML, TOML and JSON is one."""
    readers: dict[str, Callable[[str], Any]] = {
        "yaml": yaml.safe_load,
        "toml": tomllib.loads,
        "json": json.loads,
    }
    pieces = re.compile(r"^```(yaml|toml|json)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
    found = [
        piece.groups()
        for path in DOCS.rglob("*.md")
        for piece in pieces.finditer(path.read_text())
        if "…" not in piece[2]
    ]
    assert len(found) > 5
    for kind, text in found:
        readers[kind](text)
