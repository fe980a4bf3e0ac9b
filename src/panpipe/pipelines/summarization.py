"""summarization: the short of a text."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from ..errors import PanpipeError
from ..generation import GenerationConfig
from .generating import most_new
from .items import Item
from .sentences import joined
from .text2text_generation import Document, Text2TextGenerationPipeline

__all__ = ["SummarizationPipeline"]

_log = logging.getLogger("panpipe")


class SummarizationPipeline(Text2TextGenerationPipeline):
    """Summaries.

    Inputs: a string, or a list or stream of strings.
    The answer for a text: [{"summary_text"}], one for each of num_return_sequences. A list of texts has its
    dictionaries in one list where each text has one.
    return_tensors: True or "np" for the token ids ("summary_token_ids") as a NumPy array; "pt" for a PyTorch tensor.
    clean_up_tokenization_spaces: take out the spaces before English punctuation.
    stop_sequence: a string that ends a summary, and stays in it; or several.
    seed: what sampling begins with, for every text alike.   return_seed: add the one that was used, as "seed".
    Other parameters are those of generation: max_length, min_length, num_beams …
    long_text="window" (the default): a text over the model's length is read in chunks of whole sentences. Their
    summaries make one; where that is longer than a summary may be, it is summarised again.
    """

    task_name: ClassVar[str] = "summarization"
    default_long_text: ClassVar[str] = "window"
    input_names: ClassVar[tuple[str, ...]] = ("inputs", "text", "documents")
    return_name: ClassVar[str] = "summary"
    done_in_parts: ClassVar[str] = "summarised in chunks, and their summaries put together"

    @property
    def limit(self) -> int | None:
        """The model's positions or the tokenizer's limit, the lesser."""
        return self.max_length

    def check_lengths(self, lengths: Sequence[int], config: GenerationConfig) -> None:
        """Says where a summary could not be shorter than its text, or must be longer than it may."""
        most, least = most_new(config), config.min_new_tokens or config.min_length or 0
        if most < least:
            _log.warning("Your min_length=%d must be inferior than your max_length=%d.", least, most)
        short = [length for length in lengths if length < most]
        if short:
            _log.warning(
                "Your max_length is set to %d, but your input_length is only %d: a summary is meant to be shorter than "
                "its text. You might decrease max_length, for example summarizer('...', max_length=%d).",
                most,
                short[0],
                short[0] // 2,
            )

    def run(self, items: Iterable[Item], batch_size: int | None = None, **parameters: Any) -> None:
        """Summarise all items; then what was read in chunks again, until it is as short as a summary may be."""
        items = list(items)
        super().run(items, batch_size, **parameters)
        documents = list(dict.fromkeys(item.extra.document for item in items if len(item.extra.document.items) > 1))
        while documents:
            documents = [document for document in documents if self._again(document, parameters["config"])]
            super().run([item for document in documents for item in document.items], batch_size, **parameters)
            documents = [document for document in documents if len(document.items) > 1]

    def _again(self, document: Document, config: GenerationConfig) -> bool:
        """Make the summaries of its chunks the document's text, if they are too long for a summary together."""
        jobs = [item.extra.job for item in document.items]
        if any(job.error for job in jobs):
            return False
        text = self.put_together(document, [self.decoded(job.results[0].tokens) for job in jobs])
        (encoded,) = self.encode([text], prefix=self.prefix or "", long_text="window")
        if isinstance(encoded, PanpipeError):
            return False
        before, after = (sum(len(item.token_ids) for item in some) for some in (document.items, encoded))
        if after <= most_new(config):
            return False
        if after >= before:
            _log.warning("the summaries of the chunks are no shorter than the text: they stand as they are.")
            return False
        document.items = encoded
        return True

    def put_together(self, document: Document, texts: Sequence[str]) -> str:
        """The summaries of the chunks, one after the other."""
        spaces = [" " if item.extra.after else "" for item in document.items]
        return joined(list(zip(texts, [*spaces[:-1], ""], strict=True)), None)
