"""Metrics of several processes are added up."""

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from moorage.api.metrics import _Merged
from moorage.telemetry import Metrics


def test_processes_are_added_up() -> None:
    """Counters and histograms of one name and labels are summed; those by worker stay apart."""
    texts = []
    for worker, count in (("0", 2), ("1", 3)):
        registry = CollectorRegistry(auto_describe=False)
        metrics = Metrics(registry, worker)
        for _ in range(count):
            metrics.answered("GET", "blob", 200, 0.002, received=0, sent=10)
            metrics.committed(4, 0.001)
        texts.append(generate_latest(registry).decode())
    families = (family for text in texts for family in text_string_to_metric_families(text))
    merged = generate_latest(_Merged(families)).decode()
    lines = set(merged.splitlines())
    assert 'moorage_http_requests_total{method="GET",route="blob",status="200"} 5.0' in lines
    assert 'moorage_http_bytes_total{direction="sent"} 50.0' in lines
    assert 'moorage_http_request_seconds_bucket{le="0.0025",route="blob"} 5.0' in lines
    assert 'moorage_commits_total{worker="0"} 2.0' in lines
    assert 'moorage_commits_total{worker="1"} 3.0' in lines
    assert "moorage_commit_requests_total 20.0" in lines
