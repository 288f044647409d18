"""Metrics of all processes of one server, added up by whichever is asked.

Each process answers on a private Unix socket with its own; prometheus-client's multiprocess mode
does the same through files, and loses gauges, info and removed labels on the way.
"""

import asyncio
from collections.abc import Iterable, Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from moorage.registry.services import Services

_SECONDS = 2.0


async def serve_own(s: Services, path: Path) -> asyncio.Server:
    """Answer every connection to the socket with this process's metrics."""

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(generate_latest(s.telemetry.registry))
        await writer.drain()
        writer.close()

    return await asyncio.start_unix_server(answer, path)


async def collect(s: Services) -> bytes:
    """Return the sum of all processes' metrics in the text format.

    A process that does not answer in time is left out; the next scrape has it again.
    """
    sockets = sorted(s.run_directory.glob("*.sock")) if s.run_directory else []
    own = [generate_latest(s.telemetry.registry)] if not sockets else []
    texts = own + await asyncio.gather(*map(_ask, sockets))
    families = (
        family for text in texts for family in text_string_to_metric_families(text.decode())
    )
    return generate_latest(_Merged(families))


async def _ask(path: Path) -> bytes:
    try:
        async with asyncio.timeout(_SECONDS):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                return await reader.read(-1)
            finally:
                writer.close()
    except OSError:  # it is being restarted
        return b""


class _Merged(CollectorRegistry):
    """Families of several processes as one registry: samples of one name and labels are summed."""

    def __init__(self, families: Iterable[Metric]) -> None:
        super().__init__()
        self._merged: dict[str, Metric] = {}
        sums: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
        for family in families:
            kept = self._merged.setdefault(
                family.name, Metric(family.name, family.documentation, family.type)
            )
            added = sums.setdefault(kept.name, {})
            for sample in family.samples:
                key = (sample.name, tuple(sorted(sample.labels.items())))
                added[key] = added.get(key, 0.0) + sample.value
        for name, samples in sums.items():
            for (sample_name, labels), value in samples.items():
                if not sample_name.endswith("_created"):
                    self._merged[name].add_sample(sample_name, dict(labels), value)

    def collect(self) -> Iterator[Metric]:
        """Yield the merged families."""
        yield from self._merged.values()
