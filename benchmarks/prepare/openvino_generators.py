"""Exports the models that generate to OpenVINO. Runs in the environment `openvino-export` (optimum-intel).

The keys and values are the model's own state, and `beam_idx` says from which row each row goes on.
"""

from __future__ import annotations

from pathlib import Path

from optimum.exporters.openvino import main_export

from benchmarks.models import ModelFiles
from benchmarks.prepare.once import main


def export(files: ModelFiles, folder: Path) -> None:
    """Float32."""
    main_export(
        str(files.checkpoint), str(folder), task=f"{files.task}-with-past", stateful=True, convert_tokenizer=False
    )


if __name__ == "__main__":
    main({"openvino-generator": export})
