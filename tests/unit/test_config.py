"""Settings: where they come from, which wins, and what is refused."""

from pathlib import Path
from typing import Any

import pytest

from moorage.config import Config, flatten, load
from moorage.errors import Refused


def settings(file: Path | None = None, env: Any = None, **flags: Any) -> Config:
    """Return the settings of a file, an environment and flags."""
    return load(file, env or {}, flags).config


def test_defaults_need_nothing() -> None:
    """Without any source every key has a value, and the address is this machine's own."""
    config = settings()
    assert config.listen == ("127.0.0.1:5000",)
    assert 1 <= config.worker_count <= 4
    assert len(dict(flatten(config))) == len(load(None, {}, {}).origins)


def test_flags_win_over_environment_over_file(tmp_path: Path) -> None:
    """Each source overrides the one before it, key by key."""
    file = tmp_path / "m.toml"
    file.write_text('workers = 1\nurl = "https://file"\n[limits]\nupload_hours = 1\n')
    loaded = load(file, {"MOORAGE_WORKERS": "2", "MOORAGE_URL": "https://env"}, {"workers": 3})
    assert (loaded.config.workers, loaded.config.url) == (3, "https://env")
    assert loaded.config.limits.upload_hours == 1
    assert loaded.origins["workers"] == "flag"
    assert loaded.origins["url"] == "$MOORAGE_URL"
    assert loaded.origins["limits.upload_hours"] == f"{file}:4"
    assert loaded.origins["data"] == "default"


@pytest.mark.parametrize(
    ("env", "key", "value"),
    [
        ({"MOORAGE_LISTEN": "127.0.0.1:1, [::1]:2"}, "listen", ("127.0.0.1:1", "[::1]:2")),
        ({"MOORAGE_ALLOW_SPARSE": "true"}, "allow_sparse", "always"),
        ({"MOORAGE_ALLOW_SPARSE": "0"}, "allow_sparse", "never"),
        ({"MOORAGE_LOG__ACCESS": "no"}, "log.access", False),
        ({"MOORAGE_LIMITS__BODY_IDLE_SECONDS": "1.5"}, "limits.body_idle_seconds", 1.5),
    ],
)
def test_texts_become_values(env: dict[str, str], key: str, value: Any) -> None:
    """The environment has only texts; each becomes what its key takes."""
    assert dict(flatten(settings(env=env)))[key] == value


@pytest.mark.parametrize(
    ("env", "told"),
    [
        ({"MOORAGE_LISTN": "x"}, ("MOORAGE_LISTN", "'listen'")),
        ({"MOORAGE_LIMITS__DRAIN": "1"}, ("'limits.drain_seconds'",)),
        ({"MOORAGE_WORKERS": "many"}, ("workers can't be 'many'",)),
        ({"MOORAGE_WORKERS": "-1"}, ("workers is not usable",)),
        ({"MOORAGE_ALLOW_SPARSE": "sometimes"}, ("allow_sparse can't be",)),
        ({"MOORAGE_TRUSTED_PROXIES": "10.0.0.1,*"}, ("trusted_proxies is not usable",)),
        ({"MOORAGE_URL": "registry.example"}, ("url is not usable",)),
        ({"MOORAGE_URL": "https://registry.example/path"}, ("url is not usable",)),
        ({"MOORAGE_S3__ENDPOINT": "s3.example:9000"}, ("s3.endpoint is not usable",)),
        ({"MOORAGE_S3__ENDPOINT": "https://key:secret@s3.example"}, ("s3.endpoint is not usable",)),
        ({"MOORAGE_TRASH_DAYS": "-1"}, ("trash_days is not usable",)),
        ({"MOORAGE_TRASH_DAYS": "5000"}, ("trash_days is not usable", "Ten years")),
        ({"MOORAGE_TRASH_DAYS": "1.5"}, ("trash_days can't be '1.5'",)),
        (
            {"MOORAGE_STORAGE": "s3://bucket", "MOORAGE_COLLECTION__DELAY_HOURS": "0.1"},
            ("collection.delay_hours is not usable", "20 minutes"),
        ),
        ({"MOORAGE_COLLECTION__DELAY_HOURS": "-1"}, ("collection.delay_hours is not usable",)),
        ({"MOORAGE_COLLECTION__DELAY_HOURS": "nan"}, ("collection.delay_hours is not usable",)),
        ({"MOORAGE_TLS__CERT": "c.pem"}, ("tls.cert is not usable",)),
        ({"MOORAGE_ADMIN_USER": "admin"}, ("admin_user is not usable",)),
    ],
)
def test_what_is_not_usable_is_refused(env: dict[str, str], told: tuple[str, ...]) -> None:
    """A refusal names the key and where it stood, and ends with exit code 2."""
    with pytest.raises(Refused) as refused:
        settings(env=env)
    text = f"{refused.value.what} {refused.value.why} {refused.value.do}"
    assert refused.value.exit_code == 2
    assert all(part in text for part in told), text


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("workers = 1\nlisten_on = 1\n", 2),
        ("[limits]\n\nfree = 1\n", 3),
        ("[nothing]\nkey = 1\n", 2),
        ("limits.free = 1\n", 1),
    ],
)
def test_unknown_keys_have_a_line(tmp_path: Path, text: str, line: int) -> None:
    """An unknown key of the file is refused with the line on which it stands."""
    file = tmp_path / "m.toml"
    file.write_text(text)
    with pytest.raises(Refused, match=f"m.toml:{line}: there is no setting"):
        settings(file)


@pytest.mark.parametrize(
    "text",
    ["10.0.0.1", "10.0.0.0/8", "172.18.0.1/16", "2001:db8::/32", "fc00::/7", "proxy", "a.b_c.d-1."],
)
def test_proxies_that_are_named(text: str) -> None:
    """An address, a network or a name."""
    assert settings(trusted_proxies=(text,)).trusted_proxies == (text,)


@pytest.mark.parametrize(
    "text",
    [
        "*",
        "0.0.0.0/0",
        "::/0",
        "128.0.0.0/1",
        "2000::/3",
        "*.example.com",
        "10.0.0.0/33",
        "10.1",
        "0x7f000001",
        "127.1.1.1.1",
        "http://proxy",
        "proxy:80",
        "pro xy",
        "10.0.0.1-10.0.0.9",
        "",
        ".",
        "a..b",
    ],
)
def test_proxies_that_could_be_anybody(text: str) -> None:
    """Neither a wildcard, nor half the world, nor what the system may read in some other way."""
    with pytest.raises(Refused, match="trusted_proxies is not usable"):
        settings(trusted_proxies=(text,))


@pytest.mark.parametrize("seconds", [0, 30 * 24 * 3_600 + 1])
def test_a_window_that_is_none(seconds: int) -> None:
    """Refused also while nothing is counted by it."""
    with pytest.raises(Refused, match="anonymous_pulls_seconds is not usable"):
        settings(**{"limits.anonymous_pulls_seconds": seconds})
