"""Cookies: what browsers keep them to, and which of them count."""

from typing import cast

import pytest
from multidict import CIMultiDict

from moorage.web.cookies import SESSION, SIGN_IN, cookie_of, new_cookie
from moorage.web.request import Request

HTTPS, HTTP = "https://registry.example", "http://registry.example"


class Asked:
    """A request with cookies."""

    is_tls = False

    def __init__(self, *cookies: str) -> None:
        pairs = [("Host", "registry.example"), *(("Cookie", each) for each in cookies)]
        self.headers = CIMultiDict(pairs)


def asked(*cookies: str) -> Request:
    """Return it as a request."""
    return cast("Request", Asked(*cookies))


def test_over_https_no_other_site_can_set_it() -> None:
    made = new_cookie(asked(), HTTPS, SIGN_IN, "secret", 600)
    assert made == (
        "__Host-moorage-sign-in=secret; Path=/; Max-Age=600; HttpOnly; SameSite=Lax; Secure"
    )


def test_without_https() -> None:
    made = new_cookie(asked(), HTTP, SESSION, "", 0)
    assert made == "moorage=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"


@pytest.mark.parametrize(
    ("url", "cookies", "found"),
    [
        (HTTP, ["moorage=a"], "a"),
        (HTTP, ["x=1; moorage=a; y=2"], "a"),
        (HTTP, ["x=1", "moorage=a"], "a"),
        (HTTP, ["moorage=a=b"], "a=b"),
        (HTTP, [], ""),
        (HTTP, ["moorage"], ""),
        (HTTP, ["Moorage=a"], ""),
        (HTTP, ["moorage=a; moorage=b"], ""),
        (HTTP, ["moorage=a", "moorage=a"], ""),
        (HTTP, ["__Host-moorage=a"], ""),
        (HTTPS, ["moorage=a"], ""),
        (HTTPS, ["__Host-moorage=a; moorage=b"], "a"),
        (HTTPS, ["moorage-sign-in=a"], ""),
    ],
)
def test_which_counts(url: str, cookies: list[str], found: str) -> None:
    assert cookie_of(asked(*cookies), url, SESSION) == found
