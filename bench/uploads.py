"""The load generator's writing half: blobs, manifests and whole images on blocking sockets."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import bodies, wire
from bench.bodies import MIB, Blob, Image
from bench.load import Stopwatch, Work
from bench.tools import BenchError
from bench.wire import Connection, Endpoint, request

CHUNK = 5 * MIB
STREAM = {"Content-Type": "application/octet-stream"}


def begin(connection: Connection, repository: str) -> str:
    """Open an upload session and return where it is."""
    message = request(connection.endpoint, "POST", f"/v2/{repository}/blobs/uploads/")
    return connection.exchange(message).expect(202).location()


def closing(location: str, digest: str) -> str:
    """Return the address that ends a session with `digest`."""
    return f"{location}{'&' if '?' in location else '?'}digest={digest}"


def push_blob(connection: Connection, repository: str, blob: Blob) -> None:
    """Push a small blob with one POST and one PUT."""
    target = closing(begin(connection, repository), blob.digest)
    connection.exchange(request(connection.endpoint, "PUT", target, STREAM, blob.data)).expect(201)


def put_manifest(
    connection: Connection, path: str, manifest: Blob, media_type: str = bodies.MANIFEST
) -> wire.Answer:
    """PUT a manifest; `path` is `<repository>/manifests/<reference>` and any query."""
    headers = {"Content-Type": media_type}
    message = request(connection.endpoint, "PUT", f"/v2/{path}", headers, manifest.data)
    return connection.exchange(message).expect(201)


def push_image(connection: Connection, repository: str, tag: str, image: Image) -> None:
    """Push an image's blobs and its manifest under a tag."""
    for blob in image.blobs:
        push_blob(connection, repository, blob)
    put_manifest(connection, f"{repository}/manifests/{tag}", image.manifest)


@dataclass(frozen=True, slots=True)
class Source:
    """A file on disk to push, with the digest it has now."""

    path: Path
    size: int
    digest: str


def push_file(endpoint: Endpoint, repository: str, source: Source, *, chunked: bool) -> Work:
    """Push a large file with one PUT or with 5 MiB PATCHes; the one wait is that of the last PUT.

    Operations are bytes.
    """
    connection = Connection(endpoint)
    watch = Stopwatch()
    location = begin(connection, repository)
    sent = 0
    while chunked and sent < source.size:
        count = min(CHUNK, source.size - sent)
        headers = STREAM | {
            "Content-Range": f"{sent}-{sent + count - 1}",
            "Content-Length": str(count),
        }
        head = request(endpoint, "PATCH", location, headers)
        location = connection.send_file(head, source.path, sent, count).expect(202).location()
        sent += count
    headers = STREAM | {"Content-Length": str(source.size - sent)}
    head = request(endpoint, "PUT", closing(location, source.digest), headers)
    begun = watch.seconds
    if chunked:
        connection.exchange(head).expect(201)
    else:
        connection.send_file(head, source.path, 0, source.size).expect(201)
    work = watch.work(source.size, [watch.seconds - begun])
    connection.close()
    return work


@dataclass(frozen=True, slots=True)
class Batch:
    """A pusher process's share of the small images; `repository` None gives each its own."""

    seed: str
    images: int
    pushers: int
    seconds: float
    repository: str | None = None


@dataclass(frozen=True, slots=True)
class _Upload:
    """An image with every request that can be made beforehand."""

    starts: tuple[bytes, ...]
    blobs: tuple[Blob, ...]
    manifest: bytes


def _prepare(endpoint: Endpoint, batch: Batch, number: int) -> _Upload:
    image = bodies.image(f"{batch.seed}/{number}")
    repository = batch.repository or f"bench/{batch.seed}-{number}".lower()
    start = request(endpoint, "POST", f"/v2/{repository}/blobs/uploads/")
    path = f"/v2/{repository}/manifests/{batch.seed}-{number}"
    headers = {"Content-Type": bodies.MANIFEST}
    manifest = request(endpoint, "PUT", path, headers, image.manifest.data)
    return _Upload((start,) * len(image.blobs), image.blobs, manifest)


def _push(connection: Connection, upload: _Upload, watch: Stopwatch) -> Iterator[float]:
    """Push one image and yield how long each of its commits took to be acknowledged."""
    for start, blob in zip(upload.starts, upload.blobs, strict=True):
        location = connection.exchange(start).expect(202).location()
        target = closing(location, blob.digest)
        message = request(connection.endpoint, "PUT", target, STREAM, blob.data)
        begun = watch.seconds
        connection.exchange(message).expect(201)
        yield watch.seconds - begun
    begun = watch.seconds
    connection.exchange(upload.manifest).expect(201)
    yield watch.seconds - begun


def push_images(endpoint: Endpoint, batch: Batch) -> Work:
    """Push a batch with several blocking threads until it or the time runs out."""
    uploads = [_prepare(endpoint, batch, number) for number in range(batch.images)]
    waits: list[float] = []
    done: list[int] = []
    watch = Stopwatch()

    def pusher(place: int) -> None:
        with _connected(endpoint) as connection:
            for upload in uploads[place :: batch.pushers]:
                if watch.seconds > batch.seconds:
                    return
                waits.extend(_push(connection, upload, watch))
                done.append(place)

    _threads(pusher, batch.pushers)
    return watch.work(len(done), waits)


@dataclass(frozen=True, slots=True)
class Names:
    """Paths `<repository>/manifests/<reference>` to put one manifest at."""

    paths: tuple[str, ...]
    pushers: int
    seconds: float


def put_manifests(endpoint: Endpoint, manifest: Blob, media_type: str, names: Names) -> Work:
    """Put one manifest at many addresses with several threads until the time runs out."""
    done: list[int] = []
    watch = Stopwatch()

    def pusher(place: int) -> None:
        with _connected(endpoint) as connection:
            for path in names.paths[place :: names.pushers]:
                if watch.seconds > names.seconds:
                    return
                put_manifest(connection, path, manifest, media_type)
                done.append(place)

    _threads(pusher, names.pushers)
    return watch.work(len(done))


@contextmanager
def _connected(endpoint: Endpoint) -> Iterator[Connection]:
    connection = Connection(endpoint)
    try:
        yield connection
    finally:
        connection.close()


def _threads(work: Callable[[int], None], count: int) -> None:
    """Run `work` in `count` threads and raise the first error any of them met."""
    errors: list[Exception] = []

    def guarded(place: int) -> None:
        try:
            work(place)
        except (OSError, BenchError) as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(place,)) for place in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
