"""Templates: every text is escaped, and what a template does not know is a fault."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path

import pytest
from jinja2 import UndefinedError

import moorage.ui
from moorage.ui import words
from moorage.ui.rendering import environment

HOSTILE = "<img src=x onerror=alert(1)>\"'"
TEMPLATES = Path(moorage.ui.__file__).parent / "templates"
NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize("source", ["{{ x }}", '<a title="{{ x }}">', "{{ x|default('') }}"])
def test_texts_are_escaped(source: str) -> None:
    made = environment().from_string(source).render(x=HOSTILE)
    assert "<img" not in made
    assert HOSTILE not in made


def test_what_is_not_there_is_a_fault() -> None:
    with pytest.raises(UndefinedError):
        environment().from_string("{{ facts.nothing }}").render(facts={})


@pytest.mark.parametrize("macro", ["tag", "digest", "command", "visibility"])
def test_macros_escape(macro: str) -> None:
    source = f'{{% import "macros.html" as ui %}}{{{{ ui.{macro}(x) }}}}'
    assert "<img" not in environment().from_string(source).render(x=HOSTILE)


@pytest.mark.parametrize("path", sorted(TEMPLATES.iterdir()), ids=lambda path: path.name)
def test_every_template_compiles(path: Path) -> None:
    assert environment().get_template(path.name).name == path.name


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.0 kB"),
        (99_949, "99.9 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (48_000_000, "48.0 MB"),
        (3_200_000_000, "3.2 GB"),
        (10**18, "1000 PB"),
        (None, "—"),
    ],
)
def test_sizes_as_people_read_them(count: int | None, text: str) -> None:
    assert words.size(count) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "±0"), (2_100_000, "+2.1 MB"), (-5, "\N{MINUS SIGN}5 B"), (None, "")]
)
def test_differences_have_a_sign(count: int | None, text: str) -> None:
    assert words.difference(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "just now"),
        (44, "just now"),
        (46, "1 min ago"),
        (3_600, "1 h ago"),
        (86_400, "1 d ago"),
        (45 * 86_400, "1 mo ago"),
        (800 * 86_400, "2 y ago"),
        (-7_200, "in 2 h"),
    ],
)
def test_times_as_people_say_them(seconds: int, text: str) -> None:
    assert words.since(NOW - timedelta(seconds=seconds), NOW) == text


def test_a_digest_is_short_and_whole_where_it_is_pointed_at() -> None:
    digest = "sha256:" + "ab" * 32
    source = '{% import "macros.html" as ui %}{{ ui.digest(x) }}'
    made = environment().from_string(source).render(x=digest)
    assert ">abababababab<" in made
    assert f'title="{digest}"' in made


@pytest.mark.parametrize(
    "command", ["docker pull 127.0.0.1:5000/web/shop:1.2", "helm pull <b>", "oras/", ""]
)
@pytest.mark.parametrize("macro", ["command", "command_of_row"])
def test_a_command_is_whole_however_it_is_cut_on_the_screen(macro: str, command: str) -> None:
    """What is copied is the text in `code`, without what marks its end."""
    source = f'{{% import "macros.html" as ui %}}{{{{ ui.{macro}(text) }}}}'
    shown = environment().from_string(source).render(text=command)
    inside = shown.partition("<code")[2].partition(">")[2].partition("</code>")[0]
    assert unescape(re.sub(r"<[^>]*>", "", inside)) == command
