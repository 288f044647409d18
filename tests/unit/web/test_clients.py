import pytest

from moorage.web.clients import is_within, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:8080", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:80", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::1"),
        ("", None),
        ("unknown", None),
        ("192.0.2", None),
        ("192.0.2.1:8080:1", None),
        ("_hidden", None),
    ],
)
def test_addresses(text: str, address: str | None) -> None:
    found = parse_address(text)
    assert (str(found) if found else None) == address


def test_networks() -> None:
    address = parse_address("10.1.2.3")
    assert address is not None
    assert is_within(address, ["2001:db8::/32", "10.0.0.0/8"])
    assert not is_within(address, ["10.2.0.0/16", "192.0.2.1"])
    assert not is_within(address, [])
