"""Freed memory stays with the process while it trains."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import numpy as np
from panpipe.training.memory import keep_freed_memory

print(keep_freed_memory() if sys.argv[1] == "keep" else None)

def step():
    return sum(np.ones(4_000_000)[0] for _ in range(4))

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
    assert int(faults) < 1000 < int(ran("")[1])  # 32 MB four times are 31,000 pages


def test_the_users_own_settings_stay() -> None:
    assert ran("keep", MALLOC_ARENA_MAX="2")[0] == "False"
