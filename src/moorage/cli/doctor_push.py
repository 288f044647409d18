"""What `moorage doctor` asks of a running server: a client's push and pull, undone afterwards."""

import os

import aiohttp
import msgspec

from moorage.cli.finding import Finding
from moorage.clock import new_id
from moorage.config import Config
from moorage.oci.digest import digest_of
from moorage.oci.media_types import OCI_INDEX, OCTET_STREAM
from moorage.oci.names import is_component
from moorage.outbound import Client, Reply, open_client

_CHECK = "push and pull"


class Probe:
    """A repository of its own, which is pushed to, pulled from, and removed again.

    It is in the namespace of the account that the settings name: what it would be in otherwise
    could not be removed as long as the trash has it.
    """

    def __init__(self, client: Client, config: Config) -> None:
        """Choose a name that nobody else has; nothing is made yet."""
        self._client = client
        self._config = config
        self._may_be_there = False
        user = config.admin_user
        place = f"{user}/" if is_component(user) else ""
        self._name = f"{place}moorage-doctor-{new_id()[:12]}"

    async def push_and_pull(self) -> Finding:
        """Push a blob and a manifest as a client would, pull them back, delete them.

        Raises:
            aiohttp.ClientError, TimeoutError: no answer came.
        """
        blob = os.urandom(1 << 20)
        digest = digest_of(blob)
        here = f"/v2/{self._name}"
        self._may_be_there = True
        opened = await self._client.request("POST", f"{here}/blobs/uploads/")
        if opened.status != 202:
            self._may_be_there = False
            return self._refused("a push could not begin", opened)
        address = opened.headers.get("location", "")
        joint = "&" if "?" in address else "?"
        put = await self._client.request(
            "PUT", f"{address}{joint}digest={digest}", blob, OCTET_STREAM
        )
        if put.status != 201:
            return self._refused("1 MiB could not be pushed", put)
        got = await self._client.request("GET", f"{here}/blobs/{digest}")
        if got.status == 307:
            # To the object store, which must not be told the registry's credentials.
            async with open_client("") as store:
                got = await store.request("GET", got.headers.get("location", ""))
        if got.body != blob:
            return self._refused("what was pulled is not what was pushed", got)
        index = msgspec.json.encode({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []})
        tagged = await self._client.request("PUT", f"{here}/manifests/probe", index, OCI_INDEX)
        if tagged.status != 201:
            return self._refused("a manifest could not be pushed", tagged)
        for path in (f"manifests/{digest_of(index)}", f"blobs/{digest}"):
            ended = await self._client.request("DELETE", f"{here}/{path}")
            if ended.status != 202:
                return self._refused("what was pushed could not be deleted", ended)
        return Finding(_CHECK, "ok", "1 MiB and a manifest, pushed, pulled and deleted")

    async def clear(self) -> list[Finding]:
        """Remove what `push_and_pull` has made, however far it came; return what is left of it."""
        if not self._may_be_there:
            return []
        try:
            ended = await self._client.request("DELETE", f"/api/v1/repositories/{self._name}")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            why = f"{type(error).__name__} {error}".strip()
        else:
            if ended.status in (204, 404):
                return []
            why = f"{ended.status} {_told(ended)}".strip()
        found = f"{self._name} could not be removed: {why}"
        return [Finding("clean-up", "warn", found, f"moorage repo delete {self._name}")]

    def _refused(self, what: str, reply: Reply) -> Finding:
        if reply.status == 401:
            return self._not_signed_in(what, reply)
        advice = {
            413: "let the proxy pass bodies of any size (nginx: client_max_body_size 0)",
        }.get(reply.status, "the server's log has the reason")
        return Finding(_CHECK, "fail", f"{what}: {reply.status} {_told(reply)}", advice)

    def _not_signed_in(self, what: str, reply: Reply) -> Finding:
        user, file = self._config.admin_user, self._config.admin_password_file
        if not user:
            return Finding(
                _CHECK,
                "fail",
                f"{what}: 401, the registry wants an account and none was given",
                "name one, with its password in a file: MOORAGE_ADMIN_USER=NAME"
                " MOORAGE_ADMIN_PASSWORD_FILE=FILE moorage doctor; on the server's host"
                " `moorage user list` shows who there is",
            )
        return Finding(
            _CHECK,
            "fail",
            # What it advises is for docker.
            f"{what}: 401 as {user}: {_told(reply).removesuffix('. Sign in with docker login')}",
            f"see that {file} has the password of {user}; on the server's host"
            f" `moorage user link {user}` lets you choose another one",
        )


class _Said(msgspec.Struct):
    message: str = ""


class _Refusal(msgspec.Struct):
    """What the specification's errors and the API's problem details have for a person."""

    errors: list[_Said] = []
    title: str = ""
    detail: str = ""


def _told(reply: Reply) -> str:
    """Return what an answer says for a person, or how it begins where nothing of ours is in it."""
    try:
        refusal = msgspec.json.decode(reply.body, type=_Refusal)
    except (msgspec.DecodeError, UnicodeDecodeError):
        refusal = _Refusal()
    said = [each.message for each in refusal.errors] + [refusal.detail, refusal.title]
    return next(filter(None, said), reply.body[:300].decode("utf-8", "replace"))
