"""What is pushed while a page is open: told at once, and only to who may read it then."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack

import pytest

from cast import Cast
from registry import unique
from streaming import Stream, wait_for_a_place

pytestmark = pytest.mark.metadata

SOON = 2.0
SHARE = 16


def test_a_push_is_told_within_two_seconds(cast: Cast) -> None:
    with Stream(cast.asked_by["reader"]) as stream:
        assert stream.answer.headers["Content-Type"].startswith("text/event-stream")
        tag = unique()
        pushed = cast.asked_by["writer"].repository("acme/private").push_image(tag)
        began = time.monotonic()
        told = stream.next()
        assert time.monotonic() - began < SOON
        assert (told["repository"], told["tags"]) == ("acme/private", [tag])
        assert told["digest"] == pushed.digest
        assert told["page"] == "/r/acme/private"


def test_only_those_are_told_who_may_read_it(cast: Cast) -> None:
    """What all may see comes behind what is hidden: it is the first that they hear of."""
    there = cast.asked_by["administrator"]
    with (
        Stream(cast.asked_by["anonymous"]) as nobody,
        Stream(cast.asked_by["stranger"]) as stranger,
    ):
        for name in ("acme/private", "acme/internal", "acme/public"):
            there.repository(name).push_image(unique())
        assert stranger.next()["repository"] == "acme/internal"
        assert stranger.next()["repository"] == "acme/public"
        assert nobody.next()["repository"] == "acme/public"


def test_whose_right_is_taken_hears_no_more(cast: Cast) -> None:
    """It is looked at with each push, and not when the stream began."""
    there = cast.asked_by["administrator"]
    change = {"Content-Type": "application/json"}
    with Stream(cast.asked_by["anonymous"]) as stream:
        there.repository("acme/public").push_image(unique())
        assert stream.next()["repository"] == "acme/public"
        tag = ""
        for shown in ("private", "public"):
            body = json.dumps({"visibility": shown}).encode()
            path = "/api/v1/repositories/acme/public"
            there.patch(path, body, change).expect(200)
            tag = unique(shown)
            there.repository("acme/public").push_image(tag)
            time.sleep(SOON)
        assert stream.next()["tags"] == [tag]


def test_who_was_away_takes_up_where_it_was(cast: Cast) -> None:
    there = cast.asked_by["writer"].repository("acme/private")
    with Stream(cast.asked_by["reader"]) as stream:
        there.push_image(unique())
        stream.next()
        place = stream.place
    missed = unique()
    there.push_image(missed)
    with Stream(cast.asked_by["reader"], place) as again:
        assert again.next()["tags"] == [missed]


@pytest.mark.parametrize("page", ["/.json", "/r/acme/private/-/tags.json"])
def test_a_page_hears_what_came_since_it_was_made(cast: Cast, page: str) -> None:
    """And nothing of before, whatever had been pushed when it was made."""
    there = cast.asked_by["writer"].repository("acme/private")
    reader = cast.asked_by["reader"]
    with Stream(reader) as stream:
        there.push_image(unique())
        stream.next()
    place = reader.get(page).expect(200).json()["place"]
    missed = unique()
    there.push_image(missed)
    with Stream(reader, after=place) as late:
        assert late.next()["tags"] == [missed]


def test_the_first_page_of_all_hears_what_came_since(cast: Cast) -> None:
    """Nothing had happened yet: what is behind that is everything, and not nothing."""
    tag = unique()
    cast.asked_by["writer"].repository("acme/private").push_image(tag)
    with Stream(cast.asked_by["reader"], after=0) as stream:
        while stream.next()["tags"] != [tag]:
            pass


@pytest.mark.parametrize("after", ["x", "-1", "9" * 40, "1&after=2"])
def test_an_address_without_a_place_is_refused(cast: Cast, after: str) -> None:
    cast.asked_by["reader"].get(f"/events?after={after}").expect(422)


def test_what_was_deleted_meanwhile_is_not_told(cast: Cast) -> None:
    there = cast.asked_by["writer"].repository("acme/private")
    with Stream(cast.asked_by["reader"]) as stream:
        there.push_image(unique())
        stream.next()
        place = stream.place
    gone = there.push_image(unique())
    here = there.path(f"manifests/{gone.digest}")
    cast.asked_by["administrator"].delete(here).expect(202)
    stays = unique()
    there.push_image(stays)
    with Stream(cast.asked_by["reader"], place) as again:
        assert again.next()["tags"] == [stays]


def test_a_push_without_a_tag_is_not_told(cast: Cast) -> None:
    there = cast.asked_by["writer"].repository("acme/private")
    with Stream(cast.asked_by["reader"]) as stream:
        there.push_image()
        tag = unique()
        there.push_image(tag)
        assert stream.next()["tags"] == [tag]


@pytest.mark.parametrize("last", ["x", "-1", "9" * 40, "0"])
def test_a_place_that_is_none_begins_now(cast: Cast, last: str) -> None:
    with Stream(cast.asked_by["reader"], last) as stream:
        tag = unique()
        cast.asked_by["writer"].repository("acme/private").push_image(tag)
        assert stream.next()["tags"] == [tag]


def test_an_address_has_its_share_and_leaves_the_rest_to_others(cast: Cast) -> None:
    """Whoever is signed in has its own; a place is free again when its page is closed."""
    nobody = cast.asked_by["anonymous"]
    with ExitStack() as pages:
        for _ in range(SHARE):
            nobody.head("/events").expect(200)  # it takes none
            pages.enter_context(Stream(nobody))
        refused = nobody.get("/events", {"Accept": "text/event-stream"}).expect(429)
        assert int(refused["Retry-After"]) > 0
        assert "follow what is pushed" in refused.body.decode()
        for who in ("reader", "stranger"):
            with Stream(cast.asked_by[who]) as stream:
                tag = unique()
                cast.asked_by["writer"].repository("acme/public").push_image(tag)
                assert stream.next()["tags"] == [tag]
    wait_for_a_place(nobody, SOON)
    with Stream(nobody):
        pass


def test_an_account_has_its_share(cast: Cast) -> None:
    with ExitStack() as pages:
        for _ in range(SHARE):
            pages.enter_context(Stream(cast.asked_by["guest"]))
        cast.asked_by["guest"].get("/events").expect(429)
        with Stream(cast.asked_by["reader"]):
            pass


def test_streams_end_when_the_server_stops() -> None:
    """At once, and cleanly: nobody waits for the end of the time that is given for draining."""
    with Cast() as running, Stream(running.asked_by["reader"]) as stream:
        began = time.monotonic()
        running.server.terminate()
        assert stream.answer.read() == b""
        assert time.monotonic() - began < 5
