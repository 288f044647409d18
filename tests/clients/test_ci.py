"""The ready files for CI servers, run command by command as those do, with a real docker."""

from __future__ import annotations

import http.server
import json
import re
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

import oidc
from clients.engines import Docker
from clients.marks import SLOW, given, needs
from conftest import PASSWORD
from moorage.model import presets
from process import Server, require_tool
from registry import Registry, Repository, unique
from trusting import AUDIENCE, SETTINGS, Trusting

DOCS = Path(__file__).parents[2] / "docs" / "ci"
# Rights are the same on every store; with real clients, once is enough.
pytestmark = [
    pytest.mark.on("sqlite"),
    SLOW,
    *needs("docker"),
    require_tool("curl"),
    require_tool("jq"),
]

GITHUB = {
    "sub": "repo:acme/shop:ref:refs/heads/main",
    "repository": "acme/shop",
    "repository_id": "77",
    "ref": "refs/heads/main",
    "event_name": "push",
}
GITLAB = {
    "sub": "project_path:group/shop:ref_type:branch:ref:main",
    "project_path": "group/shop",
    "project_id": "20",
    "ref": "main",
    "ref_type": "branch",
    "ref_protected": "true",
    "pipeline_source": "push",
}
# What stands at the top of its file means one of these, or else is a job.
GITLAB_KEYWORDS = {
    *("after_script", "before_script", "cache", "default", "image", "include", "pages"),
    *("services", "spec", "stages", "types", "variables", "workflow"),
}
JENKINS = {"sub": "https://jenkins.example/job/shop/"}
RULES = {
    "github": presets.github("acme/shop", "77", branch="main"),
    "gitlab": presets.gitlab("group/shop", "20", branch="main", ref_protected=True),
    "jenkins": presets.jenkins([JENKINS["sub"]]),
}


@pytest.fixture(scope="module")
def issuer() -> Iterator[oidc.Issuer]:
    """Run an issuer."""
    with oidc.Issuer("RS256") as running:
        yield running


@pytest.fixture(scope="module")
def trusting_server(
    shared_server: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory
) -> Server:
    """Run a server that may ask issuers on this machine."""
    secret = tmp_path_factory.mktemp("secret") / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o600)
    return shared_server(
        MOORAGE_ADMIN_USER="admin", MOORAGE_ADMIN_PASSWORD_FILE=str(secret), **SETTINGS
    )


