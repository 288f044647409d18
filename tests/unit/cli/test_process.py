"""What a child of the supervisor is told before it begins."""

import os
import subprocess
import sys

import pytest

MIB = 1 << 20
# A part that was freed raises glibc's own bound; what comes after it, with something small that
# stays behind each, can then never be given back.
SCRIPT = """
import os, sys
from moorage.cli import process

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

if sys.argv[1] == "begun":
    process.begin(os.getppid())
before = resident()
part = b"x" * (8 << 20)
del part
parts, small = [], []
for _ in range(8):
    parts.append(b"x" * (8 << 20))
    small.append(b"y" * 100_000)
parts.clear()
print(resident() - before)
"""


def kept(begun: str) -> int:
    told = subprocess.run(
        [sys.executable, "-c", SCRIPT, begun], capture_output=True, text=True, check=True
    )
    return int(told.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="the allocator is glibc's")
def test_the_parts_of_uploads_are_given_back() -> None:
    assert kept("begun") < 8 * MIB < 32 * MIB < kept("not begun")


GIVES_WAY = """
import os, threading
from moorage.cli import process

process.give_way()
policies = []
thread = threading.Thread(
    target=lambda: policies.extend((os.sched_getscheduler(0), len(os.sched_getaffinity(0))))
)
thread.start()
thread.join()
print(os.getpriority(os.PRIO_PROCESS, 0), policies == [os.SCHED_BATCH, 1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks for Linux's scheduling")
def test_jobs_and_their_threads_give_way() -> None:
    told = subprocess.run(
        [sys.executable, "-c", GIVES_WAY], capture_output=True, text=True, check=True
    )
    behind = min(os.getpriority(os.PRIO_PROCESS, 0) + 10, 19)
    assert told.stdout.split() == [str(behind), "True"]
