"""One's own account: the second factor is learnt by a code, and asked for from then on."""

from __future__ import annotations

import html
import re

import pyotp
import pytest

from browser import Browser
from cast import PASSWORD, Cast
from members import Members
from moorage.ui import qr
from registry import unique

pytestmark = pytest.mark.metadata


def test_a_second_factor_is_learnt_used_and_taken_away(cast: Cast) -> None:
    name = unique("u")
    Members.of(cast.server).account(name, password=PASSWORD)
    browser = Browser(cast).sign_in(name)
    page = browser.post("/account", {"do": "begin-totp"}).body.decode()
    uri = re.search(r'href="(otpauth://[^"]+)"', page)
    ticket = re.search(r'name="ticket" value="([^"]+)"', page)
    assert uri is not None
    assert ticket is not None
    # What a device reads from the screen is what the link says.
    drawn = re.search(r'<svg class="qr".*?</svg>', page)
    assert drawn is not None
    told = re.search(r'aria-label="([^"]+)"', drawn[0])
    assert told is not None
    assert drawn[0] == qr.draw(html.unescape(uri[1]), told[1])
    code = pyotp.parse_uri(html.unescape(uri[1]))
    assert isinstance(code, pyotp.TOTP)
    given = {"do": "confirm-totp", "ticket": html.unescape(ticket[1]), "password": PASSWORD}
    assert browser.post("/account", {**given, "code": "000000"}).status in (401, 403, 422)
    answer = browser.post("/account", {**given, "code": code.now()})
    assert (answer.status, answer["Location"]) == (303, "/account?done=second-factor")
    other = Browser(cast)
    other.get("/sign-in")
    asked = {"do": "sign-in", "name": name, "password": PASSWORD}
    assert other.post("/sign-in", asked).status == 401
    assert "asks for a code" in browser.get("/account").body.decode()
    removed = browser.post("/account", {"do": "remove-totp", "password": PASSWORD})
    assert (removed.status, removed["Location"]) == (303, "/account?done=no-second-factor")
    assert other.post("/sign-in", asked).status == 303
