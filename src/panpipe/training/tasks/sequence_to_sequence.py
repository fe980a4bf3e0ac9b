"""summarization, translation and text2text-generation: a text for a text, by models with an encoder and a decoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from ... import metrics
from ...errors import InvalidArgument, MissingDependency, MissingKey
from ...pipelines.language_names import key_of
from ...pipelines.languages import Direction, languages_of
from ...pipelines.scripts import is_hangul, is_unspaced
from ..collators import DataCollatorForSeq2Seq
from .base import Feature, Row, TrainingTask
from .columns import Role, is_text

__all__ = ["Summarization", "Text2TextGeneration", "Translation"]


@dataclass
class Text2TextGeneration(TrainingTask):
    """A text for a text.

    prefix: what the model reads before each text; default what its config says for the task.
    max_source_length, max_target_length: tokens that both are cut to.
    """

    name: ClassVar[str] = "text2text-generation"
    head: ClassVar[str] = "seq2seq-lm"
    best: ClassVar[tuple[str, bool]] = ("rougeL", True)
    writes: ClassVar[bool] = True
    roles: ClassVar[tuple[Role, ...]] = (
        Role("source", "what the model reads", ("source", "input", "inputs", "text", "question", "src"), is_text),
        Role("target", "what it is to write", ("target", "output", "outputs", "answer", "response", "tgt"), is_text),
    )

    prefix: str | None = None
    max_source_length: int = 512
    max_target_length: int = 128

    def encode(self, rows: Sequence[Row]) -> list[list[Feature]]:
        """One feature for each row."""
        pairs = [self.pair(row) for row in rows]
        languages = self._languages()
        limit = self.length(self.max_source_length)
        ids, _ = self.tokenizer.encode_ids(
            [self._prefix() + source for source, _ in pairs],
            truncation="longest_first",
            max_length=limit,
            src_lang=languages.source,
        )
        of_decoder = self.model.options.decoder.max_length
        targets, _ = self.tokenizer.encode_ids(
            [target for _, target in pairs],
            truncation="longest_first",
            max_length=min(self.max_target_length, of_decoder or self.max_target_length),
            as_target=True,
            tgt_lang=languages.target,
        )
        return [[{"input_ids": source, "labels": target}] for source, target in zip(ids, targets, strict=True)]

    def pair(self, row: Row) -> tuple[str, str]:
        """What is read, and what is to be written."""
        return self.value(row, "source"), self.value(row, "target")

    def _prefix(self) -> str:
        if self.prefix is not None:
            return self.prefix
        said = (getattr(self.model.config, "task_specific_params", None) or {}).get(self.in_config())
        prefix = said.get("prefix") if isinstance(said, Mapping) else None
        return prefix or getattr(self.model.config, "prefix", None) or ""

    def in_config(self) -> str:
        """What the task is called in a config's task_specific_params."""
        return self.name

    def _languages(self) -> Direction:
        return Direction()

    @property
    def collator(self) -> DataCollatorForSeq2Seq:
        """Of sources and targets."""
        return DataCollatorForSeq2Seq(self.tokenizer, self.model)

    # -- scores ------------------------------------------------------------------------------------------------------

    def output(self, predictions: Any, place: int, feature: Feature) -> Any:
        """The text of the ids that were written; -100 is padding."""
        ids = np.asarray(predictions[place])
        return self.tokenizer.decode(ids[ids >= 0].tolist(), skip_special_tokens=True).strip()

    def score(
        self, rows: Sequence[Row], features: Sequence[Sequence[Feature]], outputs: Sequence[Any]
    ) -> dict[str, Any]:
        """ROUGE in per cent; of Korean, Chinese and Japanese by characters."""
        truths = [self.pair(row)[1] for row in rows]
        found = metrics.rouge(
            [text for (text,) in outputs], truths, tokenizer="characters" if _by_characters(truths) else "words"
        )
        return {name: 100 * float(value) for name, value in found.items()}

    def arguments(self) -> dict[str, Any]:
        """Evaluation writes texts."""
        return {
            **super().arguments(),
            "predict_with_generate": True,
            "generation_max_length": self.max_target_length,
            "generation_num_beams": 1,
        }

    def generation(self) -> dict[str, Any]:
        """What is said to a pipeline that evaluates the model."""
        return {"max_new_tokens": self.max_target_length, "truncation": True}


@dataclass
class Summarization(Text2TextGeneration):
    """The summary of a text."""

    __doc__ = "The summary of a text.\n" + str(Text2TextGeneration.__doc__).partition("\n")[2]

    name: ClassVar[str] = "summarization"
    roles: ClassVar[tuple[Role, ...]] = (
        Role("source", "a text", ("text", "document", "article", "dialogue", "body", "content", "본문"), is_text),
        Role("target", "its summary", ("summary", "highlights", "abstract", "headline", "title", "요약"), is_text),
    )


