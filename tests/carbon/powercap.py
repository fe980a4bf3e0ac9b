"""RAPL's folder as Linux shows it, made of files that a test can turn."""

from __future__ import annotations

from pathlib import Path

MAX_UJ = 262_143_328_850


class Powercap:
    """A tree of zones under `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def zone(self, name: str, label: str, microjoules: int) -> Path:
        folder = self.root / name
        folder.mkdir(parents=True)
        (folder / "name").write_text(f"{label}\n")
        (folder / "max_energy_range_uj").write_text(f"{MAX_UJ}\n")
        self.set(name, microjoules)
        return folder

    def set(self, name: str, microjoules: int) -> None:
        (self.root / name / "energy_uj").write_text(f"{microjoules}\n")
