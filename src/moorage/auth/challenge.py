"""What a refused client is told to do: the `WWW-Authenticate` of a 401 (RFC 9110, 11.6.1)."""

from moorage.errors import NotPermitted, Unauthorized

CHALLENGE = 'Basic realm="Moorage", charset="UTF-8"'


def challenge(refused: Unauthorized | NotPermitted) -> None:
    """Give the refusal the challenge that its client can answer."""
    refused.headers = {**refused.headers, "WWW-Authenticate": CHALLENGE}
