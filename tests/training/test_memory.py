"""Freed memory stays with the process while it trains."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

FAULTS = """
import ctypes, resource, sys
from panpipe.training.memory import keep_freed_memory

print(keep_freed_memory() if sys.argv[1] == "keep" else None)

c = ctypes.CDLL(None)
c.malloc.restype = ctypes.c_void_p
c.free.argtypes = [ctypes.c_void_p]
c.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]

def step():
    for _ in range(4):
        place = c.malloc(64 << 20)
        c.memset(place, 1, 64 << 20)
        c.free(place)

step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def ran(argument: str, **variables: str) -> list[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    command = [sys.executable, "-c", FAULTS, argument]
    return subprocess.run(command, env=kept | variables, capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_freed_memory_is_not_mapped_again() -> None:
    said, faults = ran("keep")
    assert said == "True"
    assert 4 * int(faults) < int(ran("")[1])  # 64 MB four times: 65,000 pages, or 128 huge ones


def test_the_users_own_settings_stay() -> None:
    assert ran("keep", MALLOC_ARENA_MAX="2")[0] == "False"
