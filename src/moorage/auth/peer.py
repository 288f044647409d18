"""Which user of this machine is at the other end of a loopback connection (Linux)."""

import ipaddress
import socket
import struct
from pathlib import Path

_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST = 1
_NETLINK_SOCK_DIAG = 4
_NO_COOKIE = 0xFFFFFFFF
_ALL_STATES = 0xFFFFFFFF
_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBBBI2s2s16s16sIII")
# Behind the header: family, state, timer, retransmissions, the 48 bytes of the id, then counters.
_ANSWER = struct.Struct("=BBBB48sIIIII")


def peer_uid(peer: tuple[str, int], own: tuple[str, int]) -> int | None:
    """Return the uid that owns the socket at `peer` connected to `own`, None if nobody does.

    A socket whose process has closed it belongs to nobody: the kernel then reports uid 0, and
    only the missing inode tells that it is not root's.
    """
    try:
        return _by_netlink(peer, own)
    except OSError:  # not allowed in this sandbox
        return _by_proc(peer, own)


def _by_netlink(peer: tuple[str, int], own: tuple[str, int]) -> int | None:
    local, remote = ipaddress.ip_address(peer[0]), ipaddress.ip_address(own[0])
    family = socket.AF_INET6 if local.version == 6 else socket.AF_INET
    request = _REQUEST.pack(
        family,
        socket.IPPROTO_TCP,
        0,
        0,
        _ALL_STATES,
        struct.pack("!H", peer[1]),
        struct.pack("!H", own[1]),
        local.packed.ljust(16, b"\0"),
        remote.packed.ljust(16, b"\0"),
        0,
        _NO_COOKIE,
        _NO_COOKIE,
    )
    length = _HEADER.size + len(request)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as kernel:
        kernel.settimeout(1.0)
        kernel.send(_HEADER.pack(length, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 1, 0) + request)
        answer = kernel.recv(4_096)
    kind = _HEADER.unpack_from(answer)[1]
    if kind != _SOCK_DIAG_BY_FAMILY:
        return None
    *_, uid, inode = _ANSWER.unpack_from(answer, _HEADER.size)
    return uid if inode else None


def _by_proc(peer: tuple[str, int], own: tuple[str, int]) -> int | None:
    version = ipaddress.ip_address(peer[0]).version
    table = Path("/proc/net/tcp6" if version == 6 else "/proc/net/tcp")
    wanted = (_proc_address(peer), _proc_address(own))
    for line in table.read_text().splitlines()[1:]:
        fields = line.split()
        if (fields[1], fields[2]) == wanted:
            return int(fields[7]) if fields[9] != "0" else None
    return None


def _proc_address(address: tuple[str, int]) -> str:
    packed = ipaddress.ip_address(address[0]).packed
    words = struct.unpack(f"={len(packed) // 4}I", packed)
    return "".join(f"{word:08X}" for word in words) + f":{address[1]:04X}"
