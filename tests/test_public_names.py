"""`from panpipe import …`."""

from __future__ import annotations

import subprocess
import sys

import pytest

import panpipe
from panpipe.models import class_names


@pytest.mark.parametrize("name", panpipe.__all__)
def test_every_public_name_is_there_or_says_what_to_install(name: str) -> None:
    try:
        assert getattr(panpipe, name) is not None
    except panpipe.MissingDependency as error:
        assert 'pip install "panpipe[train]"' in str(error)


def test_every_class_of_models_is_public() -> None:
    assert set(class_names()) <= set(panpipe.__all__)


def test_importing_loads_nothing_heavy_and_changes_nothing() -> None:
    program = (
        "import os, sys; before = dict(os.environ); import panpipe; assert dict(os.environ) == before; "
        "heavy = {'tokenizers', 'huggingface_hub', 'torch', 'tqdm'} & set(sys.modules); assert not heavy, heavy; "
        "import panpipe.pipelines, threading; assert threading.active_count() == 1"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
