"""What `moorage doctor` asks of the database and of the store, by doing what a registry does."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from moorage.app import blob_store, build, schema_state
from moorage.auth.secrets import Secrets
from moorage.blobs.store import BlobStore, Redirect, keep_nowhere
from moorage.cli.finding import Finding
from moorage.clock import SECOND, new_id
from moorage.config import Config
from moorage.db.settings import get
from moorage.errors import Refused, RegistryError
from moorage.outbound import open_client
from moorage.registry import replicas
from moorage.registry.services import Services

_SLOW_DATABASE = 0.02
_SKEW_SECONDS = 5.0
_SMALL = 100_000


async def examine_database(config: Config) -> list[Finding]:
    """Look at the schema, the way to the database, its clock, and whether replicas agree."""
    try:
        state = schema_state(config)
    except Refused as error:
        return [Finding("database", "fail", f"{error.what} {error.why}", error.do)]
    if not state.usable:
        why = f"it has schema {state.found}, which this release can't read"
        return [Finding("schema", "fail", why, "start the newer release")]
    if state.steps:
        why = f"{len(state.steps)} steps are to be run"
        return [Finding("schema", "warn", why, "run moorage migrate, or start the server")]
    found = [Finding("schema", "ok", f"{state.found}, as this release wants it")]
    s = await build(config, Secrets(b"doctor", b"doctor"), "doctor")
    try:
        found += [await _way(s), _clock(s), await _agreement(s)]
    except RegistryError as error:
        found.append(Finding("database", "fail", error.message, "see that it runs and answers"))
    finally:
        await s.blobs.close()
        await s.db.close()
    return found


async def examine_storage(config: Config) -> list[Finding]:
    """Write, read, overwrite nothing, redirect and delete, as pushes and pulls do."""
    store = blob_store(config)
    try:
        found = [
            await examine_round_trip(store),
            await examine_parts(store, config),
            await _redirect(store),
        ]
        found.append(await _rules(store))
    except (RegistryError, OSError, EOFError) as error:
        why = getattr(error, "message", "") or f"{type(error).__name__}: {error}"
        advice = "check the bucket, the credentials and their rights, s3.endpoint and s3.region"
        return [Finding("storage", "fail", why, advice)]
    finally:
        await store.close()
    return found


async def _way(s: Services) -> Finding:
    began = time.perf_counter()
    for _ in range(10):
        await get(s.db, "schema.version")
    seconds = (time.perf_counter() - began) / 10
    told = f"{seconds * 1000:.2f} ms for a question and its answer"
    if seconds > _SLOW_DATABASE:
        return Finding("database", "warn", told, "every request waits for this: put it nearer")
    return Finding("database", "ok", told)


def _clock(s: Services) -> Finding:
    apart = abs(s.clock.now() / SECOND - time.time())
    told = f"{apart:.1f} s apart"
    if apart > _SKEW_SECONDS:
        return Finding("database clock", "warn", told, "set the clocks of both machines by NTP")
    return Finding("database clock", "ok", told)


async def _agreement(s: Services) -> Finding:
    present = await replicas.list_present(s)
    if not present:
        return Finding("replicas", "warn", "no server has been seen lately", "start one")
    versions = Counter(each.version for each in present)
    settings = Counter(each.settings for each in present)
    told = f"{len(present)} seen, {', '.join(sorted(versions))}"
    if len(settings) > 1:
        rare = settings.most_common()[-1][0]
        hosts = ", ".join(sorted(each.host for each in present if each.settings == rare))
        advice = "compare moorage config show there and here"
        return Finding("replicas", "fail", f"{told}; set differently: {hosts}", advice)
    if len(versions) > 1:
        return Finding("replicas", "warn", told, "let the upgrade come to its end")
    return Finding("replicas", "ok", told)


async def _pieces(raw: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(raw), 1 << 20):
        yield raw[start : start + (1 << 20)]


@asynccontextmanager
async def _stored(store: BlobStore, raw: bytes) -> AsyncIterator[str]:
    """Put bytes into the store and yield where they are; they are gone after, whatever happened."""
    state = await store.begin(new_id(), len(raw))
    async with store.session(state, keep_nowhere) as session:
        try:
            await session.append(0, _pieces(raw))
            finished = await session.finish()
            if finished.rest is not None:
                await asyncio.to_thread(finished.rest)
        except BaseException:
            await session.abort()
            raise
    try:
        yield finished.location
    finally:
        await store.delete([finished.location])


async def _read(store: BlobStore, location: str, start: int, end: int) -> bytes:
    return b"".join([part async for part in store.read(location, start, end)])


async def examine_round_trip(store: BlobStore) -> Finding:
    """Write, measure, read a range and delete."""
    raw = os.urandom(_SMALL)
    began = time.perf_counter()
    async with _stored(store, raw) as location:
        if await store.size(location) != len(raw):
            return Finding("storage", "fail", "an object has not the size that was written")
        if await _read(store, location, 1_000, 2_000) != raw[1_000:2_000]:
            return Finding("storage", "fail", "a range of an object is not what was written")
    if await store.size(location) is not None:
        return Finding("storage", "fail", "an object that was deleted is still there")
    seconds = time.perf_counter() - began
    return Finding("storage", "ok", f"written, read and deleted in {seconds * 1000:.0f} ms")


async def examine_parts(store: BlobStore, config: Config) -> Finding:
    """Write an object that is large enough for parts, read it back and delete it."""
    raw = os.urandom(1 << 20) * ((config.s3.part_bytes >> 20) + 2)
    async with _stored(store, raw) as location:
        whole = await _read(store, location, 0, len(raw)) == raw
    if not whole:
        return Finding("large blobs", "fail", "an object in parts is not what was written")
    return Finding("large blobs", "ok", f"{len(raw) >> 20} MiB in parts, read back")


async def _rules(store: BlobStore) -> Finding:
    from moorage.blobs.s3 import S3Blobs  # noqa: PLC0415 - its client is an extra, and slow to load

    rules = await store.expiry_rules() if isinstance(store, S3Blobs) else []
    if rules:
        why = f"the bucket removes objects by itself: {', '.join(rules)}"
        return Finding("bucket rules", "fail", why, "end those rules: blobs would vanish")
    return Finding("bucket rules", "ok", "none that would remove blobs")


async def _redirect(store: BlobStore) -> Finding:
    raw = os.urandom(1_000)
    async with _stored(store, raw) as location:
        located = await store.locate(location, redirect=True)
        if not isinstance(located, Redirect):
            return Finding("redirects", "ok", "not used with this store")
        try:
            async with open_client("") as client:
                reply = await client.request("GET", located.url)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            advice = "clients must reach the store by s3.endpoint; or set redirect.blobs = false"
            return Finding("redirects", "fail", f"{type(error).__name__}", advice)
    if reply.body != raw:
        advice = "set redirect.blobs = false, or correct s3.endpoint"
        return Finding("redirects", "fail", f"the address was answered {reply.status}", advice)
    return Finding("redirects", "ok", "an address without credentials is answered")
