"""text-generation: how a text, or a conversation, goes on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from ..errors import InputError, InvalidArgument, PanpipeError, TooLong
from ..generation import GenerationConfig, Job, Runner
from ..tokenization.stream import TextStream
from .arguments import tokenizer_arguments
from .base import Encoded, Parameters
from .chats import Chat, answered, checked_chat, is_chat, is_prefilled
from .generating import GENERATION_ARGUMENTS, GeneratingPipeline, Writing, kept_of, most_new
from .inputs import shown
from .items import Item, Outputs
from .lengths import encode_within
from .parameters import given
from .streams import Pieces

__all__ = ["TextGenerationPipeline"]

_TYPES = ("tensors", "new_text", "full_text")


@dataclass(eq=False)
class Beginning(Writing):
    """What is to be continued.   prompt: the text or conversation.   ids: its tokens, as they are read."""

    prompt: str | Chat = ""
    ids: Sequence[int] = ()


class TextGenerationPipeline(GeneratingPipeline):
    """Texts that go on.

    Inputs: a string; a conversation, which is a list of messages {"role", "content"}; a list or stream of these.
    The answer for a text: [{"generated_text"}], one for each of num_return_sequences; for a conversation, the text is
    the list of its messages and the new one. It is sampled: do_sample=False gives the likeliest.
    return_full_text: False for the new text alone.
    return_tensors: True for the ids ("generated_token_ids") as a list, the prompt's among them.
    clean_up_tokenization_spaces: False keeps the spaces before English punctuation.
    skip_special_tokens: False shows them.
    prefix: read before every text, and not shown.
    handle_long_generation: "hole" leaves out the beginning of a prompt that has no room for the new tokens.
    stop_sequence: a string that ends the text, and stays in it; or several.
    continue_final_message: go on with the last message of a conversation; as a rule, if it is the assistant's.
    stream: True for the new text of one prompt piece by piece, as it is decided.   streamer: its `put` gets the tokens.
    seed: what sampling begins with, for every prompt alike.   return_seed: add the one that was used, as "seed".
    tokenizer_encode_kwargs: parameters of the tokenizer, or of its chat template.
    tools: functions, or their descriptions, for the chat template.   documents: likewise.
    Other parameters are those of generation: max_new_tokens, temperature, top_p …
    long_text="truncate": what handle_long_generation="hole" does, with half of the positions for the prompt at least.
    """

    task_name: ClassVar[str] = "text-generation"
    head: ClassVar[str | None] = "causal-lm"
    expects: ClassVar[str] = 'a string, or a conversation [{"role": …, "content": …}, …]'
    class_defaults: ClassVar[Mapping[str, Any]] = {"max_new_tokens": 256, "do_sample": True, "temperature": 0.7}
    input_names: ClassVar[tuple[str, ...]] = ("text_inputs", "inputs")
    open_names: ClassVar[tuple[str, ...]] = (*GENERATION_ARGUMENTS, "padding")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The answer for one prompt; a list of answers for a list; an iterator for a stream of prompts, or stream=True.

        With stream=True the iterator is over the pieces of one text: see `streams.Pieces`.
        """
        inputs = self.taken(args, kwargs)
        stream = kwargs.get("stream")
        if self._defaults.forward.get("stream", False) if stream is None else stream:
            return self.pieces(inputs, self._parameters(kwargs))
        return super().__call__(inputs, **kwargs)

    # -- parameters --------------------------------------------------------------------------------------------------

    def _sanitize_parameters(
        self,
        return_full_text: bool | None = None,
        return_tensors: bool | None = None,
        return_text: bool | None = None,
        return_type: Any = None,
        clean_up_tokenization_spaces: bool | None = None,
        prefix: str | None = None,
        handle_long_generation: str | None = None,
        stop_sequence: str | Sequence[str] | None = None,
        max_length: int | None = None,
        continue_final_message: bool | None = None,
        skip_special_tokens: bool | None = None,
        add_special_tokens: bool | None = None,
        tokenizer_encode_kwargs: Mapping[str, Any] | None = None,
        tools: Sequence[Any] | None = None,
        documents: Sequence[Any] | None = None,
        stream: bool | None = None,
        seed: int | None = None,
        return_seed: bool | None = None,
        **generate_kwargs: Any,
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        if handle_long_generation not in (None, "hole"):
            raise InvalidArgument(
                f"{handle_long_generation!r} is not a valid value for `handle_long_generation`: give 'hole' or None."
            )
        generate_kwargs.pop("padding", None)  # nothing is padded
        preprocess = {
            "prefix": prefix,
            "handle_long_generation": handle_long_generation,
            "continue_final_message": continue_final_message,
            "add_special_tokens": add_special_tokens,
            "tokenizer_encode_kwargs": tokenizer_encode_kwargs,
            "tools": tools,
            "documents": documents,
            "max_length": max_length,  # of the prompt too, where it is truncated
        }
        postprocess = {
            "return_type": _return_type(return_full_text, return_tensors, return_text, return_type),
            "clean_up_tokenization_spaces": clean_up_tokenization_spaces,
            "continue_final_message": continue_final_message,
            "skip_special_tokens": skip_special_tokens,
            "return_seed": return_seed,
        }
        forward = self.asked(generate_kwargs, stop_sequence, max_length=max_length, seed=seed, stream=stream)
        return given(preprocess), forward, given(postprocess)

    def _parameters(self, given: Mapping[str, Any]) -> Parameters:
        """As of every pipeline that generates; a prefix does not count in max_length and min_length."""
        parameters = super()._parameters(given)
        if parameters.preprocess.get("long_text") == "window":
            raise InvalidArgument(
                'long_text="window": windows of a text have no common end to go on from. long_text="truncate" goes on '
                "from its end."
            )
        prefix = parameters.preprocess.get("prefix", self.prefix or "")
        config: GenerationConfig = parameters.forward["config"]
        length = len(self.tokenizer.encode_batch([prefix], add_special_tokens=False)[0]) if prefix else 0
        if length and config.max_new_tokens is None and config.max_length is not None:
            config = config.update(max_length=config.max_length + length)
        if length and config.min_length and config.min_new_tokens is None:
            config = config.update(min_length=config.min_length + length)
        return replace(
            parameters,
            preprocess={**parameters.preprocess, "prefix": prefix, "config": config},
            forward={**parameters.forward, "config": config},
        )

    # -- in ----------------------------------------------------------------------------------------------------------

    def is_single(self, inputs: Any) -> bool:
        """A string, or a conversation."""
        return super().is_single(inputs) or is_chat(inputs)

    def check(self, value: Any, parameters: Mapping[str, Any]) -> Any:
        """A string, or the messages of a conversation.   Raises InputError."""
        return checked_chat(value) if is_chat(value) else super().check(value, parameters)

    def encode(self, inputs: list[Any], *_: Any, **parameters: Any) -> list[Encoded]:
        """The item of each prompt."""
        texts = [value for value in inputs if isinstance(value, str)]
        of_texts = iter(self._ids_of_texts(texts, parameters) if texts else [])
        encoded: list[Encoded] = []
        for value in inputs:
            try:
                ids = next(of_texts) if isinstance(value, str) else self._ids_of_chat(value, parameters)
                if isinstance(ids, PanpipeError):
                    raise ids
                encoded.append([self._beginning(value, ids, parameters)])
            except PanpipeError as error:  # noqa: PERF203 (each prompt has an error of its own)
                encoded.append(error)
        return encoded

    def _ids_of_texts(self, texts: list[str], parameters: Mapping[str, Any]) -> list[Any]:
        options = given({name: parameters.get(name) for name in ("truncation", "add_special_tokens")})
        options |= tokenizer_arguments(parameters.get("tokenizer_encode_kwargs") or {}, self)
        if "truncation" in options:
            options = given({"max_length": parameters.get("max_length")}) | options
        limit = self.max_length if "truncation" in options else None
        prefixed = [parameters.get("prefix", "") + text for text in texts]
        encoded = encode_within(self.tokenizer, prefixed, None, limit, **options)
        return [e if isinstance(e, PanpipeError) else e[0].ids for e in encoded]

    def _ids_of_chat(self, chat: Chat, parameters: Mapping[str, Any]) -> Any:
        prefilled = is_prefilled(chat, parameters.get("continue_final_message"))
        options = given({name: parameters.get(name) for name in ("truncation", "tools", "documents")})
        options |= parameters.get("tokenizer_encode_kwargs") or {}
        return self.tokenizer.apply_chat_template(
            chat, add_generation_prompt=not prefilled, continue_final_message=prefilled, **options
        )

    def _beginning(self, prompt: str | Chat, ids: Sequence[int], parameters: Mapping[str, Any]) -> Item:
        """The item of a prompt, its beginning left out where that was asked for.   Raises InputError, TooLong."""
        config: GenerationConfig = parameters["config"]
        first = [] if config.bos_token_id is None else [config.bos_token_id]
        if not ids and not first:
            raise InputError("the text has no tokens, and the model no token to begin with: give it a text.")
        if parameters.get("handle_long_generation") == "hole":
            ids = self._without_beginning(ids, config, self.max_length)
        elif parameters.get("long_text") == "truncate" and self.max_length is not None:
            most = min(self._wanted(ids, config), self.max_length // 2)
            ids = ids[-(self.max_length - most) :]
        limit = self.model.max_length
        if limit is not None and len(ids) > limit:
            raise TooLong(
                f"{shown(_last_text(prompt))} has {len(ids)} tokens to be read before the first new one, and the model "
                f'takes at most {limit}. Shorten it, or give long_text="truncate" to leave out its beginning.'
            )
        if config.max_new_tokens is None and config.max_length is not None and config.max_length <= len(ids):
            raise InvalidArgument(
                f"max_length={config.max_length} counts the prompt, which has {len(ids)} tokens: nothing could be "
                "made. Give a larger max_length, or max_new_tokens."
            )
        return Item(ids or first, extra=Beginning(prompt=prompt, ids=ids))

    def _wanted(self, ids: Sequence[int], config: GenerationConfig) -> int:
        """The new tokens that were asked for."""
        return config.max_new_tokens if config.max_new_tokens is not None else most_new(config) - len(ids)

    def _without_beginning(self, ids: Sequence[int], config: GenerationConfig, limit: int | None) -> Sequence[int]:
        """The prompt's end, so long that the new tokens have room."""
        wanted = self._wanted(ids, config)
        if wanted < 0:
            raise InvalidArgument("We cannot infer how many new tokens are expected: give max_new_tokens.")
        if limit is None or len(ids) + wanted <= limit:
            return ids
        if wanted >= limit:
            raise InvalidArgument(
                f"We cannot use `hole` to handle this generation: {wanted} new tokens leave nothing of the model's "
                f"{limit} to the prompt. Give a smaller max_new_tokens."
            )
        return ids[len(ids) - (limit - wanted) :]

    # -- out ---------------------------------------------------------------------------------------------------------

    def postprocess(
        self,
        outputs: Outputs,
        *,
        return_type: str = "full_text",
        clean_up_tokenization_spaces: bool = True,
        continue_final_message: bool | None = None,
        skip_special_tokens: bool = True,
        return_seed: bool = False,
        **_: Any,
    ) -> list[dict[str, Any]]:
        """One dictionary for each text that was asked for."""
        (item,) = outputs.items
        job, beginning = item.extra.job, item.extra
        decoding = {
            "skip_special_tokens": skip_special_tokens,
            "clean_up_tokenization_spaces": clean_up_tokenization_spaces,
        }
        hidden = len(self.tokenizer.decode(beginning.ids, **decoding)) if beginning.ids else 0
        answers = []
        for place, result in enumerate(job.results):
            ids = [*item.token_ids, *result.tokens]
            if return_type == "tensors":
                answer: dict[str, Any] = {"generated_token_ids": ids}
            else:
                text = self.tokenizer.decode(ids, **decoding)[hidden:]
                if return_type == "full_text":
                    text = _full(beginning.prompt, text, continue_final_message)
                answer = {"generated_text": text}
            answers.append(answer | kept_of(job, place) | ({"seed": job.seed} if return_seed else {}))
        return answers

    # -- piece by piece ----------------------------------------------------------------------------------------------

    @property
    def shows_prompts(self) -> bool:
        """Whether answers begin with the prompt, where a call says nothing else."""
        return bool(self._defaults.postprocess.get("return_type", "full_text") == "full_text")

    def pieces(self, inputs: Any, parameters: Parameters) -> Pieces:
        """The text of one prompt as it is made."""
        if not self.is_single(inputs):
            raise InvalidArgument("stream=True gives the text of one prompt: give one string, or one conversation.")
        self.call_count += 1
        (outputs,) = self._encode_window([inputs], parameters.preprocess)
        if isinstance(outputs, PanpipeError):
            raise outputs
        (item,) = outputs.items
        made: list[int] = []
        runner = Runner(self.model, tokenizer=self.tokenizer)
        job = runner.add(self.prompt([item], on_tokens=made.extend, **parameters.forward))
        self.say_seeds([job])
        item.extra.job = job
        pieces = self._written(runner, job, item, made, parameters.postprocess)
        return Pieces(pieces, job, lambda job: self.postprocess(outputs, **parameters.postprocess))

    def _written(
        self, runner: Runner, job: Job, item: Item, made: list[int], parameters: Mapping[str, Any]
    ) -> Iterator[str]:
        """The text after that of the prompt. The prompt is decoded too: spaces depend on what is before."""
        skip = parameters.get("skip_special_tokens", True)
        clean_up = parameters.get("clean_up_tokenization_spaces", True)
        text = TextStream(self.tokenizer, skip_special_tokens=skip, clean_up_tokenization_spaces=clean_up)
        decoding = {"skip_special_tokens": skip, "clean_up_tokenization_spaces": clean_up}
        hidden = len(self.tokenizer.decode(item.extra.ids, **decoding)) if item.extra.ids else 0
        pending = text.put(item.token_ids)
        try:
            while not job.is_done:
                runner.step()
                pending += text.put(made)
                made.clear()
                piece, hidden, pending = pending[hidden:], max(0, hidden - len(pending)), ""
                if piece:
                    yield piece
        finally:
            runner.cancel_all()
        piece = (pending + text.end())[hidden:]
        _ = job.results  # raises its error
        if piece:
            yield piece


def _full(prompt: str | Chat, text: str, continue_final_message: bool | None) -> Any:
    if isinstance(prompt, str):
        return prompt + text
    return answered(prompt, text, is_prefilled(prompt, continue_final_message))


def _last_text(prompt: str | Chat) -> str:
    return prompt if isinstance(prompt, str) else str(prompt[-1]["content"])


def _return_type(full_text: Any, tensors: Any, text: Any, given: Any) -> str | None:
    """One of "tensors", "new_text" and "full_text".   Raises InvalidArgument for wishes that exclude each other."""
    if given is not None:
        name = str(getattr(given, "name", given)).lower()
        if name not in _TYPES:
            raise InvalidArgument(f"return_type={given!r} is not a choice. Choices: {', '.join(_TYPES)}.")
        return name
    wishes = {"return_full_text": full_text, "return_tensors": tensors, "return_text": text}
    wished = [name for name, value in wishes.items() if value is not None]
    if len(wished) > 1:
        raise InvalidArgument(f"`{wished[1]}` is mutually exclusive with `{wished[0]}`: give one of them.")
    if tensors is not None:
        return "tensors" if tensors else "full_text"
    return None if full_text is None else ("full_text" if full_text else "new_text")
