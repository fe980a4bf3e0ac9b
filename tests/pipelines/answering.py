"""Instead of a model: a function of the text that is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from panpipe.generation import Generated, Job, Prompt


def answer_with(
    monkeypatch: pytest.MonkeyPatch, tokenizer: Any, answer: Callable[[str], str], texts: int = 1
) -> list[str]:
    """Let every pipeline answer so; the list gets what is read, in order.   texts: answers for each, numbered."""
    read: list[str] = []

    def generate_many(model: Any, prompts: Iterable[Prompt], **_: Any) -> Iterator[Job]:
        for prompt in prompts:
            read.append(tokenizer.decode(list(prompt.token_ids), skip_special_tokens=True).strip())
            made = [answer(read[-1])] + [f"{number}{answer(read[-1])}" for number in range(1, texts)]
            job = Job(prompt, 0)
            job.end([Generated(tokenizer(text, add_special_tokens=False)["input_ids"], "eos") for text in made])
            yield job

    monkeypatch.setattr("panpipe.pipelines.generating.generate_many", generate_many)
    return read