class Job:
    """A checked-out source with a Dockerfile, and the environment that a CI server gives a job."""

    def __init__(self, docker: Docker, server: Server, namespace: str, directory: Path) -> None:
        self.directory = directory
        self.registry = Registry(server.url, ("admin", PASSWORD))
        self.repository = Repository(self.registry, f"{namespace}/shop")
        (directory / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
        self.env = {
            **docker.env,
            "REGISTRY": self.registry.authority,
            "AUDIENCE": AUDIENCE,
            "ROBOT": f"{namespace}+ci",
            "IMAGE": self.repository.name,
            "DOCKER_CONFIG": str(directory / "docker"),
            # The new builder is a program of its own, which is not everywhere.
            "DOCKER_BUILDKIT": "0",
        }

    def run(self, script: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a script as a step of a job."""
        return subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", script],
            cwd=self.directory,
            env={**self.env, **more},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def run_all(self, scripts: list[str], **more: str) -> str:
        """Run scripts that must all succeed; return what they wrote."""
        done = [self.run(script, **more) for script in scripts]
        said = "".join(each.stdout + each.stderr for each in done)
        assert [each.returncode for each in done] == [0] * len(done), said
        return said


@pytest.fixture
def job(
    docker: Docker, trusting_server: Server, tmp_path: Path
) -> Callable[[str, oidc.Issuer], Job]:
    """Return a function that sets a job up in a namespace that trusts the issuer's workload."""

    def make(kind: str, running: oidc.Issuer) -> Job:
        namespace = unique(kind)
        Trusting(trusting_server).establish(namespace, running.url, RULES[kind])
        return Job(docker, trusting_server, namespace, tmp_path)

    return make


@pytest.fixture
def tokens(issuer: oidc.Issuer) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    """Run what GitHub's runners ask for a token; yield its address and what it was asked."""
    asked: list[Mapping[str, Any]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            asked.append({"bearer": self.headers["Authorization"], **query})
            token = issuer.sign({**GITHUB, "aud": query["audience"][0]})
            body = json.dumps({"count": 1, "value": token}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/token?api-version=2.0", asked
        server.shutdown()
        thread.join()


def test_github_actions(
    job: Callable[..., Job], issuer: oidc.Issuer, tokens: tuple[str, list[Mapping[str, Any]]]
) -> None:
    document = yaml.safe_load((DOCS / "github-actions.yml").read_text())
    assert document["permissions"] == {"contents": "read", "id-token": "write"}
    assert set(document["env"]) == {"REGISTRY", "AUDIENCE", "ROBOT", "IMAGE"}
    place, asked = tokens
    steps = [step["run"] for step in document["jobs"]["image"]["steps"] if "run" in step]
    building = job("github", issuer)
    said = building.run_all(
        steps,
        ACTIONS_ID_TOKEN_REQUEST_URL=place,
        ACTIONS_ID_TOKEN_REQUEST_TOKEN="for-the-runner",
        GITHUB_SHA="c0ffee",
    )
    assert building.repository.tagged("c0ffee")
    assert asked == [
        {"bearer": "bearer for-the-runner", "api-version": ["2.0"], "audience": [AUDIENCE]}
    ]
    assert re.search(r"^::add-mask::eyJ", said, re.MULTILINE)
    assert json.loads((building.directory / "docker" / "config.json").read_text())["auths"] == {}


def test_gitlab_ci(job: Callable[..., Job], issuer: oidc.Issuer) -> None:
    document = yaml.safe_load((DOCS / "gitlab-ci.yml").read_text())
    assert set(document["variables"]) == {"REGISTRY", "ROBOT", "IMAGE"}
    assert set(document) - GITLAB_KEYWORDS == {"build"}
    work = document["build"]
    [variable] = work["id_tokens"]
    assert list(work["id_tokens"][variable]) == ["aud"]
    token = issuer.sign({**GITLAB, "aud": AUDIENCE})
    building = job("gitlab", issuer)
    scripts = work["before_script"] + work["script"] + work["after_script"]
    said = building.run_all(scripts, **{variable: token, "CI_COMMIT_SHA": "beef"})
    assert building.repository.tagged("beef")
    assert token not in said


def test_jenkins(job: Callable[..., Job], issuer: oidc.Issuer) -> None:
    text = (DOCS / "Jenkinsfile").read_text()
    scripts = re.findall(r"\bsh '(.*)'$", text, re.MULTILINE)
    assert len(scripts) == text.count("sh '") == 4
    for opening, closing in ("{}", "()", "[]"):
        assert text.count(opening) == text.count(closing)
    token = issuer.sign({**JENKINS, "aud": AUDIENCE})
    building = job("jenkins", issuer)
    said = building.run_all(scripts, REGISTRY_TOKEN=token, GIT_COMMIT="f00d")
    assert building.repository.tagged("f00d")
    assert token not in said


@pytest.mark.parametrize("who", given("docker", "podman", "buildah", "skopeo"))
def test_every_client_takes_the_token_as_a_password(
    who: str,
    client: Callable[[str], Any],
    job: Callable[..., Job],
    issuer: oidc.Issuer,
    small: Callable[[str], Path],
) -> None:
    """Whatever signs in with a name and a password does so with a token of CI."""
    building = job("github", issuer)
    someone, authority = client(who), building.registry.authority
    name = f"{authority}/{building.repository.name}:1"
    wrong = issuer.sign({**GITHUB, "ref": "refs/heads/dev", "aud": AUDIENCE})
    someone.login(authority, building.env["ROBOT"], wrong).refused()
    someone.login(authority, building.env["ROBOT"], issuer.sign({**GITHUB, "aud": AUDIENCE})).ok()
    try:
        someone.load(small(f"ci-{who}"), name)
        someone.push(name).ok()
        assert building.repository.tagged("1")
        someone.forget(name)
        someone.pull(name).ok()
    finally:
        someone.logout(authority)


def test_a_refused_job_reads_why(job: Callable[..., Job], issuer: oidc.Issuer) -> None:
    document = yaml.safe_load((DOCS / "gitlab-ci.yml").read_text())
    token = issuer.sign({**GITLAB, "ref": "dev", "aud": AUDIENCE})
    building = job("gitlab", issuer)
    done = building.run(document["build"]["before_script"][0], REGISTRY_TOKEN=token)
    assert done.returncode != 0
    assert "401" in done.stderr or "only allows" in done.stderr, done.stderr
    assert token not in done.stdout + done.stderr
