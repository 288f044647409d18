"""The registry under test, and which tests can be run here.

`--registry ADDRESS` runs the suite of requirements against a registry that runs already; tests of a
process that they start themselves are then not collected. Nothing is skipped from within a test.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from members import Members
from postgres import Postgres
from postgres import running as postgres_running
from process import NO_FILE, Server, find_tool
from registry import Answer, Registry, Repository
from s3 import GATEWAY, SERVERS, S3Server
from shapes import EMBEDDED, FLEET, SHAPES, Shape

PASSWORD = "correct horse battery staple"
OWN = {"moorage", "server", "shared_server"}
RUNNING: list[Server] = []
SHAPE = pytest.StashKey[Shape]()
NOT_RUN = pytest.StashKey[dict[str, list[str]]]()
MARKERS = (
    "requirement(*ids): the rows of the protocol, the quirks (Q-) and abuse cases (S-) it holds",
    "on(store): is about what one store does; not run with a --shape without it",
    "long: takes minutes; run by `make long`, with --long",
    "deep: one of many that take minutes each; run by `make deep`, with --deep",
    "metadata: asks nothing of where bytes are; of the other shapes, run on the fleet's alone",
    "needs_root: needs to be root; not run otherwise",
    "needs_tool(name): needs a program; fails without it as root, not run otherwise",
    "where(path): needs what can't be had everywhere; not run without it",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the address of a registry that runs already."""
    parser.addoption("--shape", choices=SHAPES, default=EMBEDDED, help="what servers stand on")
    parser.addoption("--long", action="store_true", help="run what takes minutes, and nothing else")
    parser.addoption("--deep", action="store_true", help="run what takes hours, and nothing else")
    parser.addoption("--redirect", action="store_true", help="send clients to the object store")
    parser.addoption("--registry", metavar="ADDRESS", help="test the registry at http://HOST:PORT")


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers of these suites; no program here finds this machine's settings."""
    os.environ |= NO_FILE
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    shape = config.stash[SHAPE] = Shape(
        config.getoption("--shape"), redirect=config.getoption("--redirect")
    )
    Server.stores = None if shape.is_embedded else shape


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what the servers stood on."""
    config.stash[SHAPE].close()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what can not be run here, and remember why."""
    not_run: dict[str, list[str]] = {}
    chosen = []
    for item in items:
        reason = _why_not(config, item)
        if reason is None:
            chosen.append(item)
        else:
            not_run.setdefault(reason, []).append(item.nodeid)
    config.stash[NOT_RUN] = not_run
    if not_run:
        left_out = {nodeid for nodeids in not_run.values() for nodeid in nodeids}
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid in left_out])
        items[:] = chosen


def _why_not(config: pytest.Config, item: pytest.Item) -> str | None:
    if config.getoption("--registry") and OWN.intersection(getattr(item, "fixturenames", ())):
        return "not run with --registry"
    if any(not mark.args[0].exists() for mark in item.iter_markers("where")):
        return "not run where their programs can't be built"
    for name in ("long", "deep"):
        if bool(item.get_closest_marker(name)) != config.getoption(name):
            return f"{'not run with' if config.getoption(name) else 'left to'} --{name}"
    if not _is_for(config.stash[SHAPE], item):
        return "not run with this --shape"
    lacks_tool = any(not find_tool(mark.args[0]) for mark in item.iter_markers("needs_tool"))
    if os.geteuid() != 0 and (lacks_tool or item.get_closest_marker("needs_root")):
        return "not run without root"
    return None


