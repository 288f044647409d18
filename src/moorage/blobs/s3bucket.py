"""One bucket of an S3-compatible object store: the calls that are made, and what their errors mean.

Every call is safe to repeat, and the client library repeats it a few times by itself: an object has
a fresh name, and a part's number belongs to one writer.
"""

import asyncio
import base64
import hashlib
import io
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing, contextmanager
from typing import Any

import aiohttp
import msgspec
from aiobotocore.config import AioConfig  # type: ignore[import-untyped]
from aiobotocore.session import get_session  # type: ignore[import-untyped]
from botocore.exceptions import (  # type: ignore[import-untyped]
    BotoCoreError,
    ClientError,
)

from moorage.blobs.s3state import Part
from moorage.blobs.store import SessionLost
from moorage.config import S3
from moorage.errors import Unavailable

CHUNK = 256 << 10
_CONNECT_SECONDS = 5.0
_ATTEMPTS = 3
_RESUMES = 3
# Each streamed pull has one for as long as its client takes to read: those who read slowly, many at
# once, must not keep everybody else from the store.
_CONNECTIONS = 1_000
# So many bytes of a body may take as long as an answer may, 140 kB a second: the client library
# would wait for ever for a store that takes no more.
_STRETCH = 4 << 20
_MOST_DELETES = 1_000
_DELETES_AT_ONCE = 4
_ABSENT = frozenset({"NoSuchKey", "NotFound", "404"})
_ENDED = frozenset({"NoSuchUpload", "InvalidPart", "InvalidPartOrder"})


class Place(msgspec.Struct, frozen=True):
    """Where a store is: the bucket, and what its keys begin with (empty, or ending in `/`)."""

    bucket: str
    prefix: str

    @classmethod
    def parse(cls, address: str) -> "Place":
        """Return what `s3://bucket/prefix` says."""
        bucket, _, prefix = address.removeprefix("s3://").partition("/")
        prefix = prefix.strip("/")
        return cls(bucket, f"{prefix}/" if prefix else "")


