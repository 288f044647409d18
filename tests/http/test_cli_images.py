"""Images on the command line, on a real server: shown, compared, set, copied, deleted."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli import Person
from process import Server
from registry import OCI_CONFIG, Registry, encode, image_document

pytestmark = pytest.mark.metadata


@pytest.fixture(scope="module")
def opened() -> Iterator[Server]:
    """Run a server in local mode, with an admin socket."""
    with Server(env={"MOORAGE_ADMIN_SOCKET": "on"}) as running:
        shop = Registry(running.url).repository("web/shop")
        base, app = shop.push_blob(b"base" * 100), shop.push_blob(b"app" * 1_000)
        for tag, layers, env in (("1.4", [base], "A=1"), ("1.5", [base, app], "A=2")):
            steps = [{"created_by": f"RUN step {number}"} for number in range(len(layers))]
            config = {
                "os": "linux",
                "architecture": "amd64",
                "config": {"Env": [env, "TOKEN=hidden"]},
                "history": steps,
            }
            raw = encode(config)
            described = {**shop.push_blob(raw), "mediaType": OCI_CONFIG}
            shop.push_manifest(image_document(described, layers), tag)
        yield running
        running.stop()


@pytest.fixture
def host(opened: Server, tmp_path: Path) -> Person:
    """Return root on the server's host, who has no login."""
    environment = {
        "MOORAGE_DATA": str(opened.data),
        "MOORAGE_SERVER": "local",
        **{name: text for name, text in opened.env.items() if name == "MOORAGE_DATABASE"},
    }
    return Person(tmp_path / "home", **environment)


def test_an_image_is_inspected(host: Person) -> None:
    told = host("inspect", "web/shop:1.5").out
    assert re.search(r"^repository +web/shop$", told, re.MULTILINE)
    assert re.search(r"^platform +linux/amd64$", told, re.MULTILINE)
    found = host("inspect", "web/shop:1.5", "-o", "json").json()
    assert found["kind"] == "image"
    digits = found["digest"].removeprefix("sha256:")[:10]
    assert host("inspect", f"web/shop@{digits}", "-o", "json").json()["tags"] == ["1.5"]
    assert host("inspect", "web/shop:1.5", "--raw").out == found["raw"]
    layers = host("inspect", "web/shop:1.5", "--layers").out
    assert "RUN step 0" in layers
    assert "3.0 kB" in layers
    config = host("inspect", "web/shop:1.5", "--config")
    assert "TOKEN=***" in config.out
    assert "hidden" not in config.out
    assert host("inspect", "web/shop:1.5", "--attached").out == "There are none.\n"


def test_what_is_not_there_is_told_with_what_is(host: Person) -> None:
    missing = host.run("inspect", "web/shp:1.5").expect(3)
    assert "Did you mean web/shop?" in missing.err
    missing = host.run("inspect", "web/shop:1.6").expect(3)
    assert "Did you mean 1.5 or 1.4?" in missing.err or "Did you mean 1.4 or 1.5?" in missing.err
    missing = host.run("tag", "history", "web/shop:1.6").expect(3)
    assert "Did you mean web/shop:1.5" in missing.err
    assert host.run("inspect", "web/shop:").expect(2).err.startswith("Error: ")


def test_two_images_are_compared(host: Person) -> None:
    told = host("diff", "web/shop:1.4", ":1.5").out
    assert "B is 3.0 kB larger than A" in told
    assert "- env A: 1" in told
    assert "+ env A: 2" in told
    assert "1 layer is the same" in told
    assert "RUN step 1" in told
    assert "env A" not in host("diff", "web/shop:1.4", ":1.5", "--layers").out
    assert "RUN step 1" not in host("diff", "web/shop:1.4", ":1.5", "--config").out
    table = host("diff", "web/shop:1.4", "web/shop:1.5", "--format", "md").out
    assert "| env `A` | `1` | `2` |" in table
    found = host("diff", "web/shop:1.4", ":1.5", "-o", "json").json()
    assert [len(found[name]) for name in ("shared", "only_a", "only_b")] == [1, 0, 1]


