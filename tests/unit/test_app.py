import sys

import pytest

from moorage.app import blob_store
from moorage.blobs.filesystem import FilesystemBlobs
from moorage.config import Config
from moorage.errors import Refused


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("moorage.blobs.s3")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "aiobotocore.config", None)
    with pytest.raises(Refused) as refused:
        blob_store(Config(storage="s3://bucket"))
    assert "moorage[s3]" in refused.value.do
    assert isinstance(blob_store(Config()), FilesystemBlobs)


def test_the_package_is_loaded_only_where_it_is_needed() -> None:
    import subprocess

    script = "import sys, moorage.cli.serve; sys.exit('aiobotocore' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=30)
