"""Every operation of the management API and every other address, asked by everybody everywhere.

The data are in `cases/api_matrix.toml`: how an operation is asked, and what each answers to whom,
a row for each place that it can be asked about. What a change uses up is made anew before the next
one asks, so that a hole is seen by the one who gets through it.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote, urlencode

import oidc
from api import PREFIX, Api
from cases.load import table
from cast import COMMON, NAMESPACE, PASSWORD, PLACES, Cast
from identity import CLIENT, SECRET, IdentityProvider
from matrix import RIGHTS, VISIBILITIES
from moorage.api.app import _ROUTES as OPEN
from moorage.api.routes import ROUTES
from moorage.auth.secrets import hash_secret
from moorage.db import damage, jobs, verifications
from moorage.db.engine import Tx
from moorage.ui import links, provider_sign_in
from moorage.v2.token import ROUTES as TOKENS
from registry import Answer, Registry, unique

BEARER = "bearer"  # a token of the owner's that was asked for one repository and to pull alone
WHO = (*RIGHTS, BEARER)
# Whose refusals must not tell what is there: all but those who may see who may what.
WATCHED = set(WHO) - {"owner", "auditor", "administrator", "robot", "scoped", "guest"}
# To whom nothing in the namespace is shown that is not internal or public.
OUTSIDERS = ("anonymous", "stranger", "stranger's token", "token for elsewhere", "former")
ENDED = ("expired", "revoked", "disabled")
OWNERS = {  # whose account it is that asks
    "stranger's token": "stranger",
    **dict.fromkeys(("scoped", "token for elsewhere", "expired", "revoked", BEARER), "owner"),
    "robot": f"{NAMESPACE}+ci",
    "anonymous": "stranger",
}
ACTIONS = ("pull", "push", "delete")
NOTHING = 10**9  # no row has that id
PROVIDER, CLOSED = "corp", "closed"  # one that people sign in by, and one out of force
ABSENT = {
    "namespace": "nowhere",
    "account": "nobody",
    "who": "nobody",
    "token": NOTHING,
    "rule": NOTHING,
    "issuer": NOTHING,
    "team": "none",
    "robot": "none",
    "trust": "none",
    "principal": "nobody",
    "provider": "none",
    "tag": "none",
    "reference": "none",
    "digest": f"sha256:{0:064}",
    "job": NOTHING,
    "link": "0" * 64,
    "run": NOTHING,
    "damage": NOTHING,
}
# They hash passwords for each that asks.
SLOW = {"redeem-link", "begin-session", "change-password"}
ABSENCES = {"missing", "gone", "elsewhere", "wrong", "closed", "unknown"}
VARIES = {"x-request-id", "date", "content-length"}
ASKS: dict[str, dict[str, Any]] = table("api_matrix", "asks")
ANSWERS: dict[str, dict[str, str]] = table("api_matrix", "answers")
SHOWN: dict[str, str] = table("api_matrix", "namespaces")


def operations() -> dict[str, tuple[str, str]]:
    """Return method and address of everything that the program answers outside `/v2`."""
    found = {route.name: (route.method, PREFIX + route.path) for route in ROUTES}
    found |= {f"GET {path}": ("GET", path) for path in OPEN}
    found |= {f"{m} {path}": (m, path) for path, (_, methods) in TOKENS.items() for m in methods}
    # All other pages have rows of their own, in cases/pages.toml.
    pages = [page.path for page in (*links.PAGES, *provider_sign_in.PAGES)]
    return found | {f"GET {path}": ("GET", path) for path in pages}


@dataclass(frozen=True)
class Row:
    """An operation asked about one place, and the status that each is to be answered."""

    name: str
    place: str
    expected: dict[str, int]

    @property
    def ask(self) -> dict[str, Any]:
        """How it is asked."""
        general = ASKS.get(self.name, {})
        return {**general, **general.get("at", {}).get(self.place, {})}

    def makes(self, who: str) -> bool:
        """Whether something is made for it, to be there when somebody asks."""
        words = set(self.place.split())
        is_ended = "own" in words and who in (*ENDED, "anonymous")
        return bool(self.ask.get("makes")) and not (words & ABSENCES or is_ended)


def rows(name: str) -> list[Row]:
    """Return the rows of an operation."""
    found = []
    for place, text in ANSWERS[name].items():
        statuses = [int(each) for each in text.split()]
        found.append(Row(name, place, dict(zip(WHO, statuses, strict=True))))
    return found


class Stage:
    """The cast with what the API is asked about: teams, robots, rules, trusts, providers."""

    def __init__(self, cast: Cast) -> None:
        self.cast = cast
        url = cast.server.url
        self.administrator = Api(url, ("administrator", PASSWORD))
        self.bystander = Api(url, ("bystander", PASSWORD))
        self.key = oidc.new_key("ES256", "key")
        self.issuer = f"https://{unique('i')}.example"
        self.jwks = json.dumps({"keys": [self.key.as_dict(private=False)]})
        issuer = {"url": self.issuer, "jwks": self.jwks}
        self.administrator.post("/issuers", issuer).expect(201)
        self.outside = IdentityProvider()

    def __enter__(self) -> Self:
        self.outside.__enter__()
        for name in (PROVIDER, CLOSED):
            self._register(name)
        self.administrator.patch(f"/providers/{CLOSED}", {"enabled": False}).expect(200)
        for place in (NAMESPACE, COMMON):
            path = f"/namespaces/{place}"
            self.administrator.post(f"{path}/teams", {"name": "dev"}).expect(201)
            self.administrator.post(f"{path}/robots", {"name": "second"}).expect(201)
            self.administrator.post(f"{path}/rules", {"pattern": f"of-{place}"}).expect(201)
            trust = {**self.trusting(), "name": "builds", "robot": "second"}
            self.administrator.post(f"{path}/trusts", trust).expect(201)
            group = {"provider": PROVIDER, "group": f"of-{place}"}
            self.administrator.post(f"{path}/teams/dev/groups", group).expect(201)
        self.common = self.bystander.post("/tokens", {"name": "bystander's"}).expect(201).json()
        self.refresh()
        return self

    def __exit__(self, *_: object) -> None:
        self.outside.__exit__()

    def refresh(self) -> None:
        """Get a bearer token, as clients do."""
        scope = f"repository:{PLACES['private']}:pull"
        asked = self.cast.asked_by["owner"].get(f"/token?{urlencode({'scope': scope})}")
        registry = Registry(self.cast.server.url)
        registry.authorization = f"Bearer {asked.expect(200).json()['token']}"
        self.cast.asked_by[BEARER] = registry

    def mend(self, row: Row) -> None:
        """Have everybody signed in again whose tokens a change has ended by the way."""
        if row.ask.get("ends"):
            self.cast.revive()
            self.refresh()

    def trusting(self) -> dict[str, Any]:
        """Return what a trust is made of, without a name."""
        rules = [{"claim": "sub", "patterns": ["job"]}]
        return {"issuer": self.issuer, "audience": "registry", "rules": rules}

    def identity(self) -> str:
        """Return an identity token of the issuer."""
        made = oidc.Issuer()
        made.key, made.url = self.key, self.issuer
        made._server.server_close()
        return made.sign({"sub": "job", "aud": "registry", "jti": unique()}, kid="key")

    def make(self, kind: str, values: dict[str, Any]) -> dict[str, Any]:
        """Make what a change uses up, and return what names it."""
        makers: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "account": self._account,
            "check": self._check,
            "damage": self._damage,
            "grantee": lambda values: {"principal": self._account(values)["account"]},
            "grant": self._grant,
            "group": self._group,
            "image": self._image,
            "identity": lambda _: {"identity": self.identity()},
            "issuer": self._issuer,
            "job": self._job,
            "link": self._link,
            "member": self._member,
            "provider": lambda _: {"provider": self._register(unique("p"))},
            "purgeable": self._purgeable,
            "removed": self._removed,
            "repository": self._repository,
            "trashed": self._trashed,
            "robot": lambda values: {"robot": self._named(values, "robots")},
            "rule": self._rule,
            "sign-in": self._sign_in,
            "tag": self._tag,
            "team": lambda values: {"team": self._named(values, "teams")},
            "token": self._token,
            "trust": self._trust,
        }
        return makers[kind](values)

    def _named(self, values: dict[str, Any], kind: str) -> str:
        name = unique("n")
        path = f"/namespaces/{values['namespace']}/{kind}"
        self.administrator.post(path, {"name": name}).expect(201)
        return name

    def _account(self, values: dict[str, Any]) -> dict[str, Any]:
        name = unique("a")
        self.administrator.post("/accounts", {"name": name}).expect(201)
        return {"account": name}

    def _grant(self, values: dict[str, Any]) -> dict[str, Any]:
        name = self._account(values)["account"]
        on = values.get("repository")
        place = f"/repositories/{on}/-" if on else f"/namespaces/{values['namespace']}"
        self.administrator.put(f"{place}/grants/account/{name}", {"role": "reader"}).expect(200)
        return {"principal": name}

    def _group(self, values: dict[str, Any]) -> dict[str, Any]:
        group = {"provider": PROVIDER, "group": unique("g")}
        path = f"/namespaces/{values['namespace']}/teams/dev/groups"
        self.administrator.post(path, group).expect(201)
        return group

    def _image(self, values: dict[str, Any]) -> dict[str, Any]:
        place = self.cast.asked_by["administrator"].repository(values["repository"])
        return {"digest": place.push_image().digest}

    def _tag(self, values: dict[str, Any]) -> dict[str, Any]:
        name = unique("t")
        path = f"/repositories/{values['repository']}/-/tags/{name}"
        self.administrator.put(path, {"reference": "latest"}).expect(200)
        return {"tag": name}

    def _issuer(self, values: dict[str, Any]) -> dict[str, Any]:
        asked = {"url": f"https://{unique('i')}.example", "jwks": self.jwks}
        return {"issuer": self.administrator.post("/issuers", asked).expect(201).json()["id"]}

    def _job(self, values: dict[str, Any]) -> dict[str, Any]:
        made: list[int] = []

        async def add(tx: Tx) -> None:
            made.append(await jobs.add_job(tx, "none", b"", run_at=2**42, now=1))

        self.cast.change(add)
        return {"job": made[0]}

    def _check(self, values: dict[str, Any]) -> dict[str, Any]:
        made: list[int] = []

        async def add(tx: Tx) -> None:
            made.append(await verifications.add_run(tx, "fast", 1, repairs=False))
            await verifications.end_run(tx, made[0], "done", "", 2)

        self.cast.change(add)
        return {"run": made[0]}

    def _damage(self, values: dict[str, Any]) -> dict[str, Any]:
        asked = {
            "location": unique("l"),
            "blob_id": 0,
            "digest": b"\x01" + b"x" * 32,
            "size": 1,
            "why": "content",
            "found_by": "pull",
            "found_at": 1,
            "ending": "healed",
            "ended_at": 2,
        }
        made: list[int] = []

        async def add(tx: Tx) -> None:
            await tx.run(damage.PUT_DAMAGE, **asked)
            made.append((await damage.list_damage(tx, 2**62, 1))[0].id)

        self.cast.change(add)
        return {"damage": made[0]}

    def _link(self, values: dict[str, Any]) -> dict[str, Any]:
        name = unique("l")
        made = self.administrator.post("/links", {"kind": "invitation", "name": name}).expect(201)
        secret: str = made.json()["secret"]
        return {"secret": secret, "invited": name, "link": hash_secret(secret).hex()}

    def _member(self, values: dict[str, Any]) -> dict[str, Any]:
        team = self._named(values, "teams")
        path = f"/namespaces/{values['namespace']}/teams/{team}/members/bystander"
        self.administrator.put(path).expect(204)
        return {"team": team, "account": "bystander"}

    def _register(self, name: str) -> str:
        asked = {"name": name, "url": self.outside.url, "client_id": CLIENT}
        self.administrator.post("/providers", {**asked, "client_secret": SECRET}).expect(201)
        return name

    def _repository(self, values: dict[str, Any]) -> dict[str, Any]:
        shown = values["repository"].rpartition("/")[2]
        made = {"name": f"{NAMESPACE}/{unique('r')}", "visibility": shown}
        self.administrator.post("/repositories", made).expect(201)
        return {"repository": made["name"]}

    def _purgeable(self, values: dict[str, Any]) -> dict[str, Any]:
        place = self.cast.asked_by["administrator"].repository(PLACES["private"])
        return {"digest": place.push_blob()["digest"]}

    def _removed(self, values: dict[str, Any]) -> dict[str, Any]:
        made = self._repository(values)
        self.administrator.delete(f"/repositories/{made['repository']}").expect(204)
        return made

    def _trashed(self, values: dict[str, Any]) -> dict[str, Any]:
        place = self.cast.asked_by["administrator"].repository(values["repository"])
        image = place.push_image()
        place.registry.delete(place.path(f"manifests/{image.digest}")).expect(202)
        return {"digest": image.digest}

    def _rule(self, values: dict[str, Any]) -> dict[str, Any]:
        on = values.get("repository")
        place = f"/repositories/{on}/-" if on else f"/namespaces/{values['namespace']}"
        asked = {"pattern": unique("v")}
        made = self.administrator.post(f"{place}/rules", asked).expect(201)
        return {"rule": made.json()["id"]}

    def _sign_in(self, values: dict[str, Any]) -> dict[str, Any]:
        name = unique("o")
        self.outside.person = {"sub": name, "preferred_username": name}
        begun = Registry(self.cast.server.url).get(f"/sign-in/{PROVIDER}").expect(302)
        cookie = begun["Set-Cookie"].partition(";")[0]
        return {"cookie": cookie, **self.outside.consent(begun["Location"])}

    def _trust(self, values: dict[str, Any]) -> dict[str, Any]:
        asked = {**self.trusting(), "name": unique("t"), "robot": "second"}
        path = f"/namespaces/{values['namespace']}/trusts"
        self.administrator.post(path, asked).expect(201)
        return {"trust": asked["name"]}

    def _token(self, values: dict[str, Any]) -> dict[str, Any]:
        whose = values["who"]
        asked = {"name": f"of {whose}"}
        if "+" in whose:
            namespace, _, robot = whose.partition("+")
            path = f"/namespaces/{namespace}/robots/{robot}/tokens"
            made = self.administrator.post(path, asked)
        else:
            made = Api(self.cast.server.url, (whose, PASSWORD)).post("/tokens", asked)
        return {"token": made.expect(201).json()["token"]["id"]}


def values_of(place: str, who: str) -> dict[str, Any]:
    """Return what the templates stand for at a place, when somebody asks about it."""
    me = OWNERS.get(who, who)
    found: dict[str, Any] = {"me": me, "kind": "account", "account": "bystander"}
    found |= {"principal": "bystander", "team": "dev", "robot": "second", "trust": "builds"}
    found |= {"token": NOTHING, "rule": NOTHING, "issuer": NOTHING, "secret": "none"}
    found |= {
        "tag": "latest",
        "reference": "latest",
        "digest": ABSENT["digest"],
        "provider": PROVIDER,
        "group": "none",
        "subject": "",
    }
    found |= dict.fromkeys(("code", "state", "iss", "cookie"), "none")
    words = {
        "there": {"namespace": NAMESPACE},
        "own": {"account": me, "who": me},
        "another": {"who": "bystander"},
        "closed": {"provider": CLOSED},
        "unknown": {"provider": ABSENT["provider"]},
    }
    for word in re.split("[ ,]+", place):
        found |= words.get(word, {})
        if word in PLACES:
            found["repository"] = PLACES[word]
        elif word == "missing":
            found |= {**ABSENT, "repository": f"{NAMESPACE}/{unique()}"}
        elif word == "gone":  # of a namespace or repository that is there
            found |= {**ABSENT, "namespace": NAMESPACE, "repository": PLACES["private"]}
        elif word == "robot's":  # of whom the word before says whether there is one
            found["who"] = f"{NAMESPACE}+none" if "missing" in place else f"{NAMESPACE}+second"
        elif word == "elsewhere":
            found["repository"] = f"nowhere/{unique()}"
    return found


def filled(asked: Any, values: dict[str, Any]) -> Any:
    """Return a body with its templates filled in."""
    if isinstance(asked, dict):
        return {name: filled(each, values) for name, each in asked.items()}
    if isinstance(asked, list):
        return [filled(each, values) for each in asked]
    return asked.format_map(values) if isinstance(asked, str) else asked


def send(stage: Stage, row: Row, who: str, values: dict[str, Any]) -> Answer:
    """Send the request of a row as somebody."""
    method, path = operations()[row.name]
    ask = row.ask
    written = {name: quote(str(each), safe="/") for name, each in values.items()}
    target = path.format_map(written)
    if "query" in ask:
        target += "?" + ask["query"].format_map(written)
    new = {**values, "jwks": stage.jwks, "url": stage.issuer}
    new |= {"outside": stage.outside.url, "client": CLIENT, "client_secret": SECRET}
    headers: dict[str, str | None] = filled(ask.get("headers", {}), values)
    raw = None
    if "body" in ask:
        raw = json.dumps(filled(ask["body"], new)).encode()
        headers["Content-Type"] = "application/json"
    if "form" in ask:
        user, password = credentials(stage.cast.asked_by[who])
        raw = urlencode(
            filled(ask["form"], {**values, "user": user, "password": password})
        ).encode()
        headers |= {"Content-Type": "application/x-www-form-urlencoded", "Authorization": None}
    return stage.cast.asked_by[who].request(method, target, headers, raw)


def credentials(registry: Registry) -> tuple[str, str]:
    """Return the name and password that somebody signs in with, or what is no such pair."""
    scheme, _, text = (registry.authorization or "Bearer none").partition(" ")
    if scheme == "Bearer":
        return "bearer", text
    name, _, password = base64.b64decode(text).decode().partition(":")
    return name, password


def holes(stage: Stage, name: str) -> Iterator[str]:
    """Yield what an operation answers otherwise than the data say, or tells whom it must not."""
    seen: dict[tuple[str, str], tuple[int, str]] = {}
    for row in rows(name):
        made: dict[str, Any] | None = None
        for who in WHO:
            values = {**values_of(row.place, who), "new": unique("n")}
            if row.makes(who):
                if made is None or "own" in row.place.split():
                    made = stage.make(row.ask["makes"], values)
                values |= made
            answer = send(stage, row, who, values)
            if is_hiding(name, answer):
                seen[row.place, who] = (answer.status, plain(answer, row, values))
            wrong = wrong_in(stage, row, who, answer)
            if wrong:
                yield f"{name} of {row.place}, {who}: {wrong}"
            if answer.status < 400:
                made = None
                stage.mend(row)
    yield from told_apart(name, seen)


def is_hiding(name: str, answer: Answer) -> bool:
    """Return whether an answer is one that must not tell whether there is anything."""
    return answer.status >= 300 or (name == "explain-access" and not answer.json()["allowed"])


def plain(answer: Answer, row: Row, values: dict[str, Any]) -> str:
    """Return a refusal without what differs between any two, and without what was asked about."""
    written = f"{operations()[row.name][1]} {row.ask}"
    asked = [str(value) for name, value in values.items() if f"{{{name}}}" in written]
    asked.append(answer["X-Request-Id"])
    text = answer.body.decode()
    if text.startswith("{"):
        document = json.loads(text)
        document.pop("request_id", None)
        text = json.dumps(document)
    for each in sorted(asked, key=len, reverse=True):
        text = re.sub(rf"\b{re.escape(each)}\b", "…", text)
    heads = [(key.lower(), each) for key, each in answer.headers if key.lower() not in VARIES]
    return f"{text} {heads}"


def told_apart(name: str, seen: dict[tuple[str, str], tuple[int, str]]) -> Iterator[str]:
    """Yield which refusals of what is there differ from those of what is not, in one status."""
    for (place, who), (status, text) in seen.items():
        absent = re.sub(
            r"^(private|internal|public|another|there|closed|robot's)", r"missing \1", place
        )
        absent = absent.replace("there", "namespace") if (absent, who) not in seen else absent
        if (absent, who) not in seen:
            absent = re.sub(r"^missing [\w']+", "missing", absent)
        other = seen.get((absent, who))
        if who in WATCHED and other is not None and other[0] == status and other[1] != text:
            yield f"{name}, {who}: {place} is told apart from {absent}: {text} {other[1]}"


def wrong_in(stage: Stage, row: Row, who: str, answer: Answer) -> str:
    """Return what is not as it must be in an answer; empty if nothing."""
    if answer.status != row.expected[who]:
        return f"{answer.status}, not {row.expected[who]}: {answer.body[:200]!r}"
    if answer.status == 401:
        # Clients of the token service show a person what it says only without a challenge.
        is_told = operations()[row.name][1] == "/token"
        return "" if bool(answer.get("WWW-Authenticate")) != is_told else "its challenge"
    if json.dumps(SECRET)[1:-1] in answer.body.decode():
        return "shows a provider's secret"
    return wrong_content(stage, row, who, answer) if answer.status < 300 else ""


def wrong_content(stage: Stage, row: Row, who: str, answer: Answer) -> str:
    """Return what an answer has that it must not have, or lacks; empty if nothing."""
    checks: dict[str, Callable[[Stage, Row, str, Any], str]] = {
        "list-repositories": _repositories,
        "search": _repositories,
        "list-namespaces": _namespaces,
        "list-tokens": _tokens,
        "explain-access": _explanation,
        "list-entries": _entries,
        "list-images": _repositories,
        "list-storage": _bytes,
        "list-tags": _doers,
        "list-tag-lines": _doers,
        "list-tag-moves": _doers,
        "GET /token": _granted,
        "POST /token": _granted,
        "whoami": _name,
    }
    if row.name in checks:
        return checks[row.name](stage, row, who, answer.json())
    if row.name.startswith("list-") and row.place != "all":
        told = json.dumps(answer.json())
        return "shows what is elsewhere" if COMMON in told or "stranger" in told else ""
    return ""


def _repositories(stage: Stage, row: Row, who: str, told: Any) -> str:
    key = "repository" if row.name == "search" else "name"
    shown = {each[key] for each in told["items"]} & set(PLACES.values())
    may = dict(zip(VISIBILITIES, RIGHTS[who], strict=True))
    wanted = {name for place, name in PLACES.items() if "p" in may[place]}
    return "" if shown == wanted else f"shows {sorted(shown)}"


def _namespaces(stage: Stage, row: Row, who: str, told: Any) -> str:
    shown = {each["name"] for each in told["items"]} & {NAMESPACE, COMMON}
    return "" if shown == set(SHOWN[who].split()) else f"shows {sorted(shown)}"


def _bytes(stage: Stage, row: Row, who: str, told: Any) -> str:
    """Numbers are for who may read all of a namespace, also what is not there yet."""
    shown = {each["name"] for each in told["items"] if each["bytes"] is not None}
    hidden = set() if "p" in RIGHTS[who][VISIBILITIES.index("missing")] else {NAMESPACE}
    wrong = shown & {NAMESPACE, COMMON} != set(SHOWN[who].split()) - hidden
    return f"tells the bytes of {sorted(shown)}" if wrong else _namespaces(stage, row, who, told)


def _tokens(stage: Stage, row: Row, who: str, told: Any) -> str:
    is_shown = stage.common["token"]["id"] in [each["id"] for each in told["items"]]
    return "" if is_shown == ("another" in row.place) else "shows tokens of another account"


def _explanation(stage: Stage, row: Row, who: str, told: Any) -> str:
    place, _, of = row.place.partition(", ")
    if not of or who == BEARER:
        return ""
    may = "p" in RIGHTS[who][VISIBILITIES.index(place)] if place in VISIBILITIES else None
    if may is not None and told["allowed"] != may:
        return f"says that it is allowed: {told['allowed']}"
    return "" if may or not told["visibility"] else "tells the visibility"


def _entries(stage: Stage, row: Row, who: str, told: Any) -> str:
    field = {"there": "namespace_id", "all": ""}.get(row.place, "repository_id")
    places = {each[field] for each in told["items"]} if field else set()
    return "" if len(places) <= 1 else f"shows entries of {places}"


def _doers(stage: Stage, row: Row, who: str, told: Any) -> str:
    """Who pushed is told to who has a role there, by what credential to who sees the trail."""
    audits = {"owner", "auditor", "administrator"}
    if row.place == "private":
        audits.add("guest")
    knows = audits | {"reader", "writer", "maintainer", "robot"}
    wanted = ("administrator" if who in knows else None, "password" if who in audits else None)
    shown = {(each["by"]["actor"], each["by"]["credential"]) for each in told["items"]}
    return "" if shown == {wanted} else f"tells {shown}"


def _granted(stage: Stage, row: Row, who: str, told: Any) -> str:
    place = row.place.split()[-1]
    may = RIGHTS[who][VISIBILITIES.index(place)]
    wanted = {word for letter, word in zip("pwd", ACTIONS, strict=True) if letter in may}
    shown = {action for scope in told["scope"].split() for action in scope.split(":")[2].split(",")}
    return "" if shown == wanted else f"is good for {sorted(shown)}"


def _name(stage: Stage, row: Row, who: str, told: Any) -> str:
    wanted = OWNERS.get(who, who)
    is_right = (told["name"], told["administrator"]) == (wanted, who == "administrator")
    return "" if is_right else f"is {told}"