def _is_for(shape: Shape, item: pytest.Item) -> bool:
    stores = shape.name.split("+")
    if any(mark.args[0] not in stores for mark in item.iter_markers("on")):
        return False
    return not item.get_closest_marker("metadata") or shape.name in (EMBEDDED, FLEET)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say what was left out."""
    for reason, nodeids in config.stash.get(NOT_RUN, {}).items():
        names = sorted({nodeid.partition("[")[0] for nodeid in nodeids})
        shown = str(len(nodeids)) if "--" in reason else ", ".join(names)
        terminalreporter.write_line(f"{reason}: {shown}")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail a test whose program is missing."""
    for mark in item.iter_markers("needs_tool"):
        if not find_tool(mark.args[0]):
            pytest.fail(f"{mark.args[0]} is not installed: `make tools` installs it", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Add what the servers wrote last to the report of a failed test."""
    report: pytest.TestReport = yield
    if report.failed:
        for running in RUNNING:
            report.sections.append((f"log of {running.url}", running.stderr_tail(12)))
    return report


def check_answer(target: str, answer: Answer) -> None:
    """Check what every answer under /v2/ must have, whatever a test asks about."""
    if target.partition("?")[0] != "/v2" and not target.startswith("/v2/"):
        return
    assert answer["Docker-Distribution-API-Version"] == "registry/2.0"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["X-Request-Id"]
    assert answer.get("Content-Encoding") is None
    assert answer.get("Access-Control-Allow-Origin") is None
    if answer.status >= 400 and answer.method != "HEAD":
        check_refusal(answer)


def check_refusal(answer: Answer) -> None:
    """Check the envelope of a refusal: codes, a message for people, nothing from inside."""
    assert answer["Content-Type"] == "application/json", answer
    errors = answer.json()["errors"]
    assert errors, answer
    for error in errors:
        assert error["code"].replace("_", "").isalpha(), error
        assert error["code"].isupper(), error
        assert error["message"], error
    assert b"Traceback" not in answer.body
    assert b".py" not in answer.body


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Run the PostgreSQL server that all tests share unless they stop one."""
    yield from postgres_running()


@pytest.fixture(scope="session")
def moorage() -> Iterator[Server]:
    """Run the server that all tests share unless they ask for one with options."""
    with Server() as running:
        RUNNING.append(running)
        yield running
        RUNNING.remove(running)
        _stop(running)


@pytest.fixture(scope="session")
def registry(request: pytest.FixtureRequest) -> Registry:
    """Return the registry under test."""
    address = request.config.getoption("--registry")
    if address:
        return Registry(address)
    return Registry(request.getfixturevalue("moorage").url, check=check_answer)


@pytest.fixture
def repository(registry: Registry) -> Repository:
    """Return a repository that no other test knows and that nothing has been pushed to."""
    return registry.repository()


# The second implementation is left to --long: it is another server, not another promise.
BOTH = ["swift", pytest.param("versitygw", marks=[pytest.mark.where(GATEWAY), pytest.mark.long])]


@pytest.fixture(scope="session", params=BOTH)
def s3(request: pytest.FixtureRequest, s3_servers: Callable[[str], S3Server]) -> S3Server:
    """Return each of the object stores, started once."""
    return s3_servers(request.param)


@pytest.fixture(scope="session")
def s3_servers(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[str], S3Server]]:
    """Return a function that starts an object store by its name, once for all tests."""
    started: dict[str, S3Server] = {}

    def start(name: str) -> S3Server:
        if name not in started:
            started[name] = SERVERS[name](tmp_path_factory.mktemp(name) / "s3")
            started[name].__enter__()
        return started[name]

    yield start
    for each in started.values():
        each.close()


@pytest.fixture
def server() -> Iterator[Callable[..., Server]]:
    """Return a function that starts further servers, with the options of `Server`, for one test."""
    started: list[Server] = []

    def start(**options: Any) -> Server:
        started.append(Server(**options))
        RUNNING.append(started[-1])
        return started[-1].start()

    yield start
    for each in started:
        RUNNING.remove(each)
        each.close()


@pytest.fixture(scope="session")
def shared_server() -> Iterator[Callable[..., Server]]:
    """Return a function that starts a server per set of settings, once for all tests."""
    started: dict[tuple[tuple[str, str], ...], Server] = {}

    def start(**env: str) -> Server:
        key = tuple(sorted(env.items()))
        if key not in started:
            started[key] = Server(env=env)
            started[key].start()
        return started[key]

    yield start
    try:
        for each in started.values():
            _stop(each)
    finally:
        for each in started.values():
            each.close()


@pytest.fixture(scope="session")
def administered_server(
    shared_server: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory
) -> Server:
    """Return a server with an administrator."""
    secret = tmp_path_factory.mktemp("secret") / "password"
    secret.write_text(PASSWORD + "\n")
    secret.chmod(0o600)
    return shared_server(MOORAGE_ADMIN_USER="admin", MOORAGE_ADMIN_PASSWORD_FILE=str(secret))


@pytest.fixture(scope="session")
def administered(administered_server: Server) -> Registry:
    """Return the registry of that server; requests carry no credentials."""
    return Registry(administered_server.url, check=check_answer)


@pytest.fixture(scope="session")
def members(administered_server: Server) -> Members:
    """Return what adds people and machines to it."""
    return Members.of(administered_server)


@pytest.fixture(scope="session")
def administrator(administered: Registry) -> Registry:
    """Return the same registry as `administered`, asked by its administrator."""
    return Registry(administered.url, ("admin", PASSWORD), check_answer)


def _stop(running: Server) -> None:
    code = running.stop()
    assert code == 0, f"exit code {code} on SIGTERM\n{running.stderr_tail()}"
