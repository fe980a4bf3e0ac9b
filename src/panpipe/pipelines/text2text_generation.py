"""text2text-generation: a text for a text, by a model that reads one and writes the other."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from ..errors import InvalidArgument, PanpipeError, TooLong
from ..generation import GenerationConfig
from .base import Encoded, Parameters
from .documents import packed, parts_within
from .generating import GENERATION_ARGUMENTS, GeneratingPipeline, Writing, as_tensor, checked_tensors, kept_of
from .items import Item, Outputs
from .lengths import encode_within, too_long
from .parameters import given
from .sentences import Sentence, joined

__all__ = ["Document", "Part", "Text2TextGenerationPipeline"]

_log = logging.getLogger("panpipe")


@dataclass(eq=False)
class Document:
    """An input as the items that it is run in.

    before: the white space before the first.   spaced: whether there are spaces between the parts of the answer; None:
    where there were in the input.   pivot: the input, where it is itself a translation.
    """

    before: str = ""
    items: list[Item] = field(default_factory=list)
    spaced: bool | None = None
    pivot: str | None = None


@dataclass(eq=False)
class Part(Writing):
    """A part of an input, or the whole of it.   after: the white space behind it."""

    document: Document = field(default_factory=Document)
    after: str = ""


class Text2TextGenerationPipeline(GeneratingPipeline):
    """Texts made of texts.

    Inputs: a string, or a list or stream of strings.
    The answer for a text: [{"generated_text"}], one for each of num_return_sequences. A list of texts has its
    dictionaries in one list where each text has one.
    return_tensors: True or "np" for the token ids ("generated_token_ids") as a NumPy array; "pt" for a PyTorch tensor.
    clean_up_tokenization_spaces: take out the spaces before English punctuation.
    stop_sequence: a string that ends the text, and stays in it; or several.
    seed: what sampling begins with, for every text alike.   return_seed: add the one that was used, as "seed".
    Other parameters are those of generation: max_new_tokens, num_beams, do_sample …
    long_text="window": a text over the model's length is run in parts, whose answers are put together.
    """

    task_name: ClassVar[str] = "text2text-generation"
    head: ClassVar[str | None] = "seq2seq-lm"
    class_defaults: ClassVar[Mapping[str, Any]] = {"max_new_tokens": 256, "num_beams": 4}
    input_names: ClassVar[tuple[str, ...]] = ("inputs", "text")
    open_names: ClassVar[tuple[str, ...]] = GENERATION_ARGUMENTS
    return_name: ClassVar[str] = "generated"
    done_in_parts: ClassVar[str] = "run in parts, and the answers put together"

    def _sanitize_parameters(
        self,
        return_tensors: bool | str | None = None,
        return_text: bool | None = None,
        return_type: Any = None,
        clean_up_tokenization_spaces: bool | None = None,
        stop_sequence: str | Sequence[str] | None = None,
        max_length: int | None = None,
        seed: int | None = None,
        return_seed: bool | None = None,
        **generate_kwargs: Any,
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        if return_type is not None:
            return_tensors = _is_of_tensors(return_type)
        postprocess = {
            "return_tensors": checked_tensors(return_tensors),
            "clean_up_tokenization_spaces": clean_up_tokenization_spaces,
            "return_seed": return_seed,
        }
        return {}, self.asked(generate_kwargs, stop_sequence, max_length=max_length, seed=seed), given(postprocess)

    # -- in ----------------------------------------------------------------------------------------------------------

    @property
    def limit(self) -> int | None:
        """The most tokens of a text that is not to be cut: the model's positions, where it has a number of them."""
        return None if self.model.max_length is None else self.max_length

    def _parameters(self, given: Mapping[str, Any]) -> Parameters:
        parameters = super()._parameters(given)
        prefix = self.prefix_of(self.task_of(parameters)) or ""
        return replace(parameters, preprocess={**parameters.preprocess, "prefix": prefix})

    def encode(
        self,
        inputs: list[Any],
        *_: Any,
        config: GenerationConfig | None = None,
        prefix: str = "",
        truncation: bool | str | None = None,
        long_text: str | None = None,
        in_parts: bool = False,
        spaced: bool | None = None,
        **options: Any,
    ) -> list[Encoded]:
        """The item of each text, or those of its parts; the `extra` of each is a Part.

        prefix: what the model reads before each.   in_parts: also the texts that it could read whole.
        spaced: see Document.   options: on to the tokenizer's `encode_batch`.
        """
        long_text = long_text or (self.default_long_text if truncation is None else "error")
        splits = in_parts or long_text == "window"
        wholes = encode_within(
            self.tokenizer,
            [prefix + text for text in inputs],
            None,
            self.limit if truncation is None else self.max_length,
            truncation=truncation,
            long_text="error" if splits else long_text,
            **options,
        )
        encoded: list[Encoded] = []
        for text, whole in zip(inputs, wholes, strict=True):
            if (in_parts and text.strip()) or (splits and isinstance(whole, TooLong)):
                encoded.append(self._in_parts(text, prefix, spaced, options))
            elif isinstance(whole, PanpipeError):
                encoded.append(whole)
            else:
                encoded.append(self._document([Sentence(text)], [whole], spaced))
        self._say(encoded, config, in_parts)
        return encoded

    def parts(self, text: str, room: int) -> list[Sentence]:
        """A text in parts of at most `room` tokens: here chunks of sentences, of about equal length."""
        return packed(*parts_within(text, self._bare, room), room)

    def _bare(self, texts: Sequence[str]) -> list[Any]:
        return self.tokenizer.encode_batch(texts, add_special_tokens=False)  # type: ignore[no-any-return]

    def _in_parts(self, text: str, prefix: str, spaced: bool | None, options: Mapping[str, Any]) -> Encoded:
        """The items of a text's parts; or the error of one of them."""
        limit = self.max_length or 10**9
        room = limit - len(self.tokenizer.encode_batch([prefix], **options)[0])
        encoded: list[Any] = []
        while room > 0:
            sentences = self.parts(text, room)
            texts = [prefix + sentence.text for sentence in sentences if sentence.text]
            encoded = encode_within(self.tokenizer, texts, None, limit, **options)
            if not any(isinstance(e, TooLong) for e in encoded):
                break
            room = room * 3 // 4  # cut in two, a text can have more tokens than it had
        errors = [e for e in encoded if isinstance(e, PanpipeError)]
        if errors or not encoded:
            return errors[0] if errors else too_long(text, limit + 1, limit)
        return self._document(sentences, encoded, spaced)

    def _document(self, sentences: Sequence[Sentence], encoded: Sequence[Any], spaced: bool | None) -> list[Item]:
        """The items of a text.   encoded: for each sentence that is not empty, its only window."""
        document = Document(spaced=spaced)
        if len(sentences) > 1 and not sentences[0].text:
            document.before, sentences = sentences[0].after, sentences[1:]
        for sentence, windows in zip(sentences, encoded, strict=True):
            document.items.append(self.item(windows[0], extra=Part(document=document, after=sentence.after)))
        return document.items

    def _say(self, encoded: Sequence[Encoded], config: GenerationConfig | None, in_parts: bool) -> None:
        """What should be said of the lengths, once for all texts."""
        documents = [e for e in encoded if not isinstance(e, PanpipeError)]
        divided = sum(len(items) > 1 for items in documents)
        if divided and not in_parts:
            _log.warning(
                "%d of %d texts: more than the %s tokens that %s takes at once, so %s.",
                divided,
                len(encoded),
                self.max_length,
                self.model.name_or_path or "the model",
                self.done_in_parts,
            )
        if config is not None:
            self.check_lengths([len(items[0].token_ids) for items in documents if len(items) == 1], config)

    def check_lengths(self, lengths: Sequence[int], config: GenerationConfig) -> None:
        """Called with the tokens of the texts that are run whole, to say what looks mistaken."""

    def jobs(self, outputs: Outputs) -> list[Any]:
        """One for each part."""
        return [item.extra.job for item in outputs[0].extra.document.items]

    # -- out ---------------------------------------------------------------------------------------------------------

    def postprocess(
        self,
        outputs: Outputs,
        *,
        return_tensors: str = "",
        clean_up_tokenization_spaces: bool = False,
        return_seed: bool = False,
        **_: Any,
    ) -> list[dict[str, Any]]:
        """One dictionary for each text that was asked for."""
        document, jobs = outputs[0].extra.document, self.jobs(outputs)
        answers: list[dict[str, Any]] = []
        for place in range(min(len(job.results) for job in jobs)):
            if return_tensors:
                first = self.first_ids(outputs[0], jobs[0].prompt.config)
                ids = [token for job in jobs for token in (*first, *job.results[place].tokens)]
                answer: dict[str, Any] = {f"{self.return_name}_token_ids": as_tensor(ids, return_tensors)}
            else:
                texts = [self.decoded(job.results[place].tokens, clean_up_tokenization_spaces) for job in jobs]
                answer = {f"{self.return_name}_text": self.put_together(document, texts)}
            more = kept_of(jobs[0], place) if len(jobs) == 1 else {}
            answers.append(answer | more | ({"seed": jobs[0].seed} if return_seed else {}))
        return answers

    def decoded(self, tokens: Sequence[int], clean_up: bool = False) -> str:
        """The text of tokens, without the special ones."""
        return self.tokenizer.decode(  # type: ignore[no-any-return]
            tokens, skip_special_tokens=True, clean_up_tokenization_spaces=clean_up
        )

    def first_ids(self, item: Item, config: GenerationConfig) -> list[int]:
        """The token that the decoder begins with."""
        start = config.decoder_start_token_id if config.decoder_start_token_id is not None else config.bos_token_id
        return [] if start is None else [start]

    def put_together(self, document: Document, texts: Sequence[str]) -> str:
        """The answer from those of the parts."""
        afters = [item.extra.after for item in document.items]
        return document.before + joined(list(zip(texts, afters, strict=True)), document.spaced)

    def arrange(self, answers: list[Any], inputs: Any, given: Mapping[str, Any]) -> Any:
        """Of a list of texts with one answer each, the answers without a list around each."""
        if self.is_single(inputs):
            return answers[0]
        lists = [answer for answer in answers if isinstance(answer, list)]
        if all(len(answer) == 1 for answer in lists):
            return [answer[0] if isinstance(answer, list) else answer for answer in answers]
        return answers


def _is_of_tensors(return_type: Any) -> bool:
    """Whether transformers' ReturnType (or its name) is that of token ids.   Raises InvalidArgument."""
    name = str(getattr(return_type, "name", return_type)).upper()
    if name not in ("TENSORS", "TEXT"):
        raise InvalidArgument(f"return_type={return_type!r} is not a choice. Choices: TENSORS, TEXT.")
    return name == "TENSORS"