class Bucket:
    """Calls on one bucket. Keys are without the prefix.

    Whatever the store does not answer, or answers with a refusal, is `Unavailable`.
    """

    def __init__(self, place: Place, options: S3, answer_seconds: float) -> None:
        """Note where it is; nothing is opened before the first call."""
        self._place = place
        self._options = options
        self._answer_seconds = answer_seconds
        self._client: Any = None
        self._opening = asyncio.Lock()
        self._stack = AsyncExitStack()

    async def close(self) -> None:
        """Close all connections."""
        await self._stack.aclose()
        self._client = None

    async def put(self, key: str, body: io.BytesIO) -> None:
        """Write an object; it is durable when this returns."""
        client = await self._open()
        with _errors():
            async with self._sending(body):
                await client.put_object(
                    **self._at(key),
                    **await self._seal(body),
                    **self._encryption(),
                    Body=body,
                    ContentType=_TYPE,
                )

    async def size(self, key: str) -> int | None:
        """Return an object's size, None if there is none."""
        client = await self._open()
        try:
            with _errors():
                found = await client.head_object(**self._at(key))
        except FileNotFoundError:
            return None
        return int(found["ContentLength"])

    async def read(self, key: str, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of the span; a body that breaks off is gone on with, three times at most.

        Raises:
            FileNotFoundError: there is no such object.
            EOFError: it is shorter than `end`.
        """
        resumes = 0
        while start < end:
            try:
                async with aclosing(self._read_once(key, start, end)) as chunks:
                    async for chunk in chunks:
                        start += len(chunk)
                        yield chunk
            except _Broken as error:
                resumes += 1
                if resumes > _RESUMES:
                    raise _unavailable() from error

    async def _read_once(self, key: str, start: int, end: int) -> AsyncGenerator[bytes, None]:
        client = await self._open()
        try:
            with _errors():
                found = await client.get_object(**self._at(key), Range=f"bytes={start}-{end - 1}")
        except FileNotFoundError as error:
            # A blob is taken for lost on the store's own word, not on a 404 of whatever stands
            # before it, which has no such code.
            if _code(error.__cause__) != "NoSuchKey":
                raise _unavailable() from error
            raise
        async with found["Body"] as body:
            if int(found["ContentLength"]) != end - start:
                raise EOFError(f"the object ends before {end}")
            while start < end:
                try:
                    chunk = await body.read(min(CHUNK, end - start))
                except (BotoCoreError, aiohttp.ClientError, OSError) as error:
                    raise _Broken from error
                if not chunk:
                    raise _Broken
                start += len(chunk)
                yield chunk

    async def delete(self, keys: Sequence[str]) -> None:
        """Remove objects, 1,000 a call, some calls at once; those that are gone do no harm."""
        calls = [keys[at : at + _MOST_DELETES] for at in range(0, len(keys), _MOST_DELETES)]
        for place in range(0, len(calls), _DELETES_AT_ONCE):
            some = map(self._delete, calls[place : place + _DELETES_AT_ONCE])
            for failure in await asyncio.gather(*some, return_exceptions=True):
                if failure is not None:
                    raise failure

    async def _delete(self, keys: Sequence[str]) -> None:
        client = await self._open()
        with _errors():
            if len(keys) == 1:
                await client.delete_object(**self._at(keys[0]))
                return
            named = [{"Key": self._place.prefix + key} for key in keys]
            answer = await client.delete_objects(
                Bucket=self._place.bucket, Delete={"Objects": named, "Quiet": True}
            )
        if any(each.get("Code") not in _ABSENT for each in answer.get("Errors", ())):
            raise _unavailable()

    async def list(self, under: str, after: str) -> AsyncIterator[tuple[str, int, int]]:
        """Yield the keys that begin with `under` and sort behind `after`, in order.

        Each has its size, and when it was written in milliseconds.
        """
        client = await self._open()
        prefix = self._place.prefix
        while True:
            with _errors():
                page = await client.list_objects_v2(
                    Bucket=self._place.bucket, Prefix=prefix + under, StartAfter=prefix + after
                )
            for found in page.get("Contents", ()):
                after = found["Key"].removeprefix(prefix)
                changed_at = int(found["LastModified"].timestamp() * 1000)
                yield after, int(found["Size"]), changed_at
            if not page.get("IsTruncated"):
                return

    async def begin(self, key: str) -> str:
        """Begin an object that comes by parts; return the upload's id."""
        client = await self._open()
        with _errors():
            begun = await client.create_multipart_upload(
                **self._at(key), ContentType=_TYPE, **self._encryption()
            )
        return str(begun["UploadId"])

    async def put_part(self, key: str, upload: str, number: int, body: io.BytesIO) -> Part:
        """Write a part.

        Raises:
            SessionLost: there is no such upload: it was completed or given up.
        """
        client = await self._open()
        with _errors():
            async with self._sending(body):
                written = await client.upload_part(
                    **self._at(key),
                    **await self._seal(body),
                    UploadId=upload,
                    PartNumber=number,
                    Body=body,
                )
        return Part(number, str(written["ETag"]).strip('"'))

    async def complete(self, key: str, upload: str, parts: Sequence[Part]) -> None:
        """Make the parts the object.

        Raises:
            SessionLost: there is no such upload: it was completed or given up.
        """
        client = await self._open()
        named = [{"PartNumber": part.number, "ETag": f'"{part.etag}"'} for part in parts]
        with _errors():
            await client.complete_multipart_upload(
                **self._at(key), UploadId=upload, MultipartUpload={"Parts": named}
            )

    async def abort(self, key: str, upload: str) -> None:
        """Give the parts up; does nothing when there is no such upload."""
        client = await self._open()
        try:
            with _errors():
                await client.abort_multipart_upload(**self._at(key), UploadId=upload)
        except SessionLost:
            return

    async def presign(self, key: str, seconds: int) -> str:
        """Return an address by which anybody may GET the object for so long: a credential."""
        client = await self._open()
        with _errors():
            return str(
                await client.generate_presigned_url(
                    "get_object", Params=self._at(key), ExpiresIn=seconds
                )
            )

    async def expiry_rules(self) -> Sequence[str]:
        """Return the names of the bucket's own rules by which it would remove our objects.

        Empty as well for a store that has no such rules or does not show them.
        """
        client = await self._open()
        try:
            found = await client.get_bucket_lifecycle_configuration(Bucket=self._place.bucket)
        except ClientError as error:
            if _code(error) in _NO_RULES:
                return []
            raise _unavailable() from error
        except (BotoCoreError, aiohttp.ClientError, OSError) as error:
            raise _unavailable() from error
        return [
            str(rule.get("ID", "without a name"))
            for rule in found.get("Rules", ())
            if rule.get("Status") == "Enabled" and _expires(rule, self._place.prefix)
        ]

    def _at(self, key: str) -> dict[str, str]:
        return {"Bucket": self._place.bucket, "Key": self._place.prefix + key}

    def _sending(self, body: io.BytesIO) -> asyncio.Timeout:
        stretches = body.getbuffer().nbytes / _STRETCH
        return asyncio.timeout((_ATTEMPTS + stretches) * self._answer_seconds)

    async def _seal(self, body: io.BytesIO) -> dict[str, str]:
        """Return by what the store can tell that the bytes it got are these.

        The client library would sign a SHA-256 that it takes on the event loop: four large pushes
        held everybody else up by 100 ms. Over TLS nothing more is needed; without it a digest is
        signed that a thread takes, MD5 since every store knows it and nobody can make other bytes
        for a given one.
        """
        if not self._options.endpoint.startswith("http:"):
            return {}
        digest = await asyncio.to_thread(_md5, body)
        return {"ContentMD5": base64.b64encode(digest).decode()}

    def _encryption(self) -> dict[str, str]:
        named = {
            "ServerSideEncryption": self._options.encryption,
            "SSEKMSKeyId": self._options.encryption_key,
        }
        return {name: value for name, value in named.items() if value}

    async def _open(self) -> Any:
        if self._client is None:
            async with self._opening:
                if self._client is None:
                    with _errors():
                        self._client = await self._stack.enter_async_context(self._make())
        return self._client

    def _make(self) -> Any:
        options = self._options
        addressing = options.addressing
        if addressing == "auto" and options.endpoint:
            addressing = "path"
        session = get_session()
        return session.create_client(
            "s3",
            region_name=options.region or session.get_config_variable("region") or "us-east-1",
            endpoint_url=options.endpoint or None,
            verify=options.ca_file or None,
            config=AioConfig(
                connect_timeout=_CONNECT_SECONDS,
                read_timeout=self._answer_seconds,
                max_pool_connections=_CONNECTIONS,
                retries={"mode": "adaptive", "total_max_attempts": _ATTEMPTS},
                # Newer checksums than Content-MD5 are refused by many stores that are not AWS's.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                signature_version="s3v4",
                s3={"addressing_style": addressing, "payload_signing_enabled": False},
            ),
        )


# A blob is whatever somebody pushed: a browser that follows an address to it must not run it.
_TYPE = "application/octet-stream"


_NO_RULES = frozenset(
    {
        "NoSuchLifecycleConfiguration",
        "NotImplemented",
        "MethodNotAllowed",
        "AccessDenied",
        "NoSuchConfiguration",
        "XNotImplemented",
    }
)


def _expires(rule: dict[str, Any], prefix: str) -> bool:
    """Tell whether a lifecycle rule removes objects, or parts under way, below the prefix."""
    limited = rule.get("Filter") or {}
    under = rule.get("Prefix") or limited.get("Prefix") or limited.get("And", {}).get("Prefix", "")
    if not (under.startswith(prefix) or prefix.startswith(under)):
        return False
    days = rule.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation", _SAFE_DAYS)
    expiration = rule.get("Expiration", {})
    return "Days" in expiration or "Date" in expiration or days < _SAFE_DAYS


# An upload may rest for a day between two requests.
_SAFE_DAYS = 3


class _Broken(Exception):
    """A body ended before its end."""


def _unavailable() -> Unavailable:
    return Unavailable(
        "the object store did not answer as it should; nothing was changed, try again shortly",
        headers={"Retry-After": "2"},
    )


def _md5(body: io.BytesIO) -> bytes:
    return hashlib.md5(body.getbuffer(), usedforsecurity=False).digest()


def _code(error: BaseException | None) -> str:
    return error.response.get("Error", {}).get("Code", "") if isinstance(error, ClientError) else ""


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        code = _code(error)
        if code in _ABSENT:
            raise FileNotFoundError("no such object") from error
        if code in _ENDED:
            raise SessionLost from error
        if code == "InvalidRange":
            raise EOFError("the object is shorter than it should be") from error
        raise _unavailable() from error
    except (BotoCoreError, aiohttp.ClientError, OSError) as error:
        raise _unavailable() from error