@dataclass
class Translation(Text2TextGeneration):
    """A text in another language: two columns, or one of {"en": …, "fr": …}.

    src_lang, tgt_lang: the languages, for a model of several, and for a column that holds more than two.
    prefix: what the model reads before each text; default what its config says for the task.
    max_source_length, max_target_length: tokens that both are cut to.
    """

    name: ClassVar[str] = "translation"
    best: ClassVar[tuple[str, bool]] = ("bleu", True)
    roles: ClassVar[tuple[Role, ...]] = (
        Role("source", "a text", ("src", "source_text", "source_sentence", "source"), is_text, is_needed=False),
        Role(
            "target", "its translation", ("tgt", "target_text", "target_sentence", "target"), is_text, is_needed=False
        ),
        Role(
            "translation",
            "the texts by language",
            ("translation",),
            lambda value: isinstance(value, Mapping) and len(value) > 1,
            is_needed=False,
            by_values=False,
        ),
    )

    src_lang: str | None = None
    tgt_lang: str | None = None
    keys: tuple[str, str] | None = field(init=False, default=None)

    def read(self, rows: Any, columns: Mapping[str, str] | None = None) -> None:
        """Find the columns; those with the names of the languages are the texts in them."""
        names = set(rows.column_names)
        named = {"source": self.src_lang, "target": self.tgt_lang}
        super().read(rows, {role: n for role, n in named.items() if n is not None and n in names} | dict(columns or {}))

    def check_columns(self, rows: Any) -> None:
        """Two columns, or one with both texts."""
        if "translation" in self.columns:
            self.keys = self._keys(next(iter(rows))[self.columns["translation"]])
            self.columns = {"translation": self.columns["translation"]}
        elif not {"source", "target"} <= set(self.columns):
            raise MissingKey(
                f"the data have the columns {', '.join(rows.column_names)}; translation needs source and target (such "
                "as src and tgt), or one column 'translation' of {'en': …, 'fr': …}. Say which: "
                "columns={'source': …, 'target': …} (--columns source=…,target=…), or src_lang and tgt_lang."
            )

    def _keys(self, value: Mapping[str, Any]) -> tuple[str, str]:
        by_key = {key_of(name) or name: name for name in value}
        found = []
        for language in (self.src_lang, self.tgt_lang):
            key = None if language is None else (language if language in value else by_key.get(key_of(language) or ""))
            if language is not None and key is None:
                raise InvalidArgument(f"the translations have {', '.join(value)}, not {language!r}.")
            found.append(key)
        if len(value) > 2 and None in found:
            raise InvalidArgument(f"the translations have {', '.join(value)}: give src_lang and tgt_lang.")
        free = [name for name in value if name not in found]
        keys = [key if key is not None else free.pop(0) for key in found]
        return str(keys[0]), str(keys[1])

    def pair(self, row: Row) -> tuple[str, str]:
        """What is read, and what is to be written."""
        if self.keys is None:
            return super().pair(row)
        texts = self.value(row, "translation")
        return str(texts[self.keys[0]]), str(texts[self.keys[1]])

    def _languages(self) -> Direction:
        """The model's own codes, or the mark before a text; of a model of two languages nothing."""
        source, target = self._named()
        languages = languages_of(self.model, self.tokenizer)
        if not languages.codes and not languages.marks:
            return Direction()
        return languages.direction(source, target, check=False)

    def _named(self) -> tuple[str | None, str | None]:
        keys = self.keys or (None, None)
        return self.src_lang or keys[0], self.tgt_lang or keys[1]

    def _prefix(self) -> str:
        return self._languages().mark if self.prefix is None and self._languages().mark else super()._prefix()

    def in_config(self) -> str:
        """T5's configs name both languages."""
        source, target = (None if name is None else key_of(name) for name in self._named())
        names = getattr(self.model.config, "task_specific_params", None) or {}
        if source and target:
            for name in names:
                parts = name.split("_")
                if len(parts) == 4 and (key_of(parts[1]), key_of(parts[3])) == (source, target):
                    return str(name)
        return self.name

    def generation(self) -> dict[str, Any]:
        """What is said to a pipeline that evaluates the model."""
        source, target = self._named()
        named = {"src_lang": source, "tgt_lang": target} if source and target else {}
        return {"max_new_tokens": self.max_target_length, **named}

    def score(
        self, rows: Sequence[Row], features: Sequence[Sequence[Feature]], outputs: Sequence[Any]
    ) -> dict[str, Any]:
        """BLEU and chrF of sacrebleu; without it an error that says how to install it."""
        truths = [[self.pair(row)[1]] for row in rows]
        texts = [text for (text,) in outputs]
        tokenize = "char" if _by_characters([truth for (truth,) in truths]) else None
        bleu = metrics.bleu(texts, truths, tokenize=tokenize)
        return {
            "bleu": bleu["score"],
            "chrf": metrics.chrf(texts, truths)["score"],
            "bleu_signature": bleu.get("signature"),
        }

    def arguments(self) -> dict[str, Any]:
        """Evaluation writes texts, in the language they are to be in."""
        target = self._languages().target
        if target is None:
            return super().arguments()
        forced = self.tokenizer.get_lang_id(target)
        return super().arguments() | {"generation_config": {"forced_bos_token_id": forced}}

    def take(self, model: Any, tokenizer: Any) -> None:
        """Without sacrebleu it cannot be scored."""
        super().take(model, tokenizer)
        try:
            import sacrebleu  # noqa: F401
        except ImportError as error:
            raise MissingDependency('translations are scored by sacrebleu: pip install "panpipe[metrics]".') from error
        self._languages()


def _by_characters(texts: Sequence[str]) -> bool:
    """Are most in a script whose words are not what stands between spaces, or carry particles?"""
    some = texts[:500]
    return 2 * sum(any(is_hangul(c) or is_unspaced(c) for c in text) for text in some) > len(some)