def test_tags_are_listed_in_every_form(host: Person) -> None:
    assert host("tag", "list", "web/shop", "--filter", "1.", "-o", "name").out == "1.4\n1.5\n"
    newest = host("tag", "list", "web/shop", "--newest", "--filter", "1.[45]", "-o", "jsonl").out
    assert [json.loads(line)["name"] for line in newest.splitlines()] == ["1.5", "1.4"]
    told = host("tag", "list", "web/shop", "--filter", "1.", "--columns", "tag,grown").out
    assert told == "TAG  GROWN\n1.4\n1.5  +3.0 kB\n"
    asked = ("tag", "list", "web/shop", "--filter", "1.", "--sort", "-size")
    assert host(*asked, "-o", "name").out == "1.5\n1.4\n"
    assert host(*asked, "-o", "csv", "--columns", "tag").out == "tag\n1.5\n1.4\n"
    assert host(*asked, "-o", "yaml").out.startswith('- name: "1.5"\n')
    refused = host.run("tag", "list", "web/shop", "--sort", "colour").expect(2)
    assert "There is no column 'colour'." in refused.err
    assert host.run("tag", "list", "web/shop", "--newest", "--as-of", "2026-01-01").expect(2)


def test_tags_are_set_copied_deleted_and_brought_back(host: Person) -> None:
    old, new = (
        host("tag", "show", f"web/shop:{tag}", "-o", "json").json()["digest"]
        for tag in ("1.4", "1.5")
    )
    assert host("tag", "set", "web/shop:stable", ":1.4").out.endswith("it was nothing.\n")
    refused = host.run("tag", "set", "web/shop:stable", ":1.5", "--expect", new).expect(9)
    assert refused.err.startswith("Error: ")
    host("tag", "set", "web/shop:stable", "web/shop:1.5", "--expect", old)
    assert host("tag", "show", "web/shop:stable", "-o", "json").json()["digest"] == new
    assert host.run("tag", "set", "web/shop:stable", "web/cart:1").expect(2)
    copied = host("tag", "copy", "web/shop:1.5", "ops/copy:v1", "-o", "json").json()
    assert (copied["digest"], copied["manifests"], copied["blobs"]) == (new, 1, 3)
    assert (
        host("inspect", "ops/copy:v1", "--raw").out == host("inspect", "web/shop:1.5", "--raw").out
    )
    assert host.run("tag", "delete", "web/shop:stable").expect(2)  # nobody says yes
    host("tag", "delete", "web/shop:stable", "--yes")
    gone = host.run("tag", "show", "web/shop:stable").expect(3)
    assert "moorage tag undelete web/shop:stable" in gone.err
    host("tag", "undelete", "web/shop:stable")
    assert host("tag", "show", "web/shop:stable", "-o", "json").json()["digest"] == new
    assert host.run("tag", "undelete", "web/shop:stable").expect(9)
    host("tag", "delete", "web/shop:stable", "--yes")


def test_repositories_with_their_newest_tag(host: Person) -> None:
    told = host("repo", "list", "--namespace", "web", "--columns", "name,newest,tags").out
    assert told.splitlines()[0].split() == ["NAME", "NEWEST", "TAGS"]
    assert re.search(r"^web/shop +1\.5 +\d$", told, re.MULTILINE)


def test_a_repository_is_renamed(host: Person) -> None:
    host("repo", "create", "web/before")
    told = host("repo", "rename", "web/before", "web/after").out
    assert told == "web/before is web/after now; its old name leads there.\n"
    for name in ("web/before", "web/after"):
        assert host("repo", "show", name, "-o", "json").json()["name"] == "web/after"
    assert host.run("repo", "rename", "web/after", "web/shop").expect(9)
    assert host.run("repo", "rename", "web/after", "ops/after").expect(2)
    host("repo", "delete", "web/after", "--yes")


def test_what_is_stored_for_whom(host: Person) -> None:
    assert "web" in host("storage", "list", "-o", "name").out.split()
    (row,) = host("storage", "list", "web", "-o", "json").json()
    assert row["name"] == "web/shop"
    assert row["own"] == row["bytes"]
    assert host("storage", "top", "web", "-o", "json").json()[0]["size"] == 3_000
    assert re.search(r"web/shop  \(.* own\)", host("storage", "tree", "web").out)
    assert "free now" in host("storage", "clean-up").out


