"""What docker gets from `docker-credential-moorage`, in docker's own words, and how quickly."""

import json
import resource
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from moorage.client.credential_helper import answer
from moorage.client.hosts import Host, config_directory, put_host, read_hosts
from moorage.errors import Refused

SHOP = Host("registry.example:5000", "http://registry.example:5000", "alice", "mrg_1", "7")
QUICK_SECONDS = 0.060
SOURCES = str(Path(__file__).parents[3] / "src")


@pytest.fixture
def home(tmp_path: Path) -> Mapping[str, str]:
    environment = {"HOME": str(tmp_path), "PYTHONPATH": SOURCES}
    put_host(config_directory(environment), SHOP)
    return environment


@pytest.mark.parametrize(
    "asked",
    [
        "registry.example:5000",
        "https://registry.example:5000",
        "https://registry.example:5000/v2/",
        " registry.example:5000\n",
    ],
)
def test_get(home: Mapping[str, str], asked: str) -> None:
    told = json.loads(answer("get", asked, home))
    assert (told["Username"], told["Secret"]) == ("alice", "mrg_1")


@pytest.mark.parametrize("asked", ["other.example", "registry.example", "", "https://"])
def test_of_another_host_nothing_is_known(home: Mapping[str, str], asked: str) -> None:
    """In the words that docker takes for "ask the next one"."""
    with pytest.raises(Refused) as refused:
        answer("get", asked, home)
    assert refused.value.what == "credentials not found in native keychain"


def test_list(home: Mapping[str, str]) -> None:
    assert json.loads(answer("list", "", home)) == {SHOP.name: "alice"}


def test_store_and_erase(home: Mapping[str, str]) -> None:
    given = {"ServerURL": "https://new.example", "Username": "bob", "Secret": "mrg_2"}
    assert answer("store", json.dumps(given), home) == ""
    assert json.loads(answer("get", "new.example", home))["Secret"] == "mrg_2"
    answer("erase", "https://new.example", home)
    with pytest.raises(Refused):
        answer("get", "new.example", home)
    assert answer("erase", "new.example", home) == ""


def test_store_keeps_the_address(home: Mapping[str, str]) -> None:
    given = {"ServerURL": SHOP.name, "Username": "bob", "Secret": "mrg_2"}
    answer("store", json.dumps(given), home)
    assert read_hosts(config_directory(home)).hosts[SHOP.name].url == SHOP.url


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '"x"', '{"ServerURL": "a"}'])
def test_malformed_credentials_are_refused(home: Mapping[str, str], text: str) -> None:
    with pytest.raises(Refused, match="malformed"):
        answer("store", text, home)


@pytest.mark.parametrize("word", ["", "help", "GET"])
def test_other_words_are_refused(home: Mapping[str, str], word: str) -> None:
    with pytest.raises(Refused):
        answer(word, "", home)


def run(home: Mapping[str, str], word: str, text: str) -> subprocess.CompletedProcess[str]:
    """Run the program."""
    # As the installed script does: by its name, not as a module that is looked for.
    script = "from moorage.client.credential_helper import main; main()"
    return subprocess.run(
        [sys.executable, "-c", script, word],
        input=text,
        env=dict(home),
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_program(home: Mapping[str, str]) -> None:
    assert json.loads(run(home, "get", SHOP.name).stdout)["Secret"] == "mrg_1"
    refused = run(home, "get", "other.example")
    assert refused.returncode == 1
    assert refused.stdout == "credentials not found in native keychain\n"


def test_it_is_quick(home: Mapping[str, str]) -> None:
    """It runs before every pull. One of many has to be, since others may be using the machine."""
    took: list[float] = []
    while len(took) < 25 and (not took or took[-1] > QUICK_SECONDS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run(home, "get", SHOP.name)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(took) <= QUICK_SECONDS, took


HEAVY = {"click", "msgspec", "aiohttp", "asyncio", "ssl", "http", "pathlib", "tomllib"}


def test_it_imports_nothing_heavy(home: Mapping[str, str]) -> None:
    script = "import sys, moorage.client.credential_helper as _; print(*sys.modules, sep='\\n')"
    told = subprocess.run(
        [sys.executable, "-c", script], env=dict(home), capture_output=True, text=True, check=True
    )
    modules = told.stdout.splitlines()
    assert "moorage.client.credential_helper" in modules
    assert HEAVY.isdisjoint(modules)
