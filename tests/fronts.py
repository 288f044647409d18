"""nginx and HAProxy with what `moorage config proxy` prints, as programs of a test.

with proxy("nginx", directory, (server.address,)) as running:
    Registry(running.url).get("/v2/")
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from process import Program, find_tool, free_port

NOBODY = 65534
NGINX = """\
{user}daemon off; pid {root}/pid; error_log stderr warn;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {root}/body; proxy_temp_path {root}/proxy;
    fastcgi_temp_path {root}/f; uwsgi_temp_path {root}/u; scgi_temp_path {root}/s;
    include {root}/moorage.conf;
}}
"""


def printed(program: str, *options: str) -> str:
    """Return what the command prints."""
    command = [sys.executable, "-m", "moorage", "config", "proxy", program, *options]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def proxy(
    program: str,
    root: Path,
    addresses: Sequence[str],
    *,
    port: int | None = None,
    is_nobody: bool = False,
    largest_file: int | None = None,
) -> Program:
    """Return nginx or HAProxy before these addresses, with all its files in `root`.

    As root it works as Debian's user for it, or is nobody altogether. `largest_file` is the size
    beyond which it can write no file.
    """
    port = port or free_port()
    options = [word for address in addresses for word in ("--replica", address)]
    options += ["--bind", f"127.0.0.1:{port}", "--server-name", "registry.example"]
    is_root = os.geteuid() == 0 and not is_nobody
    if program == "nginx":
        (root / "moorage.conf").write_text(printed(program, *options))
        user = "user www-data; " if is_root else ""
        (root / "nginx.conf").write_text(NGINX.format(root=root, user=user))
        words = ["-p", str(root), "-c", str(root / "nginx.conf"), "-e", "stderr"]
    else:
        options += [] if is_root else ["--user", ""]
        (root / "haproxy.cfg").write_text(printed(program, *options))
        words = ["-db", "-f", str(root / "haproxy.cfg")]
    command = [find_tool(program) or program, *words]
    if largest_file is not None:
        command = ["prlimit", f"--fsize={largest_file}", *command]
    if is_nobody:
        for path in (root, *root.iterdir()):
            os.chown(path, NOBODY, NOBODY)
        identity = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        command = ["setpriv", *identity, *command]
    return Program(command, port, root / "output.log")
