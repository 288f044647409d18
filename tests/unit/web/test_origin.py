"""Which pages a request may come from."""

import pytest
from multidict import CIMultiDict

from moorage.web.origin import is_foreign_page, is_own_page, own_origin


class Asked:
    """A request as far as its origin is concerned."""

    def __init__(self, *headers, host="registry.example:5000", tls=False):
        self.headers = CIMultiDict([("Host", host), *headers])
        self.is_tls = tls


OWN = "http://registry.example:5000"


@pytest.mark.parametrize(
    ("host", "tls", "url", "origin"),
    [
        ("registry.example:5000", False, "", OWN),
        ("Registry.Example", True, "", "https://registry.example"),
        ("a:443", True, "", "https://a"),
        ("a:443", False, "", "http://a:443"),
        ("a:80", False, "", "http://a"),
        ("internal:5000", False, "https://Registry.example:443", "https://registry.example"),
        ("[::1]:5000", False, "", "http://[::1]:5000"),
    ],
)
def test_own_origin(host, tls, url, origin):
    assert own_origin(Asked(host=host, tls=tls), url) == origin


@pytest.mark.parametrize(
    ("headers", "foreign", "own"),
    [
        ([], False, False),
        ([("Origin", OWN)], False, True),
        ([("Origin", OWN), ("Sec-Fetch-Site", "same-origin")], False, True),
        ([("Sec-Fetch-Site", "none")], False, False),
        ([("Origin", "null")], True, False),
        ([("Origin", "")], True, False),
        ([("Origin", "https://registry.example:5000")], True, False),
        ([("Origin", OWN + ".evil.example")], True, False),
        ([("Origin", "http://evil.registry.example:5000")], True, False),
        ([("Origin", OWN + "/")], True, False),
        ([("Origin", "http://registry.example")], True, False),
        ([("Origin", OWN), ("Origin", "https://evil.example")], True, False),
        ([("Origin", OWN), ("Origin", OWN)], False, False),
        ([("Origin", OWN), ("Sec-Fetch-Site", "cross-site")], True, False),
        ([("Origin", OWN), ("Sec-Fetch-Site", "same-site")], True, False),
        ([("Origin", OWN), ("Sec-Fetch-Site", "Same-Origin")], True, False),
    ],
)
def test_pages(headers, foreign, own):
    asked = Asked(*headers)
    assert is_foreign_page(asked, "") is foreign
    assert is_own_page(asked, "") is own
    assert is_own_page(asked, "https://elsewhere.example") is False
