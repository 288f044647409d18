"""Where a PostgreSQL server is: its URL, taken apart, and what every connection to it asks for."""

from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from psycopg import Error, conninfo

from moorage.errors import Refused

# A server that is gone is noticed within seconds, also by a connection that only waits.
_EVERY_CONNECTION = {
    "application_name": "moorage",
    "client_encoding": "utf8",
    "connect_timeout": "3",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}


class Address:
    """A server and a database on it; `str` names both and never shows the password.

    `prepares` is off for a pooler that knows no prepared statements, PgBouncer before 1.21, where
    the URL says `prepare=off`; whatever else stands in its query is libpq's.
    """

    def __init__(self, url: str) -> None:
        """Take the URL apart.

        Raises:
            Refused: it is no such URL.
        """
        place, _, query = url.partition("?")
        options = parse_qsl(query, keep_blank_values=True)
        self.prepares = ("prepare", "off") not in options
        kept = [(key, value) for key, value in options if key != "prepare"]
        try:
            # libpq's own words would show the URL, and the password with it.
            given = conninfo.conninfo_to_dict(f"{place}?{urlencode(kept, quote_via=quote)}")
        except Error:
            raise Refused(
                "The address of the database is not one of PostgreSQL.",
                why="libpq can't read it.",
                do="Write it as postgresql://user:password@host:5432/name.",
                exit_code=2,
            ) from None
        self.options: dict[str, Any] = {**_EVERY_CONNECTION, **given}

    def __str__(self) -> str:
        host = self.options.get("host") or self.options.get("hostaddr") or "the local socket"
        return f"{self.options.get('dbname', 'its default')} at {host}"
