"""Descriptors as the referrers API lists them, and which content may be elsewhere."""

import json

import pytest

from moorage.oci.descriptor import Descriptor, listed
from moorage.oci.digest import digest_of

EMPTY = digest_of(b"{}")


def test_listed_with_all_that_is_known() -> None:
    assert json.loads(listed("a/b", EMPTY, 2, "x/y", {"k": "v"})) == {
        "mediaType": "a/b",
        "digest": EMPTY,
        "size": 2,
        "artifactType": "x/y",
        "annotations": {"k": "v"},
    }


def test_listed_without_what_is_not() -> None:
    assert json.loads(listed("a/b", EMPTY, 0)) == {"mediaType": "a/b", "digest": EMPTY, "size": 0}


@pytest.mark.parametrize(
    ("media_type", "urls", "absent"),
    [
        ("application/vnd.oci.image.layer.v1.tar+gzip", (), False),
        ("application/vnd.oci.image.layer.v1.tar+gzip", ("https://a.example",), True),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", (), True),
        ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", (), True),
        ("application/x-foreigner", (), False),
    ],
)
def test_what_may_be_absent(media_type: str, urls: tuple[str, ...], absent: bool) -> None:
    found = Descriptor(media_type=media_type, digest=EMPTY, size=2, urls=urls)
    assert found.may_be_absent is absent
