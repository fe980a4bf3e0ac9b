"""The pipelines that write texts give what transformers 4.57.6 gave."""

from __future__ import annotations

import builtins
from typing import Any

import pytest
import written

pytestmark = pytest.mark.filterwarnings("ignore:.translation. task was used:UserWarning")


@pytest.mark.parametrize("row", written.cases("text-generation", "text2text", "summarization", "translation"))
def test_answers_are_those_of_transformers(row: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    if "error" in row:
        with pytest.raises(getattr(builtins, row["error"])):
            written.ask(row)
        return
    assert written.ask(row) == row["output"]
    if "max_new_tokens" not in {
        **row["make"],
        **row["options"],
    }:  # transformers compares with a max_length all the same
        ours = [record.getMessage() for record in caplog.records if record.getMessage().startswith("Your ")]
        assert [line[:40] for line in ours] == [line[:40] for line in row["said"]][: len(ours)]
        assert bool(ours) == bool(row["said"])
