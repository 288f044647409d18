"""How an image is had, by each client."""

from __future__ import annotations

import msgspec
import pytest

from moorage.ui.pull_help import Wanted, ways

DIGEST = f"sha256:{'0' * 64}"
WANTED = Wanted("registry.example", "web/my_shop", "image", "1.2", DIGEST)


def test_an_image_is_had_by_its_tag_and_by_its_digest() -> None:
    found = {each.key: each for each in ways(WANTED)}
    assert next(iter(found)) == "docker"
    assert {"podman", "nerdctl", "crictl", "skopeo", "kubernetes", "compose", "from"} < set(found)
    for each in found.values():
        assert "registry.example/web/my_shop:1.2" in each.by_tag, each.key
        assert f"registry.example/web/my_shop@{DIGEST}" in each.by_digest, each.key
        assert "REF" not in each.by_tag + each.by_digest
        assert "tls" not in each.by_tag
    assert found["docker"].sign_in == "docker login registry.example"
    assert found["compose"].by_tag.startswith("services:\n  my-shop:\n    image: ")


def test_without_a_tag_there_is_the_digest_alone() -> None:
    untagged = msgspec.structs.replace(WANTED, tag="")
    assert {each.by_tag for each in ways(untagged)} == {""}
    chart = msgspec.structs.replace(untagged, kind="chart")
    assert [each.key for each in ways(chart)] == ["oras", "skopeo"]


def test_a_chart_has_the_version_that_it_was_packed_with() -> None:
    chart = msgspec.structs.replace(WANTED, kind="chart", tag="1.2.0_build.5")
    helm = ways(chart)[0]
    assert helm.by_tag == ("helm pull oci://registry.example/web/my_shop --version 1.2.0+build.5")
    assert helm.by_digest == ""


@pytest.mark.parametrize("kind", ["artifact", "sbom", "wasm", "signature"])
def test_an_artifact_is_nothing_for_docker(kind: str) -> None:
    found = ways(msgspec.structs.replace(WANTED, kind=kind))
    assert [each.key for each in found] == ["oras", "skopeo"]
    assert found[0].by_tag == "oras pull registry.example/web/my_shop:1.2"


def test_clients_that_insist_on_tls_are_told_where_there_is_none() -> None:
    found = {each.key: each for each in ways(msgspec.structs.replace(WANTED, is_plain=True))}
    assert "--tls-verify=false" in found["podman"].by_tag
    assert "--src-tls-verify=false" in found["skopeo"].by_digest
    assert "--insecure-registry" in found["nerdctl"].by_tag
    assert "--" not in found["docker"].by_tag
