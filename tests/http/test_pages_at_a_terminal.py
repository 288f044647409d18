"""Pages for those who are at a terminal: as plain text, and the commands that do the same."""

from __future__ import annotations

import gzip
import html
import re
import shlex
from urllib.parse import urlencode

import click
import pytest

from browser import HTML
from cast import Cast
from moorage.cli.main import commands
from moorage.ui.pages import PAGES
from paged import ROWS, address, ask
from registry import Answer

pytestmark = [pytest.mark.metadata, pytest.mark.usefixtures("hidden_tags")]

# Signing in, and what is of a browser or of a person alone.
WITHOUT_COMMAND = {"home", "account", "sign-in", "sign-out", "theme"}
TERMINAL = ("Accept", "*/*")


@pytest.mark.parametrize("name", [page.name for page in PAGES if page.acts])
def test_a_page_with_forms_shows_them_as_commands(cast: Cast, name: str) -> None:
    if name in WITHOUT_COMMAND:
        return
    answer = ask(cast, "administrator", address(cast, name))
    if answer.status == 404:
        return
    assert '<details class="fold block" id="as-command">' in answer.body.decode()


@pytest.mark.parametrize("name", ROWS)
def test_the_commands_of_a_page_are_commands(cast: Cast, name: str) -> None:
    """Each is taken by the command line as it stands there."""
    for who in ("administrator", "reader", "anonymous"):
        answer = ask(cast, who, address(cast, name))
        for command in commands_of(answer):
            words = shlex.split(command)
            if words[0] == "curl":
                place = words[-1].removeprefix(cast.asked_by[who].url)
                assert cast.asked_by[who].request("GET", place).status == 200
                assert words[1:-1] == ["-fsS"] + ([] if who == "anonymous" else ["-u", who])
                continue
            assert words[0] == "moorage"
            parsed(words[1:])


def commands_of(answer: Answer) -> list[str]:
    """Return what stands in the fold of commands."""
    _, _, fold = answer.body.decode().partition('id="as-command">')
    found = re.findall(r"<pre title=\"([^\"]*)\">", fold.partition("</details>")[0])
    return [html.unescape(each) for each in found]


def parsed(words: list[str]) -> None:
    """Have the command line take the words, and not run what they mean."""
    command: click.Command = commands
    name: str | None = "moorage"
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words[0]) if words else None
        if found is None:
            break
        name, words, command = words[0], words[1:], found
    command.make_context(name, list(words))


def test_what_is_searched_for_is_quoted_in_the_command(cast: Cast) -> None:
    for text in ("$(reboot) `x`; 'y' \"z\"", "--limit"):
        answer = ask(cast, "reader", "/search?" + urlencode({"q": text}))
        assert shlex.split(commands_of(answer)[0])[-1] == text


@pytest.mark.parametrize("path", ["/acme/private", "/r/acme/private", "/r/acme/private/-/tags"])
def test_a_terminal_is_answered_in_text(cast: Cast, path: str) -> None:
    reader = cast.asked_by["reader"]
    answers = [reader.request("GET", path, accept) for accept in ([TERMINAL], [])]
    for answer in answers:
        assert answer.status == 200
        assert answer["Content-Type"] == "text/plain; charset=utf-8"
        assert answer["Cache-Control"] == "no-store"
        assert "Accept" in answer["Vary"].split(", ")
        assert not answer.get("Set-Cookie")
        lines = answer.body.decode().splitlines()
        assert lines[0] == "acme/private (private)"
        assert f"docker pull {cast.server.address}/acme/private:latest" in lines
        latest = reader.head("/v2/acme/private/manifests/latest")["Docker-Content-Digest"]
        digest = latest.partition(":")[2][:12]
        assert any(re.match(rf"latest +{digest} +\S+ k?B +\S", line) for line in lines)
    head = reader.request("HEAD", path, [TERMINAL])
    assert (head.status, head.body) == (200, b"")
    assert head["Content-Length"] == str(len(answers[0].body))
    packed = reader.request("GET", path, [TERMINAL, ("Accept-Encoding", "gzip")])
    assert gzip.decompress(packed.body) == answers[0].body
    page = reader.request("GET", path, [HTML])
    assert "Accept" in page["Vary"].split(", ")
    assert path == "/acme/private" or page["Content-Type"].startswith("text/html")


def test_text_goes_on_where_it_says(cast: Cast) -> None:
    there = cast.asked_by["owner"].repository("acme/many")
    image = there.push_image("v0")
    for number in range(1, 45):
        there.push_manifest(image.raw, f"v{number}")
    place, seen = "/acme/many", []
    while place:
        text = there.registry.request("GET", place, [TERMINAL]).expect(200).body.decode()
        seen += re.findall(r"^(v\d+) ", text, re.MULTILINE)
        more = re.search(rf"^More: {re.escape(there.registry.url)}(/\S+)$", text, re.MULTILINE)
        place = more[1] if more else ""
    assert sorted(seen) == sorted(f"v{n}" for n in range(45))


@pytest.mark.parametrize("who", ["anonymous", "stranger", "former", "disabled", "reader"])
@pytest.mark.parametrize("place", ["/{}", "/r/{}"])
def test_in_text_what_is_hidden_is_not_there(cast: Cast, who: str, place: str) -> None:
    hidden = "secret/x" if who == "reader" else "acme/private"
    one, other = (
        cast.asked_by[who].request("GET", place.format(name), [TERMINAL])
        for name in (hidden, hidden.replace("/", "/no-"))
    )
    assert one.status == other.status == (401 if who in ("anonymous", "disabled") else 404)
    told = one.body.decode().replace(hidden, "NAME")
    assert told == other.body.decode().replace(hidden.replace("/", "/no-"), "NAME")
    assert one["Content-Type"] == other["Content-Type"] == "text/plain; charset=utf-8"
    names = {key.lower() for key, _ in one.headers} - {"content-length"}
    assert names == {key.lower() for key, _ in other.headers} - {"content-length"}
    assert one.get("WWW-Authenticate") == other.get("WWW-Authenticate")
    assert ("curl -u NAME http" in one.body.decode()) is (who == "anonymous")


@pytest.mark.parametrize(
    "path", ["/acme/private:latest", "/Acme/x", "/-/x", "/a/../b", "/api/v1/x", "/api"]
)
def test_what_names_no_repository_has_no_text(cast: Cast, path: str) -> None:
    answer = cast.asked_by["reader"].request("GET", path, [TERMINAL])
    assert answer.status in (400, 404)
    assert "json" in answer["Content-Type"]


def test_an_image_does_not_steer_the_terminal(cast: Cast) -> None:
    """What it says of itself is the description of a repository that has none."""
    there = cast.asked_by["owner"].repository("acme/steering")
    evil = "\x1b[2J\x1b]0;gone\x07 \x9b31m \u202e plain"
    there.push_image("latest", annotations={"org.opencontainers.image.description": evil})
    text = there.registry.request("GET", "/acme/steering", [TERMINAL]).expect(200).body.decode()
    assert text.replace("\n", "").isprintable()
    assert text.startswith("acme/steering (private)\n")


def test_only_reading_has_a_text(cast: Cast) -> None:
    for method in ("POST", "PUT", "DELETE"):
        answer = cast.asked_by["owner"].request(method, "/acme/private", [TERMINAL])
        assert answer.status == 404
