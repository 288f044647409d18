"""What a server does before it serves, in a process of its own that ends with it.

Migrations need libraries and connections that nobody needs later. Done in the supervisor they would
leave 9 MB and a torn heap to every process that is forked from it.
"""

import os
import pwd
import signal
import sys
from contextlib import ExitStack

import msgspec

from moorage.app import (
    import_drivers,
    make_setup_link,
    prepare,
    put_administrator,
    restored_at,
)
from moorage.auth.secrets import Secrets
from moorage.cli.process import end_with
from moorage.config import Config
from moorage.errors import Refused
from moorage.registry.links import NewLink


class Prepared(msgspec.Struct, frozen=True):
    """What is to be known before the first process is forked.

    `link` is for the first account, None once there is or has been one; `restored_at` is when the
    database was last restored, None where that can't happen to a server that runs.
    """

    secrets: Secrets
    link: NewLink | None
    restored_at: int | None


def prepare_apart(config: Config, held: ExitStack) -> Prepared:
    """Bring directory, schema and administrator up to what the settings say, in another process.

    The other one tells what went wrong as this one would, by going on with the exception; this one
    then ends with its exit code. What this one's children need of libraries is imported in it, and
    it alone lets go what is `held`.

    Raises:
        KeyboardInterrupt: the terminal has interrupted the other one.
        Refused: in the other process, as `app.prepare` and `app.put_administrator`; in this one if
            a driver is not installed or the other was killed.
        SystemExit: the other process has told what went wrong.
    """
    import_drivers(config)
    supervisor = os.getpid()
    source, sink = os.pipe()
    pid = os.fork()
    if not pid:
        held.pop_all()
        os.close(source)
        end_with(supervisor)
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # the terminal's reaches the supervisor too
        _send(sink, _prepare(config))
        os._exit(0)
    os.close(sink)
    with os.fdopen(source, "rb") as file:
        told = file.read()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code == -signal.SIGINT:  # the terminal's, which may reach this process a moment later
        raise KeyboardInterrupt
    if code < 0:
        raise Refused(
            "The data could not be prepared.",
            why=f"The process that does it was ended by signal {-code}.",
            do="See whether the machine has run out of memory, and start again.",
        )
    if code:
        sys.exit(code)
    return msgspec.msgpack.decode(told, type=Prepared)


def _prepare(config: Config) -> Prepared:
    secrets = prepare(config)
    put_administrator(config)
    return Prepared(secrets, make_setup_link(config, _own_name()), restored_at(config))


def _own_name() -> str:
    """Return what the person is called who starts the server at a terminal; empty for a service.

    A service runs as `moorage`, `nobody` or a number: names of nobody who signs in.
    """
    if not sys.stderr.isatty() or os.geteuid() == 0:
        return ""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # as in a container that runs as a number of its own
        return ""


def _send(sink: int, prepared: Prepared) -> None:
    with os.fdopen(sink, "wb") as file:
        file.write(msgspec.msgpack.encode(prepared))
