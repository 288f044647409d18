"""Pulls as people see them, and what of them a stop keeps."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from api import Api, problem
from cli import Person
from process import Server
from registry import Registry

pytestmark = pytest.mark.metadata


def until(look: Any, wanted: Any, seconds: float = 100) -> Any:
    """Wait until the counts are folded."""
    end = time.monotonic() + seconds
    while (seen := look()) != wanted:
        assert time.monotonic() < end, (seen, wanted)
        time.sleep(0.3)


def test_who_asks_is_answered(admin: Api, administrator: Registry) -> None:
    shop = administrator.repository(f"{admin.organisation()}/shop")
    shop.push_image("latest")
    path = f"/repositories/{shop.name}/-/pulls"
    assert admin.get(path).expect(200).json() == {
        "repository": shop.name,
        "pulls": 0,
        "last_pulled_at": None,
        "days": [],
    }
    assert admin.get(f"{path}/tags").expect(200).json() == {"items": []}
    admin.get(f"{path}?days=90").expect(200)
    for bad in ("0", "91", "x", ""):
        problem(admin.get(f"{path}?days={bad}"), 422, "INVALID")


@pytest.mark.timeout(240)
def test_pulls_are_counted_and_a_stop_loses_none(tmp_path: Path) -> None:
    """A GET of a manifest is a pull, a HEAD is none; what was not written is, by the end."""
    with Server(env={"MOORAGE_ADMIN_SOCKET": "on"}, data=tmp_path / "data") as running:
        shop = Registry(running.url).repository("web/shop")
        image = shop.push_image("latest")
        shop.push_image("other")
        for _ in range(20):
            shop.registry.get(shop.path("manifests/latest")).expect(200)
            shop.registry.head(shop.path("manifests/latest")).expect(200)
        for _ in range(5):
            shop.registry.get(shop.path(f"manifests/{image.digest}")).expect(200)
        shop.registry.get(shop.path("manifests/missing")).expect(404)
        assert running.stop() == 0
        running.make_due("pulls.fold")
        running.start()
        api = Api(running.url)
        path = "/repositories/web/shop/-/pulls"
        until(lambda: api.get(path).expect(200).json()["pulls"], 25)
        found = api.get(path).json()
        today = datetime.now(UTC).date().isoformat()
        assert sum(each["pulls"] for each in found["days"]) == 25
        assert found["days"][-1]["day"] <= today
        tags = api.items(f"{path}/tags?limit=1")
        assert [(each["name"], each["pulls"]) for each in tags] == [("latest", 20)]
        assert tags[0]["last_pulled_at"] == found["last_pulled_at"]
        environment = {"MOORAGE_DATA": str(running.data), "MOORAGE_SERVER": "local"}
        environment |= {k: v for k, v in running.env.items() if k == "MOORAGE_DATABASE"}
        told = Person(tmp_path / "home", **environment)("repo", "show", "web/shop").out
        assert "pulls 25" in " ".join(told.split())
        running.stop()
