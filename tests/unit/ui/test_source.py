"""Where an image says that it comes from: what is a link, and where it leads."""

from __future__ import annotations

import pytest

from moorage.ui.source import Source, commits_between, web_page


@pytest.mark.parametrize(
    "text", ["https://shop.example", "http://ci.example:8080/job/7?x=1#log", "https://a/b%20c"]
)
def test_an_address_of_a_web_page_is_a_link(text: str) -> None:
    assert web_page(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "javascript:alert(1)",
        "data:text/html,x",
        "//elsewhere.example",
        "https://",
        "https:///path",
        "see https://shop.example",
        "https://shop.example\n",
        "https://shop.example x",
        'https://shop.example/"onclick="x',
        "https://bank.example@evil.example/",
        "https://me:***@shop.example/",
        "https://xn--\u0430pple.example",
        "https://[::1",
        "https://a:99999/",
        f"https://{'a' * 2_000}",
    ],
)
def test_anything_else_is_a_text(text: str) -> None:
    assert web_page(text) == ""


def test_two_commits_of_one_project_have_a_page_between_them() -> None:
    def source(page: str, commit: str) -> Source:
        return Source(page=page, commit=commit, commit_page=f"{page}/commit/{commit}")

    here, other = "https://github.com/acme/shop", "https://github.com/acme/cart"
    one, two = source(here, "a" * 40), source(here, "b" * 40)
    assert commits_between(one, two) == f"{here}/compare/{'a' * 40}...{'b' * 40}"
    assert commits_between(one, one) == ""
    assert commits_between(source(other, "a" * 40), two) == ""
    assert commits_between(Source(page=here), two) == ""
    assert commits_between(Source(), Source()) == ""
