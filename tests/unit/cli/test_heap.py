"""The heap that the server's processes share: what one of them takes makes few pages its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Prints how many kB of its memory a child makes its own by 3,000 small pieces, 300 kB in all.
_CHILD = """
import ctypes, gc, os, sys
import moorage.cli.serve
from moorage.cli import heap

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p

def own():
    with open("/proc/self/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Private_Dirty"))

def take():
    before = own()
    for _ in range(3_000):
        ctypes.memset(libc.malloc(100), 1, 100)
    print(own() - before, flush=True)

heap.settle() if sys.argv[1] == "settled" else (gc.collect(), gc.freeze())
if not os.fork():
    take()
    os._exit(0)
os.wait()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the heap is left alone")
def test_small_pieces_do_not_tear_it() -> None:
    """They go behind its end; left alone they fill holes all over it, a page for each."""
    taken = {
        how: int(subprocess.check_output([sys.executable, "-c", _CHILD, how]))
        for how in ("settled", "left alone")
    }
    assert taken["settled"] < taken["left alone"] / 2, taken
