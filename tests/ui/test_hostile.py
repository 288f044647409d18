"""What images say of themselves never runs, and never has the browser ask for anything."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from api import PASSWORD, Api
from registry import Repository
from ui.filled import Filled, push_built
from ui.watching import Watched

SCRIPT = "<script>window.ran = 1</script>"
ATTACKS = {
    "one": SCRIPT,
    "two": '"><img src=x onerror="window.ran = 1">',
    "three": "javascript:window.ran = 1",
    "four": "https://evil.example/<svg onload=window.ran=1>",
    "five": '</code></pre></template><iframe src="https://evil.example/"></iframe>',
    "six": "{{ 7 * 7 }}{% include 'layout.html' %}",
    "seven": "[here](javascript:window.ran=1) ![x](https://evil.example/x.png)",
}
NAMED = {
    "org.opencontainers.image.source": "javascript:window.ran=1//",
    "org.opencontainers.image.url": "https://evil.example/",
    "org.opencontainers.image.documentation": "data:text/html,<script>window.ran=1</script>",
    "org.opencontainers.image.description": SCRIPT,
    "org.opencontainers.image.title": '"><img src=https://evil.example/x.png onerror=window.ran=1>',
    SCRIPT: "a key",
}
README = """
[a](javascript:window.ran=1) [b](data:text/html,<script>window.ran=1</script>)
<javascript:window.ran=1>
![c](https://evil.example/c.png) ![d](javascript:window.ran=1) ![e](//evil.example/e.png "e")
[f]: https://evil.example/f "f' onclick='window.ran=1"
<https://evil.example/?"onmouseover="window.ran=1> <a href="javascript:window.ran=1">g</a>
<style>body { background: url(https://evil.example/h.png) }</style>

[f] <meta http-equiv="refresh" content="0;url=https://evil.example/">
"""


@pytest.fixture(scope="module")
def places(filled: Filled) -> dict[str, str]:
    """Push an image that is hostile in all that it says; return the pages that show it."""
    there = Repository(filled.owner, "acme/hostile")
    made = push_built(there, "latest", 5, **ATTACKS, **NAMED)
    other = there.push_image("other", annotations={**ATTACKS, **NAMED})
    there.push_artifact(
        made.descriptor(), "application/vnd.example.x", annotations={**ATTACKS, **NAMED}
    )
    owner = Api(filled.server.url, ("owner", PASSWORD))
    readme = "\n\n".join((*ATTACKS.values(), *NAMED.values(), README))
    about = {"description": SCRIPT, "readme": readme}
    owner.put("/repositories/acme/hostile/-/about", about).expect(200)
    image = f"/r/acme/hostile/-/d/{made.digest}"
    return {
        "tags": "/r/acme/hostile",
        "about": "/r/acme/hostile/-/about",
        "overview": image,
        "annotations": f"/r/acme/hostile/-/d/{other.digest}",
        **{tab: f"{image}/{tab}" for tab in ("layers", "config", "attached", "raw")},
        "compare": f"/r/acme/hostile/-/compare/{made.digest}...{other.digest}",
        "history": "/r/acme/hostile/-/history?tag=latest",
        "search": "/search?q=onerror",
        "searched": "/search?q=%22%3E%3Cimg+src%3Dx+onerror%3Dwindow.ran%3D1%3E",
        "home": "/",
    }


def test_nothing_runs_and_nothing_is_asked_for(
    places: dict[str, str], watched: Callable[..., Watched]
) -> None:
    there = watched("owner")
    seen = ""
    for name, place in places.items():
        assert there.open(place) == 200, name
        there.page.wait_for_timeout(100)
        assert there.page.evaluate("window.ran") is None, name
        assert not there.page.query_selector_all("iframe, object, embed, main img, main script")
        links = there.page.eval_on_selector_all("a[href]", "all => all.map(one => one.protocol)")
        assert set(links) <= {"http:", "https:"}, name
        there.check()
        seen += there.page.inner_text("main")
    # It is all there to read, as it was written.
    assert SCRIPT in seen
    assert 'onerror="window.ran = 1"' in seen


def test_nothing_runs_where_it_is_pushed_while_the_page_is_open(
    filled: Filled, places: dict[str, str], watched: Callable[..., Watched]
) -> None:
    there = watched("owner")
    assert there.open(places["tags"]) == 200
    there.page.wait_for_selector("#live[data-state=live]")
    Repository(filled.owner, "acme/hostile").push_image("live", annotations=NAMED)
    there.page.wait_for_selector("text=live >> nth=0")
    there.page.wait_for_timeout(500)
    assert there.page.evaluate("window.ran") is None


def test_links_to_elsewhere_carry_nothing_of_where_they_were(
    places: dict[str, str], watched: Callable[..., Watched]
) -> None:
    there = watched("owner")
    assert there.open(places["overview"]) == 200
    for link in there.page.query_selector_all("main a[href^='http']"):
        address = link.evaluate("one => one.origin")
        if address != there.url:
            assert "noreferrer" in (link.get_attribute("rel") or "")
