"""Configurations of images, whoever wrote them: read part by part, with secrets masked."""

import json
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.oci.config import instruction_of, masked, masked_field, parse_config


def encoded(**parts: Any) -> bytes:
    return json.dumps(parts).encode()


def test_all_that_an_image_says() -> None:
    found = parse_config(
        encoded(
            os="linux",
            architecture="arm",
            variant="v7",
            created="2026-01-02T03:04:05Z",
            author="alice",
            config={
                "User": "1000",
                "WorkingDir": "/srv",
                "StopSignal": "SIGINT",
                "Entrypoint": ["/bin/run"],
                "Cmd": ["serve"],
                "Env": ["PATH=/bin"],
                "ExposedPorts": {"80/tcp": {}, "443/tcp": {}},
                "Volumes": {"/data": {}},
                "Labels": {"b": "2", "a": "1"},
            },
            history=[{"created_by": "COPY . . # buildkit"}],
        )
    )
    assert found.platform == "linux/arm/v7"
    assert (found.author, found.user, found.working_dir) == ("alice", "1000", "/srv")
    assert (found.entrypoint, found.cmd) == (("/bin/run",), ("serve",))
    assert found.ports == ("443/tcp", "80/tcp")
    assert found.volumes == ("/data",)
    assert list(found.labels) == ["a", "b"]
    assert found.history[0].instruction == "COPY . ."
    assert found.problems == ()


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"", "the configuration"),
        (b"[]", "the configuration"),
        (b"\xff", "the configuration"),
        (b"[" * 200_000, "the configuration"),
        (b'{"config":' + b"[" * 200_000, "nested too deeply"),
        (b'{"config":{"Env":7}}', "Env"),
        (b'{"config":{"Labels":{"a":[]}}}', "Labels"),
        (b'{"history":{}}', "history"),
        (b'{"created":[]}', "created"),
        (encoded(config={"Env": [f"A{n}=b" for n in range(2_001)]}), "2,001 entries"),
    ],
)
def test_what_is_not_as_it_must_be_is_named(raw: bytes, problem: str) -> None:
    found = parse_config(raw)
    assert problem in found.problems[0]
    assert len(found.env) <= 2_000


def test_one_bad_part_spoils_no_other() -> None:
    found = parse_config(encoded(os="linux", config={"Env": 7, "User": "app", "Cmd": ["x"]}))
    assert (found.os, found.user, found.cmd, found.env) == ("linux", "app", ("x",), ())
    assert len(found.problems) == 1


def test_a_long_text_is_cut() -> None:
    found = parse_config(encoded(author="x" * 100_000))
    assert len(found.author) < 10_000
    assert found.author.endswith("…")


@given(
    st.binary(max_size=200) | st.recursive(st.none() | st.text(), st.lists).map(str).map(str.encode)
)
def test_nothing_is_raised_and_all_can_be_sent(raw: bytes) -> None:
    msgspec.json.encode(parse_config(raw))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("DB_PASSWORD=hunter2", "DB_PASSWORD=***"),
        ("db_password=two words", "db_password=***"),
        ("RUN API_KEY='a b' make", "RUN API_KEY=*** make"),
        ("|2 TOKEN=abc V=1 /bin/sh -c make", "|2 TOKEN=*** V=1 /bin/sh -c make"),
        ("ENV GITHUB_TOKEN abc def", "ENV GITHUB_TOKEN ***"),
        ("ARG AWS_SECRET_ACCESS_KEY=x", "ARG AWS_SECRET_ACCESS_KEY=***"),
        ("curl https://bob:pw@host/x", "curl https://bob:***@host/x"),
        ("PATH=/usr/bin", "PATH=/usr/bin"),
        ("RUN echo password", "RUN echo password"),
        ("https://host:8080/x@y", "https://host:8080/x@y"),
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str, shown: str) -> None:
    assert masked(text) == shown


def test_secret_labels_and_steps_are_masked() -> None:
    found = parse_config(
        encoded(
            config={"Labels": {"deploy.token": "abc", "url": "https://a:b@c"}},
            history=[{"created_by": "ENV TOKEN=abc", "comment": "SECRET=abc"}],
        )
    )
    assert "abc" not in json.dumps(msgspec.to_builtins(found))
    assert found.labels["url"] == "https://a:***@c"


@pytest.mark.parametrize(
    ("created_by", "instruction"),
    [
        ('/bin/sh -c #(nop)  CMD ["bash"]', 'CMD ["bash"]'),
        ("/bin/sh -c apt-get update", "RUN apt-get update"),
        ("RUN /bin/sh -c make # buildkit", "RUN make"),
        ("RUN |1 V=2 /bin/sh -c make # buildkit", "RUN make"),
        ("|1 V=2 /bin/sh -c make", "RUN make"),
        ("COPY . /srv # buildkit", "COPY . /srv"),
        ("bazel build ...", "bazel build ..."),
        ("", ""),
    ],
)
def test_instructions_are_those_of_the_dockerfile(created_by: str, instruction: str) -> None:
    assert instruction_of(created_by) == instruction


@pytest.mark.parametrize(
    "text",
    [
        "token" * 100_000,
        "token" * 100_000 + "!",
        "ENV " + "token" * 100_000,
        "ENV" + " " * 500_000,
        'token="' * 70_000,
        "://" * 170_000,
    ],
    ids=lambda text: text[:6],
)
def test_a_text_of_any_length_is_gone_over_once(text: str) -> None:
    began = time.process_time()
    masked(text)
    masked_field(text, text)
    # Ten times as much as it takes; where each place is tried anew, it is minutes.
    assert time.process_time() - began < 2


def test_nothing_is_shown_in_another_order_than_it_ran() -> None:
    """What is written from right to left by itself stays; what turns other text round does not."""
    turned = "rm -rf /\u202e/ dne\u2066"
    found = parse_config(
        encoded(
            config={"Cmd": [turned], "Labels": {turned: turned}},
            history=[{"created_by": turned}],
        )
    )
    shown = "rm -rf /\ufffd/ dne\ufffd"
    assert found.cmd == (shown,)
    assert found.labels == {shown: shown}
    assert found.history[0].instruction == shown
    assert masked_field("title", turned) == shown
    assert masked_field("title", "\u05e9\u05dc\u05d5\u05dd") == "\u05e9\u05dc\u05d5\u05dd"


def test_a_long_step_is_gone_over_once() -> None:
    began = time.process_time()
    assert instruction_of(" " * 100_000 + "x") == " " * 100_000 + "x"
    assert time.process_time() - began < 2
