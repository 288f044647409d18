"""What makes unit tests quick without making them weaker."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def no_authorities(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Trust no authority of this machine: reading them takes 40 ms for each address fetched.

    No unit test goes where one of theirs has signed; what isn't trusted is refused as before.
    """
    none = tmp_path_factory.mktemp("authorities") / "none.pem"
    none.touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(none))
        yield
