"""What images say of themselves never runs, and never has the browser ask for anything."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, expect

from api import PASSWORD, Api
from identity import CLIENT, SECRET, IdentityProvider
from oidc import Issuer
from registry import (
    OCI_CONFIG,
    Manifest,
    Repository,
    describe,
    encode,
    image_document,
    unique,
)
from ui.filled import Filled, push_built
from ui.watching import Watched

EMPTY = "application/vnd.oci.empty.v1+json"
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


# Turns what comes behind it around, up to the end of what it is in.
TURNED = "\u202e"
# What an element that a text is in has besides it, from the left.
BESIDE = """(text) => [...document.querySelectorAll("main *")]
    .filter((each) => [...each.childNodes].some((one) => one.nodeType === 3
        && one.data.includes(text)))
    .map((each) => {
        const range = document.createRange();
        const one = [...each.childNodes].find((child) => child.data?.includes(text));
        const at = one.data.indexOf(text);
        const left = (from) => {
            range.setStart(one, from);
            range.setEnd(one, from + 1);
            return range.getBoundingClientRect().left;
        };
        return left(at) < left(at + text.length - 1);
    })"""


@pytest.fixture(scope="module")
def places(filled: Filled) -> dict[str, str]:
    """Push an image that is hostile in all that it says; return the pages that show it."""
    there = Repository(filled.owner, "acme/hostile")
    made = push_built(there, "latest", 5, **ATTACKS, **NAMED)
    other = there.push_image("other", annotations={**ATTACKS, **NAMED})
    there.push_artifact(
        made.descriptor(), "application/vnd.example.x", annotations={**ATTACKS, **NAMED}
    )
    files = [there.push_blob(unique().encode()) for _ in ATTACKS]
    titled = [
        {**each, "annotations": {"org.opencontainers.image.title": text}}
        for each, text in zip(files, ATTACKS.values(), strict=True)
    ]
    there.push_blob(b"{}")
    named = there.push_manifest(image_document(describe(b"{}", EMPTY), titled), "files")
    built = push_steps(there)
    owner = Api(filled.server.url, ("owner", PASSWORD))
    first = said_of_people_and_machines(owner, filled)
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
        "files": f"/r/acme/hostile/-/d/{named.digest}/raw",
        "layers of files": f"/r/acme/hostile/-/d/{named.digest}/layers",
        "steps": f"/r/acme/hostile/-/d/{built.digest}/layers",
        "built": f"/r/acme/hostile/-/d/{built.digest}",
        "indexed": "/r/acme/hostile/-/history",
        "about them": "/images?namespace=acme",
        "tokens": f"/tokens?after={first - 1}",
        "teams": "/n/hostile/-/teams",
        "team": "/n/hostile/-/teams/bad",
        "robots": "/n/hostile/-/robots",
        "robot": "/n/hostile/-/robots/bad",
        "trusts": "/n/hostile/-/trusts",
        "trust": "/n/hostile/-/trusts/bad",
        "trail": "/activity?namespace=hostile",
    }


def push_steps(there: Repository) -> Manifest:
    """Push an image whose builder, steps and settings are hostile."""
    layers = [there.push_blob(unique().encode()) for _ in ATTACKS]
    texts = list(ATTACKS.values())
    config = encode(
        {
            "architecture": SCRIPT,
            "os": SCRIPT,
            "author": SCRIPT,
            "config": {
                "Env": [f"A{n}={text}" for n, text in enumerate(texts)],
                "Cmd": texts,
                "Entrypoint": texts,
                "User": SCRIPT,
                "WorkingDir": SCRIPT,
                "ExposedPorts": {text: {} for text in texts},
                "Volumes": {text: {} for text in texts},
            },
            "rootfs": {"type": "layers", "diff_ids": [each["digest"] for each in layers]},
            "history": [{"created_by": each, "comment": each, "author": each} for each in texts],
        }
    )
    there.push_blob(config)
    return there.push_manifest(image_document(describe(config, OCI_CONFIG), layers), "steps")


def said_of_people_and_machines(owner: Api, filled: Filled) -> int:
    """Name whatever people may name, have a CI claim what it likes; return the first token made."""
    made: list[int] = []
    filled.administrator.post("/namespaces", {"name": "hostile"}).expect(201)
    path = "/namespaces/hostile/grants/account/owner"
    filled.administrator.put(path, {"role": "owner"}).expect(200)
    for place in ("teams", "robots"):
        asked = {"name": "bad", "description": f"{SCRIPT}{ATTACKS['two']}"}
        owner.post(f"/namespaces/hostile/{place}", asked).expect(201)
    for text in ATTACKS.values():
        agent = {"User_Agent": text}
        told = owner.post("/tokens", {"name": text}, **agent).expect(201).json()
        made.append(told["token"]["id"])
        owner.post("/namespaces/hostile/robots/bad/tokens", {"name": text}).expect(201)
    with Issuer() as issuer:
        filled.administrator.post("/issuers", {"url": issuer.url}).expect(201)
        wanted = {"sub": "repo:acme/shop", "ref": "refs/heads/main"}
        rules = [{"claim": name, "patterns": [each]} for name, each in wanted.items()]
        asked = {"name": "bad", "issuer": issuer.url, "robot": "bad", "rules": rules}
        owner.post("/namespaces/hostile/trusts", {**asked, "audience": "x"}).expect(201)
        for text in ATTACKS.values():
            token = issuer.sign({**wanted, "aud": "x", "ref": text})
            claimed = {"token": token, "robot": "hostile+bad"}
            Api(owner.url).post("/exchange", claimed).expect(401)
    return min(made)


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
        if name in ("files", "steps", "trust", "tokens", "robots"):
            assert SCRIPT in there.page.content().replace("&lt;", "<").replace("&gt;", ">"), name
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


def test_who_signs_in_by_a_provider_brings_nothing_but_texts(
    filled: Filled, watched: Callable[..., Watched], browser: Browser
) -> None:
    """Neither by a name and an address that the provider says, nor by groups."""
    person = {"sub": "1", "preferred_username": "visitor", "groups": list(ATTACKS.values())}
    person |= {"name": ATTACKS["two"], "email": f"{SCRIPT}@evil.example"}
    with IdentityProvider() as provider, browser.new_context() as context:
        provider.person = person
        asked = {"name": "evil", "url": provider.url}
        asked |= {"client_id": CLIENT, "client_secret": SECRET}
        filled.administrator.post("/providers", asked).expect(201)

        asked_for = context.request.get(f"{filled.server.url}/sign-in/evil", max_redirects=0)
        query = urlencode(provider.consent(asked_for.headers["location"]))
        page = context.new_page()
        page.goto(f"{filled.server.url}/sign-in/evil/callback?{query}")
        page.goto(f"{filled.server.url}/account")
        expect(page.locator(".top details.menu summary")).to_have_text("visitor")
        assert page.evaluate("window.ran") is None
        assert not page.query_selector_all("main img, main script")
    there = watched("administrator")
    assert there.open("/admin/accounts?after=unlisted") == 200
    assert there.page.evaluate("window.ran") is None
    assert not there.page.query_selector_all("main img, main script")


def test_a_text_turns_nothing_around_but_itself(
    filled: Filled, watched: Callable[..., Watched]
) -> None:
    """What stands behind a label, a step or a name of a token is read from the left as ever."""
    repository = Repository(filled.owner, "acme/turned")
    text = f"be{TURNED}hind"
    made = push_built(repository, "latest", 6, **{text: "told as it is"})
    there = watched("owner")
    for tab in ("", "/config", "/layers", "/raw"):
        assert there.open(f"/r/acme/turned/-/d/{made.digest}{tab}") == 200
        for kept in ("told as it is", "1.6"):
            assert all(there.page.evaluate(BESIDE, kept)), (tab, kept)
