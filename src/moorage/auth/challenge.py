"""What a refused client is told to do: the `WWW-Authenticate` of a 401 (RFC 9110, 11.6.1).

Always one challenge: clients read the first only, or the last. Basic credentials are taken all the
same, but the word is nowhere in it, since some look for just that.
"""

import re

from moorage.auth.address import address_of
from moorage.config import Config
from moorage.errors import NotPermitted, Unauthorized
from moorage.web.request import Request

# containerd and docker show a person the error of the challenge, where they show nothing else.
_MOST = 120
# Where people ask rather than clients. Not Basic: browsers would ask for a password in a window of
# their own.
PLAIN = 'Bearer realm="Moorage"'
_UNSPEAKABLE = re.compile(r"[^ !#-\[\]-~]", re.ASCII)


def challenge(config: Config, request: Request, refused: Unauthorized | NotPermitted) -> None:
    """Give the refusal the challenge that its client can answer, or show."""
    address = address_of(config, request)
    said = f'Bearer realm="{address.realm}",service="{address.service}"'
    if refused.scope:
        said += f',scope="{_plain(refused.scope)}"'
    error = refused.error if isinstance(refused, Unauthorized) else refused.message
    if error:
        said += f',error="{_plain(error)[:_MOST]}"'
    refused.headers = {**refused.headers, "WWW-Authenticate": said}


def _plain(text: str) -> str:
    return _UNSPEAKABLE.sub("?", text)
