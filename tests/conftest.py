"""Property tests draw the same examples in every run: a test that passes here passes in CI."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("seeded", derandomize=True)
settings.load_profile("seeded")
