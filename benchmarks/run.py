"""panpipe against its peers: `python benchmarks/run.py [--only NAME …] [--quick]`. How and why: docs/benchmarks.md."""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from benchmarks.driver import main

    main()
