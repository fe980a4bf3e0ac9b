"""text-generation, fill-mask and text2text-denoising: models of language, from plain texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ... import metrics
from ...data import Dataset
from ...errors import InvalidArgument
from ..batches import IGNORED
from ..collators import (
    DataCollatorForDenoising,
    DataCollatorForLanguageModeling,
    DataCollatorForSeq2Seq,
    DataCollatorForSpanCorruption,
)
from ..masking import group_texts
from .base import IN_MEMORY, Feature, Row, TrainingTask, kept
from .columns import Role, check_found, is_text

__all__ = ["Denoising", "FillMask", "TextGeneration"]

_TEXT = Role("text", "a text", ("text", "content", "document", "body", "sentence", "본문"), is_text)


@dataclass
class _LanguageModeling(TrainingTask):
    """Texts without labels: the loss is the score."""

    best: ClassVar[tuple[str, bool]] = ("loss", False)
    roles: ClassVar[tuple[Role, ...]] = (_TEXT,)

    block_size: int = 512

    def ids(self, rows: Sequence[Row]) -> list[list[int]]:
        """The tokens of each text, without special ones."""
        return self.tokenizer.encode_ids([self.value(row, "text") for row in rows], add_special_tokens=False)[0]

    def encode(self, rows: Sequence[Row]) -> list[list[Feature]]:
        """The pieces of each text, each between special tokens."""
        size = self.length(self.block_size)
        room = size - self.tokenizer.num_special_tokens_to_add()
        if room < 1:
            raise InvalidArgument(f"block_size is {self.block_size}: it leaves no room beside the special tokens.")
        around = self.tokenizer.build_inputs_with_special_tokens
        return [
            [{"input_ids": around(ids[place : place + room])} for place in range(0, len(ids), room)]
            for ids in self.ids(rows)
        ]

    def score(
        self, rows: Sequence[Row], features: Sequence[Sequence[Feature]], outputs: Sequence[Any]
    ) -> dict[str, Any]:
        """loss (of a token, in nats) and perplexity.   outputs: sums of losses, and how many."""
        total = sum(loss for of_row in outputs for loss, _ in of_row)
        number = sum(count for of_row in outputs for _, count in of_row)
        loss = total / max(1, number)
        return {"loss": loss, "perplexity": metrics.perplexity([loss])}

    def compute_metrics(self, dataset: Any) -> Callable[[Any], dict[str, Any]] | None:
        """None: the loss says it all."""
        return None


@dataclass
class TextGeneration(_LanguageModeling):
    """What comes next in a text; or an answer to a prompt, where the rows have both.

    block_size: tokens of a block; longer texts go on in the next one, shorter ones share one.
    """

    name: ClassVar[str] = "text-generation"
    head: ClassVar[str] = "causal-lm"
    roles: ClassVar[tuple[Role, ...]] = (
        Role("text", _TEXT.about, _TEXT.usual, is_text, is_needed=False),
        Role("prompt", "what the model reads", ("prompt", "instruction"), is_text, is_needed=False, by_values=False),
        Role(
            "completion",
            "what it is to write",
            ("completion", "response", "output"),
            is_text,
            is_needed=False,
            by_values=False,
        ),
    )

    def check_columns(self, rows: Any) -> None:
        """A text, or a prompt and its completion."""
        if {"prompt", "completion"} <= set(self.columns):
            self.columns.pop("text", None)
            return
        self.columns = {role: name for role, name in self.columns.items() if role == "text"}
        check_found([_TEXT], self.columns, rows, self.name)

    @property
    def has_prompts(self) -> bool:
        """Prompts and completions, rather than texts."""
        return "prompt" in self.columns

    def features(self, dataset: Any) -> Dataset:
        """The blocks of all texts; prompts and completions are not cut."""
        if self.has_prompts:
            return super().features(dataset)
        texts = (ids for rows in self.blocks(dataset) for ids in self.ids(rows))
        return kept(lambda: group_texts(texts, self.length(self.block_size)), len(dataset) <= IN_MEMORY // 10)

    def encode(self, rows: Sequence[Row]) -> list[list[Feature]]:
        """The blocks of each text, or each prompt with its completion, of which that alone is learned."""
        limit = self.length(self.block_size)
        if not self.has_prompts:
            return [[dict(block) for block in group_texts([ids], limit)] for ids in self.ids(rows)]
        prompts, _ = self.tokenizer.encode_ids([self.value(row, "prompt") for row in rows])
        answers, _ = self.tokenizer.encode_ids(
            [self.value(row, "completion") for row in rows], add_special_tokens=False
        )
        pairs = [(prompt, self._ended(answer)) for prompt, answer in zip(prompts, answers, strict=True)]
        self.note_cut(sum(len(prompt) + len(answer) > limit for prompt, answer in pairs), len(rows), limit)
        return [
            [{"input_ids": [*prompt, *answer][:limit], "labels": [*[IGNORED] * len(prompt), *answer][:limit]}]
            for prompt, answer in pairs
        ]

    def ids(self, rows: Sequence[Row]) -> list[list[int]]:
        """The tokens of each text and, where the tokenizer has one, the token of its end."""
        return [self._ended(ids) for ids in super().ids(rows)]

    def _ended(self, ids: list[int]) -> list[int]:
        eos = self.tokenizer.eos_token_id
        return ids if eos is None or ids[-1:] == [eos] else [*ids, eos]

    @property
    def collator(self) -> Any:
        """Of blocks, or of rows that have labels."""
        if self.has_prompts:
            return DataCollatorForSeq2Seq(self.tokenizer)
        return DataCollatorForLanguageModeling(self.tokenizer, mlm=False)


@dataclass
class FillMask(_LanguageModeling):
    """Words that are hidden in a text.

    block_size: tokens, special ones included; longer texts are cut in pieces.
    mlm_probability: the share of tokens (or words) that are to be guessed.   whole_word: hide words, not tokens.
    """

    name: ClassVar[str] = "fill-mask"
    head: ClassVar[str] = "masked-lm"

    mlm_probability: float = 0.15
    whole_word: bool = False

    @property
    def collator(self) -> DataCollatorForLanguageModeling:
        """Of blocks, in which tokens are hidden."""
        return DataCollatorForLanguageModeling(
            self.tokenizer, mlm_probability=self.mlm_probability, whole_word_mask=self.whole_word
        )


@dataclass
class Denoising(_LanguageModeling):
    """A text from what was made of it: spans taken out (T5), or hidden, and its sentences in another order (BART).

    block_size: tokens, special ones included; longer texts are cut in pieces.
    noise_density: the share of tokens taken out or hidden; default 0.15 of T5, 0.3 of BART.
    mean_span_length: in tokens.   permute_sentences: put them in another order (BART).
    """

    name: ClassVar[str] = "text2text-denoising"
    head: ClassVar[str] = "seq2seq-lm"

    noise_density: float | None = None
    mean_span_length: float = 3.0
    permute_sentences: bool = True

    @property
    def collator(self) -> Any:
        """T5's way for a tokenizer with <extra_id_0>, else BART's."""
        if "<extra_id_0>" in self.tokenizer.get_vocab():
            return DataCollatorForSpanCorruption(
                self.tokenizer,
                self.model,
                noise_density=self.noise_density or 0.15,
                mean_noise_span_length=self.mean_span_length,
            )
        return DataCollatorForDenoising(
            self.tokenizer,
            self.model,
            mask_ratio=self.noise_density or 0.3,
            poisson_lambda=self.mean_span_length,
            permute_sentences=self.permute_sentences,
        )
