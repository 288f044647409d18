"""The examples in docs/reference/api.md do what the page says."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from api import Api
from conftest import PASSWORD
from registry import Registry, unique

pytestmark = pytest.mark.metadata

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "api.md").read_text()
EXAMPLES = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.needs_tool("curl")
def test_the_examples(administered: Registry, tmp_path: Path) -> None:
    """Each command succeeds, one after the other, and they have done what they say."""
    assert len(EXAMPLES) >= 3
    name, person = unique("web"), unique("alice")
    text = "".join(EXAMPLES).replace("alice", person)
    text = re.sub(r"\bweb\b", name, text)
    told = {"REGISTRY": administered.url, "ADMIN": f"admin:{PASSWORD}"}
    done = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", text],
        env={**os.environ, **told},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    admin = Api(administered.url, ("admin", PASSWORD))
    grants = admin.items(f"/namespaces/{name}/grants")
    assert (f"{name}+ci", "writer") in [(each["principal"], each["role"]) for each in grants]
    secret = re.findall(r"mrg_[0-9A-Za-z]{38}", done.stdout)
    found = Api(administered.url, secret[0]).get("/whoami").expect(200).json()
    assert found["name"] == f"{name}+ci"
