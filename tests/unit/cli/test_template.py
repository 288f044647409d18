"""Templates write fields of documents, and nothing that steers a terminal."""

import pytest

from moorage.cli.output import Output
from moorage.cli.template import Template
from moorage.errors import Refused

DOCUMENT = {
    "name": "1.4",
    "tags": ["1.4", "latest"],
    "size": 10,
    "by": {"actor": "alice"},
    "none": None,
    "bad": "a\x1b[2J",
}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{{.name}}", "1.4"),
        (r"{{.name}}\t{{ .size }}", "1.4\t10"),
        ("{{.by.actor}}: {{json .tags}}", 'alice: ["1.4", "latest"]'),
        ("{{len .tags}}{{- .none -}}", "2"),
        ("{{.absent}} {{.name.absent}}", "<no value> <no value>"),
        ("{{.bad}}", "a\N{REPLACEMENT CHARACTER}[2J"),
        ("words alone", "words alone"),
    ],
)
def test_fields(text: str, told: str) -> None:
    assert Template(text).write(DOCUMENT) == told


def test_the_whole() -> None:
    assert Template("{{.}}").write({"a": 1}) == '{"a": 1}'


@pytest.mark.parametrize("text", ["{{range .tags}}", "{{name}}", "{{.name", "}}", "{{.a b}}"])
def test_what_is_not_known_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="not known in a template") as refused:
        Template(text)
    assert refused.value.exit_code == 2


def test_a_line_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output("go-style={{.name}}")
    output.items([{"name": "a"}, {"name": "b"}], (), None)
    output.one({"name": "c"}, ())
    output.done("It is done.", {"name": "d"})
    assert capsys.readouterr().out == "a\nb\nc\nd\n"
