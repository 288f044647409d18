"""READMEs of strangers: whatever they say, nothing in them runs and nothing loads."""

import re

import pytest

from moorage.ui.markdown import render

ALLOWED = re.compile(
    r"</?(?:p|em|strong|h[2-6]|ul|ol|li|code|pre|blockquote|hr|br|table|thead|tbody|tr|th|td)"
    r"(?: (?:class=\"language-[^\"<>]*\"|start=\"\d+\"))? ?/?>"
    r"|</a>|<a href=\"(?:https?://|mailto:|#)[^\"<>]*\" rel=\"nofollow noopener noreferrer\">",
    re.IGNORECASE,
)
HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<a href='javascript:alert(1)'>x</a>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](&#x6A;avascript&colon;alert(1))",
    "[x](data:text/html,<script>alert(1)</script>)",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](vbscript:msgbox(1))",
    "[x](file:///etc/passwd)",
    "[x](/sign-out)",
    "[x](//evil.example)",
    "![x](https://evil.example/track.png)",
    "![x](data:image/svg+xml,<svg onload=alert(1)>)",
    "![<img src=x>](y)",
    '![x](y "onerror=alert(1)")',
    '[x](https://a.example/"onmouseover=alert(1))',
    '[x](<https://a.example/ "><script>>)',
    '<https://a.example/"onmouseover="alert(1)>',
    "<javascript:alert(1)>",
    "[a]: javascript:alert(1)\n\n[a]",
    '```"><script>alert(1)</script>\nx\n```',
    "~~~html onload=alert(1)\n<script>\n~~~",
    "| <script> |\n|---|\n| <img src=x> |",
    "# <script>alert(1)</script>",
    "<style>*{}</style>",
    "<iframe src=//evil.example>",
    "<!--><script>alert(1)</script>-->",
    '<math><mtext></table><mglyph><style><!--</style><img title="--><img src=x onerror=alert(1)>">',
    "`<script>`",
    "\\<script>",
    "&lt;script&gt;",
    "&#60;script&#62;alert(1)&#60;/script&#62;",
    "[x](https://a.example 'title\" onclick=\"alert(1)')",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_runs_and_nothing_loads(text: str) -> None:
    made = str(render(text))
    assert "<" not in ALLOWED.sub("", made), made


def test_what_people_write_is_shown() -> None:
    made = str(
        render("# Shop\n\nThe *front* end, see [docs](https://docs.example/a?b=c&d).\n\n- a\n")
    )
    assert "<h2>Shop</h2>" in made
    assert "<em>front</em>" in made
    assert '<a href="https://docs.example/a?b=c&amp;d" rel="nofollow noopener noreferrer">' in made
    assert "<li>a</li>" in made


@pytest.mark.parametrize(
    "text",
    [
        "[" * 65_536,
        "![" * 32_768,
        "[a](" * 16_384,
        "*_" * 32_768,
        "|a" * 100 + "\n" + "|-" * 100 + "\n" + "a\n" * 30_000,
    ],
    ids=lambda text: text[:4],
)
def test_what_takes_long_is_shown_as_it_is(text: str) -> None:
    """One that blocks a process for seconds at each look is nobody's README."""
    assert render(text) == f"<pre>{text}</pre>"
    assert "<script" not in render("<script>" + text)


def test_long_readmes_are_rendered() -> None:
    table = "|a|b|c|\n|-|-|-|\n" + "|1|[x](https://a.example)|*3*|\n" * 1_500
    made = render(table)
    assert made.count("<a href") == 1_500
    assert "<em>3</em>" in made


def test_an_image_is_its_description() -> None:
    assert "<em>build passing</em>" in str(render("![build passing](https://ci.example/b.svg)"))


def test_tables_are_tables() -> None:
    assert "<td>1</td>" in str(render("| a |\n|---|\n| 1 |"))