def test_any_request_can_be_sent(host: Person) -> None:
    found = json.loads(host("api", "GET", "/repositories?limit=1").out)
    assert len(found["items"]) == 1
    assert json.loads(host("api", "get", "/api/v1/repositories/web/shop").out)["name"] == "web/shop"
    assert host.run("api", "GET", "/nonsense").expect(3).err.startswith("Error: ")
    assert host.run("api", "GET", "repositories").expect(2)
    assert host.run("api", "GET", "/a b").expect(2)
    body = host.home / "body.json"
    body.write_text('{"reference": "1.4"}')
    host("api", "PUT", "/repositories/web/shop/-/tags/by-hand", "-d", f"@{body}")
    host("api", "DELETE", "/repositories/web/shop/-/tags/by-hand")


def test_contexts_choose_the_server(opened: Server, host: Person, tmp_path: Path) -> None:
    person = Person(tmp_path / "other")
    assert person.run("context", "show").expect(3).err.startswith("Error: No registry is chosen.")
    assert person.run("context", "use", "mine").expect(3)
    person("context", "use", "mine", "--server", opened.address)
    (row,) = person("context", "list", "-o", "json").json()
    assert (row["name"], row["server"], row["current"]) == ("mine", opened.address, True)
    assert person("context", "show", "-o", "name").out == "mine\n"
    # Local mode asks who is on the other side of the socket: this machine's own user.
    assert "web/shop" in person("repo", "list", "-o", "name").out
    assert "web/shop" in person("repo", "list", "-o", "name", "--server", "mine").out
    person("context", "remove", "mine")
    assert person("context", "list").out == "There are none.\n"
    assert person.run("context", "remove", "mine").expect(3)


def test_names_are_completed(host: Person, opened: Server) -> None:
    for name in ("ops/first", "ops/last"):
        host("tag", "copy", "web/shop:1.4", f"{name}:1")

    def complete(*words: str) -> list[str]:
        asked = {"_MOORAGE_COMPLETE": "zsh_complete", "COMP_WORDS": " ".join(words)}
        person = Person(host.home, **{**_ours(host), **asked, "COMP_CWORD": str(len(words) - 1)})
        return person.run().out.splitlines()

    for _ in range(20):  # an answer in time is kept, and a busy machine has none at first
        found = complete("moorage", "inspect", "web/s")
        if found:
            break
        time.sleep(0.2)
    assert "web/shop" in found
    for _ in range(20):
        found = complete("moorage", "inspect", "web/shop:1.")
        if found:
            break
        time.sleep(0.2)
    assert {"web/shop:1.4", "web/shop:1.5"} <= set(found)
    for _ in range(20):
        found = complete("moorage", "tag", "list", f"{opened.address}/ops/l")
        if found:
            break
        time.sleep(0.2)
    assert found[1::3] == [f"{opened.address}/ops/last"]
    assert "COMP_WORDBREAKS" in host("completion", "bash").out
    host("context", "use", "prod", "--server", opened.address)
    assert complete("moorage", "whoami", "--server", "p")[1::3] == ["prod"]
    refused = host.run("whoami", "--server", "prdo").expect(3)
    assert "Did you mean prod?" in refused.err
    assert "Did you mean prod?" in host.run("context", "use", "prodd").expect(3).err


def _ours(person: Person) -> dict[str, str]:
    return {key: text for key, text in person.environment.items() if key.startswith("MOORAGE_")}


def test_help_on_topics(host: Person) -> None:
    assert "exit-codes" in host("help").out
    assert re.search(r"^9 ", host("help", "exit-codes").out, re.MULTILINE)
    assert host.run("help", "nonsense").expect(3).err.startswith("Error: There is no help")


def test_repositories_are_listed_by_their_last_change(host: Person, opened: Server) -> None:
    for name in ("recent/b", "recent/a"):
        Registry(opened.url).repository(name).push_image("1")
    asked = ("repo", "list", "--newest", "--namespace", "recent")
    end = time.monotonic() + 5
    while (told := host(*asked, "--type", "image", "-o", "name").out) != "recent/a\nrecent/b\n":
        assert time.monotonic() < end, told
        time.sleep(0.2)
    assert host(*asked, "--pulled", "unused").out == "There are none.\n"
    by_column = host("repo", "list", "--sort", "-changed", "--limit", "2", "-o", "name").out
    assert by_column == told
    (row,) = host("repo", "list", "--newest", "--limit", "1", "-o", "json").json()
    assert (row["name"], row["type"]) == ("recent/a", "image")
    assert row["changed_at"]
    host.run("repo", "list", "--type", "picture").expect(2)


