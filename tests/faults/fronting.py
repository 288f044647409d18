"""Three replicas of one registry, and nginx before them: what the tests of a fleet share."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from fleet import Fleet
from fronts import proxy
from s3 import GATEWAY, Gateway, Swift

QUIET = {"MOORAGE_LOG__ACCESS": "false"}


class Front:
    """A fleet and the proxy before it."""

    def __init__(self, fleet: Fleet, port: int) -> None:
        self.fleet = fleet
        self.port = port
        self.servers = fleet.servers
        self.credentials = fleet.credentials


def new_fleet(
    directory: Path, replicas: int = 3, settings: Mapping[str, str] | None = None
) -> Fleet:
    """Return a fleet over a database and a store of its own, not started yet."""
    # The quicker of the two stores, where it can be had.
    kind = Gateway if GATEWAY.exists() else Swift
    return Fleet(directory, replicas, store=kind(directory / "store"), settings=settings or QUIET)


@contextmanager
def fronted(fleet: Fleet) -> Iterator[Front]:
    """Run nginx before a fleet that runs."""
    # Apart from pytest's own directories, which the proxy's user may not enter.
    root = Path(tempfile.mkdtemp(prefix="moorage-proxy-"))
    root.chmod(0o755)
    try:
        with proxy("nginx", root, fleet.addresses) as running:
            yield Front(fleet, running.port)
    finally:
        shutil.rmtree(root, ignore_errors=True)
