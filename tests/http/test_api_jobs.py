"""Jobs over the management API and the command line, on a real server."""

from __future__ import annotations

import time

import pytest

from api import Api, problem
from cli import Person
from process import Server
from registry import Registry

pytestmark = pytest.mark.metadata


def test_what_is_there(admin: Api) -> None:
    done = admin.items("/jobs?state=done&limit=100")
    assert {job["state"] for job in done} == {"done"}
    first = next(job for job in done if job["name"] == "uploads.expire")
    assert first["finished_at"]
    shown = admin.get(f"/jobs/{first['id']}").expect(200).json()
    assert first.items() <= shown.items()
    assert shown["payload"] is None
    assert admin.items("/jobs?state=dead") == []
    problem(admin.get("/jobs?state=lost"), 422, "INVALID")
    problem(admin.get("/jobs/0"), 404, "NOT_FOUND")
    problem(admin.get("/jobs/x"), 404, "NOT_FOUND")
    problem(admin.post(f"/jobs/{first['id']}/retry"), 409, "CONFLICT")
    problem(admin.post(f"/jobs/{first['id']}/cancel"), 409, "CONFLICT")


def test_the_commands(host: Person) -> None:
    until = time.monotonic() + 20
    while not (found := host("job", "list", "--state", "done", "-o", "json").json()):
        assert time.monotonic() < until
    number = str(found[0]["id"])
    table = host("job", "list", "--limit", "1").out.splitlines()
    assert table[0].split() == ["ID", "NAME", "STATE", "DUE", "TRIES", "ERROR"]
    assert "done" in host("job", "show", number).out
    assert host.run("job", "retry", number).code == 9
    assert host.run("job", "cancel", number).code == 2
    assert host.run("job", "cancel", number, "--yes").code == 9
    assert host.run("job", "show", "999999").code == 3
    assert host.run("job", "list", "--state", "lost").code == 2
    assert host("job", "list", "--state", "dead").out == "There are none.\n"


def test_the_metrics(opened: Server) -> None:
    text = Registry(opened.url).get("/metrics").expect(200).body.decode()
    assert "moorage_jobs_dead 0.0" in text
    assert "moorage_jobs_late_seconds" in text