def test_references_choose_the_registry(opened: Server, tmp_path: Path) -> None:
    """With a port it is any host; one command speaks to one registry."""
    person = Person(tmp_path)
    told = person("inspect", f"{opened.address}/web/shop:1.5", "-o", "name").out
    assert told == "web/shop\n"
    asked = ("inspect", f"{opened.address}/web/shop:1.5", "-o", "name")
    assert person(*asked, "--server", f"http://{opened.address}/").out == told
    assert "is the same" in person("diff", f"{opened.address}/web/shop:1.4", ":1.5").out
    refused = person.run("tag", "show", f"{opened.address}/web/shop:1.5", "--server", "other")
    assert "One command speaks to one registry." in refused.expect(2).err
    refused = person.run("diff", f"{opened.address}/web/shop:1.4", "localhost:1/web/shop:1.5")
    assert refused.expect(2)
    refused = person.run("repo", "show", f"{opened.address}/web/shop", "--data", str(tmp_path))
    assert refused.expect(2)
    missing = person.run("repo", "show", "registry.example/web/shop", "--server", opened.address)
    assert "web/shop with --server registry.example" in missing.expect(3).err


def test_a_token_goes_to_no_registry_that_a_reference_names(opened: Server, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("mrg_of_another")
    kept = {"MOORAGE_SERVER": "registry.example", "MOORAGE_TOKEN_FILE": str(token)}
    person = Person(tmp_path / "home", **kept)
    refused = person.run("repo", "show", f"{opened.address}/web/shop").expect(2)
    assert "The token in $MOORAGE_TOKEN_FILE is for registry.example." in refused.err


def test_completion_shows_it_to_no_other_one_either(tmp_path: Path) -> None:
    """A press of a key is enough to have asked."""
    (tmp_path / "token").write_text("mrg_of_another")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        person = Person(
            tmp_path / "home",
            MOORAGE_TOKEN_FILE=str(tmp_path / "token"),
            _MOORAGE_COMPLETE="zsh_complete",
            COMP_WORDS=f"moorage inspect 127.0.0.1:{listener.getsockname()[1]}/w",
            COMP_CWORD="2",
        )
        with ThreadPoolExecutor(1) as pool:
            completed = pool.submit(person.run)
            asking, _ = listener.accept()
            with asking:
                asked = asking.recv(65_536)
                asking.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            assert completed.result().out.strip() == ""
    assert asked.startswith(b"GET /api/v1/repositories?")
    assert b"mrg_" not in asked


def test_tags_are_deleted_as_far_as_they_are_there(host: Person) -> None:
    for tag in ("a", "b"):
        host("tag", "set", f"web/shop:part-{tag}", ":1.4")
    words = [f"web/shop:part-{tag}" for tag in ("a", "none", "b")]
    would = host.run("tag", "delete", *words, "--dry-run").expect(6)
    assert would.out.count("would be deleted") == 2
    told = host.run("tag", "delete", *words, "--yes").expect(6)
    assert told.out.count("is deleted") == 2
    assert "1 of 3 were not done: web/shop:part-none." in told.err
    assert host.run("tag", "delete", *words, "--yes").expect(3)


def test_a_dry_run_changes_nothing(host: Person) -> None:
    old, new = (
        host("tag", "show", f"web/shop:{tag}", "-o", "json").json()["digest"]
        for tag in ("1.4", "1.5")
    )
    told = host("tag", "set", "web/shop:dry", ":1.5", "--dry-run").out
    assert told == f"web/shop:dry would be {new}; it is nothing now.\n"
    told = host("tag", "copy", "web/shop:1.5", "web/shop:1.4", "--dry-run", "-o", "json").json()
    assert told == {"digest": new, "before": old}
    words = ("tag", "set", "web/shop:1.4", ":1.5", "--dry-run", "--expect", new)
    assert host.run(*words).expect(9)
    assert host.run("tag", "set", "web/shop:dry", ":none", "--dry-run").expect(3)
    assert "would go to the trash" in host("repo", "delete", "web/shop", "--dry-run").out
    assert host("tag", "show", "web/shop:1.4", "-o", "json").json()["digest"] == old
    assert host.run("tag", "show", "web/shop:dry").expect(3)


def test_a_tag_is_compared_with_what_it_was(host: Person) -> None:
    for tag in ("1.4", "1.5"):
        host("tag", "set", "web/shop:moving", f":{tag}")
    assert "+ env A: 2" in host("tag", "diff", "web/shop:moving").out
    assert "+ env A: 2" in host("tag", "diff", "web/shop:moving", "--version", "1").out
    same = host("tag", "diff", "web/shop:moving", "--version", "2", "-o", "json").json()
    assert same["only_b"] == []
    assert "| env `A` |" in host("tag", "diff", "web/shop:moving", "--format", "md").out
    now = datetime.now(UTC).isoformat()
    assert host("tag", "diff", "web/shop:moving", "--as-of", now, "-o", "json").json() == same
    assert host.run("tag", "diff", "web/shop:moving", "--as-of", "2020-01-01").expect(3)
    assert host.run("tag", "diff", "web/shop:moving", "--version", "1", "--as-of", now).expect(2)
    refused = host.run("tag", "diff", "web/shop:1.5").expect(3)
    assert "web/shop:1.5 named nothing else before." in refused.err
    host("tag", "delete", "web/shop:moving", "--yes")
    host("tag", "undelete", "web/shop:moving")
    assert "B is" in host("tag", "diff", "web/shop:moving").out


def test_what_is_in_the_trash_comes_back_by_its_name(host: Person, opened: Server) -> None:
    host("tag", "copy", "web/shop:1.4", "ops/binned:1")
    host("tag", "delete", "ops/binned:1", "--yes")
    host("trash", "restore", "ops/binned:1")
    host("repo", "delete", "ops/binned", "--yes")
    host("trash", "restore", "ops/binned")
    digest = host("tag", "show", "ops/binned:1", "-o", "json").json()["digest"]
    host("trash", "restore", f"ops/binned@{digest}")
    Registry(opened.url).delete(f"/v2/ops/binned/manifests/{digest}").expect(202)
    told = host("trash", "restore", f"ops/binned@{digest[:15]}").out
    assert told == "1 manifest is out of the trash.\n"
    host("trash", "restore", "ops/binned:1")
    host("repo", "delete", "ops/binned", "--yes")
    assert "is there again" in host("repo", "undelete", "ops/binned").out
    host("repo", "delete", "ops/binned", "--yes")


def test_a_rule_has_an_exit_code_of_its_own(host: Person) -> None:
    """Nobody may delete it: it is no lack of rights."""
    host("tag", "set", "web/shop:kept", ":1.4")
    host("rule", "add", "web/shop", "kept")
    refused = host.run("tag", "delete", "web/shop:kept", "--yes").expect(5)
    assert "web/shop:kept can't be moved" in refused.err


def test_requests_are_told_to_who_wants_to_know(host: Person) -> None:
    told = host("-v", "repo", "show", "web/shop")
    assert re.search(r"^GET http.*/repositories/web/shop: 200 in \d+ ms, request ", told.err)
    assert host("repo", "show", "web/shop").err == ""


def test_what_was_found_is_named_as_it_is_pulled(host: Person) -> None:
    asked = ("search", "step", "--kind", "label")
    assert host(*asked, "-o", "yaml").out == "[]\n"
    digest = host("tag", "show", "web/shop:1.5", "-o", "json").json()["digest"]
    assert "web/shop:1.5" in host("search", digest, "-o", "name").out.split()


def test_a_name_that_can_t_be_is_told_in_words(host: Person) -> None:
    refused = host.run("repo", "create", "Web/Shop").expect(2)
    assert "Why: The field name can't be that." in refused.err
    assert "Do: Write it as web/shop: its parts have lower-case letters" in refused.err


def test_a_tree_of_what_is_not_there(host: Person) -> None:
    assert host.run("storage", "tree", "nope").expect(3)
    assert "web/shop" in host("storage", "tree", "web").out
