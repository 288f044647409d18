"""What fills the pages that no push fills: more of everything than one page of it lists."""

from __future__ import annotations

import json

import sqlalchemy as sa

from api import PASSWORD, Api
from identity import CLIENT, SECRET, IdentityProvider
from members import HASHED, Members, now
from moorage.db import principals
from moorage.db.engine import Query, Tx, insert
from moorage.db.jobs_schema import job
from moorage.ui.page import ROWS
from oidc import Issuer, new_key
from process import Server
from registry import OCI_CONFIG, Registry, describe, encode, image_document

# What a server needs that is to ask providers and issuers on this machine.
SETTINGS = {"MOORAGE_OUTBOUND__ALLOW": "127.0.0.0/8"}
# Two pages of each and the beginning of a third, of what has no bound below that.
MANY, SOME = 2 * ROWS + 10, ROWS + 10
AUDIENCE = "https://registry.example"
_LAYERS = 60
_ENDS = {"waiting": "", "done": "", "dead": "the store was not there: ", "cancelled": ""}
_DAY_MS = 86_400_000
_ADD_JOB = Query(
    "tests_add_job",
    insert(job).values(
        {each.name: sa.bindparam(each.name) for each in job.columns if each.name != "id"}
    ),
)


class Crowd:
    """Much of everything, at a registry that has the people of `filled.populate`.

    `addresses` are what the places in `pages.toml` stand for.
    """

    def __init__(self, server: Server, administrator: Api) -> None:
        self.url, self.administrator = server.url, administrator
        self.members = Members.of(server)
        self.owner = Api(self.url, ("owner", PASSWORD))
        self.pusher = Registry(self.url, ("owner", PASSWORD))
        self.addresses: dict[str, str] = {}

    def add(self) -> None:
        """Add all of it."""
        self._add_namespaces()
        self._add_accounts()
        self._add_teams_and_robots()
        self._add_tokens_and_sessions()
        self._add_signing_in()
        self._add_what_is_deleted()
        self._add_images()
        self._add_jobs()
        made = self.administrator.post("/links", {"kind": "invitation"}).expect(201).json()
        self.addresses["link"] = made["secret"]

    def _add_namespaces(self) -> None:
        for name in ("grand", *(f"unit-{n:03}" for n in range(MANY))):
            asked = {"name": name, "visibility": "public"}
            self.administrator.post("/namespaces", asked).expect(201)
            for who in ("reader", "owner"):
                path = f"/namespaces/{name}/grants/account/{who}"
                self.administrator.put(path, {"role": who}).expect(200)

    def _add_accounts(self) -> None:
        async def add(tx: Tx) -> None:
            for number in range(MANY):
                await principals.add_account(
                    tx, f"person-{number:03}", password=HASHED, administrator=False, now=now()
                )

        self.members.write(add)

    def _add_teams_and_robots(self) -> None:
        for number in range(MANY):
            team, person = f"team-{number:03}", f"person-{number:03}"
            asked = {"name": team, "description": "What it does there"}
            self.owner.post("/namespaces/grand/teams", asked).expect(201)
            asked = {"name": f"robot-{number:03}", "description": "Builds"}
            self.owner.post("/namespaces/grand/robots", asked).expect(201)
            path = f"/namespaces/grand/grants/account/{person}"
            self.owner.put(path, {"role": "writer"}).expect(200)
            self.owner.put(f"/namespaces/grand/teams/team-000/members/{person}").expect((200, 204))

    def _add_tokens_and_sessions(self) -> None:
        scopes = [{"pattern": "acme/**", "actions": ["pull", "push"]}]
        for number in range(SOME):
            asked = {"name": f"build {number:03}", "scopes": scopes}
            for who in ("reader", "owner", "administrator"):
                Api(self.url, (who, PASSWORD)).post("/tokens", asked).expect(201)
                session = {"name": who, "password": PASSWORD}
                Api(self.url).post("/session", session).expect(201)
            self.owner.post("/namespaces/grand/robots/robot-000/tokens", asked).expect(201)

    def _add_signing_in(self) -> None:
        """Trusts with what came of them, the issuers that they trust, and providers."""
        keys = json.dumps({"keys": [new_key("ES256", "key").as_dict(private=False)]})
        for number in range(SOME):
            asked = {"url": f"https://issuer-{number:03}.example", "jwks": keys}
            self.administrator.post("/issuers", asked).expect(201)
        with Issuer() as issuer:
            self.administrator.post("/issuers", {"url": issuer.url}).expect(201)
            rules = [{"claim": "sub", "patterns": ["repo:acme/shop:ref:refs/heads/main"]}]
            for number in range(MANY):
                asked = {"name": f"trust-{number:03}", "issuer": issuer.url, "robot": "robot-000"}
                asked |= {"rules": rules, "audience": AUDIENCE}
                if number == 1:
                    asked["robot"] = "robot-001"
                self.owner.post("/namespaces/grand/trusts", asked).expect(201)
            for number in range(ROWS):
                branch = "main" if number % 3 == 0 else f"topic-{number}"
                claims = {"sub": f"repo:acme/shop:ref:refs/heads/{branch}", "aud": AUDIENCE}
                asked = {"token": issuer.sign(claims), "robot": "grand+robot-001"}
                Api(self.url).post("/exchange", asked).expect((201, 401))
        for name in ("company", "school", "club"):
            with IdentityProvider() as provider:
                asked = {"name": name, "url": provider.url}
                asked |= {"client_id": CLIENT, "client_secret": SECRET}
                self.administrator.post("/providers", asked).expect(201)

    def _add_images(self) -> None:
        """Repositories, one image of many layers with much that refers to it, and one of none."""
        for number in range(MANY):
            self.pusher.repository(f"grand/app-{number:03}").push_image("1.0")
        deep = self.pusher.repository("grand/deep")
        layers = [deep.push_blob(f"layer {n}".encode() * 500) for n in range(_LAYERS)]
        steps = [{"created_by": f"RUN step {n} of a build that has many"} for n in range(_LAYERS)]
        labels = {f"org.example.label-{n:02}": f"value {n}" for n in range(_LAYERS)}
        config = encode(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {"Env": [f"VARIABLE_{n}={n}" for n in range(_LAYERS)], "Labels": labels},
                "rootfs": {"type": "layers", "diff_ids": [each["digest"] for each in layers]},
                "history": steps,
            }
        )
        deep.push_blob(config)
        made = deep.push_manifest(
            image_document(describe(config, OCI_CONFIG), layers, annotations=labels), "latest"
        )
        for number in range(SOME):
            kind = "application/vnd.example.note"
            deep.push_artifact(made.descriptor(), kind, annotations={"number": str(number)})
            self.pusher.get(deep.path("manifests/latest")).expect(200)
        blank = deep.push_manifest(
            {
                "schemaVersion": 2,
                "mediaType": made.media_type,
                "artifactType": "application/vnd.example.nothing",
                "config": describe(b"{}", "application/vnd.oci.empty.v1+json"),
                "layers": [],
            },
            "blank",
        )
        self.addresses |= {"deep": made.digest, "blank": blank.digest}

    def _add_what_is_deleted(self) -> None:
        """What is in the trash of a repository and of a namespace; and rules that keep the rest."""
        deep = self.pusher.repository("grand/deep")
        for number in range(SOME):
            gone = deep.push_image(f"gone-{number:03}")
            self.pusher.delete(deep.path(f"manifests/{gone.digest}")).expect(202)
            path = "/repositories/grand/deep/-/rules"
            self.owner.post(path, {"pattern": f"release-{number:03}-*"}).expect(201)
            self.pusher.repository(f"unit-000/gone-{number:03}").push_image("1.0")
            self.owner.delete(f"/repositories/unit-000/gone-{number:03}").expect((202, 204))

    def _add_jobs(self) -> None:
        """Jobs in every state, which no worker takes: those that wait are due in a day."""

        async def add(tx: Tx) -> None:
            for number in range(MANY):
                state = tuple(_ENDS)[number % len(_ENDS)]
                error = _ENDS[state] and f"{_ENDS[state]}{'connection refused ' * 8}"
                await tx.run(_ADD_JOB, **_job(number, state, error))

        self.members.write(add)


def _job(number: int, state: str, error: str) -> dict[str, object]:
    is_over = state != "waiting"
    return {
        "name": "verify",
        "key": f"run-{number:03}",
        "payload": b"",
        "state": state,
        "priority": 0,
        "run_at": now() + (0 if is_over else _DAY_MS),
        "attempts": 5 if error else 1,
        "max_attempts": 5,
        "worker": "",
        "lease_until": 0,
        "epoch": 1,
        "error": error,
        "created_at": now(),
        "finished_at": now() if is_over else 0,
    }
