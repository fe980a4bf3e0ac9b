"""What all pipelines share: parameters, streaming, length, errors, saving.

A pipeline is three steps, and a task writes little more than these:

    check + encode   an input's form, and its items: the token sequences to run (a window of inputs at once)
    infer            what of the model's output each item gets (the items of many inputs at once, laid end to end)
    postprocess      the answer, from one input's items and their outputs

`_sanitize_parameters` sorts a task's parameters to the three steps, as in transformers; its signature is the list of
those that exist. A subclass that overrides `preprocess` or `_forward`, as one would in transformers, is run one
input at a time through preprocess → forward → postprocess.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np

from ..batch import Batch
from ..errors import (
    InputError,
    InvalidArgument,
    MissingHead,
    PanpipeError,
    TokenizerError,
    UnknownArgument,
)
from .inputs import (
    FIRST_WINDOW,
    WINDOW_INPUTS,
    Answers,
    Interrupted,
    KeyDataset,
    KeyPairDataset,
    SizedAnswers,
    collected,
    is_in_memory,
    read_windows,
    shown,
    source_of,
)
from .items import Array, Item, Outputs, groups, to_batch
from .lengths import check_length_arguments, encode_within
from .parameters import LENGTH_ARGUMENTS, OPTIONS, Options, Parameters, check_names, known_names, named_parameters
from .placement import check_device, check_dtype, check_framework
from .tasks import tasks_of_head

if TYPE_CHECKING:
    from .by_language import ByLanguage

__all__ = ["Encoded", "KeyDataset", "KeyPairDataset", "Options", "Parameters", "Pipeline"]

Encoded: TypeAlias = list[Item] | PanpipeError
"""An input's items, or why it has none."""


class Pipeline:
    """The base of all pipelines.

    model: a panpipe model.   tokenizer: a panpipe tokenizer.   Other named arguments: the task's parameters and
    `Options`, as defaults of every call.
    """

    task_name: ClassVar[str] = ""
    head: ClassVar[str | None] = None  # the model's head that the task needs; None: any
    expects: ClassVar[str] = "a string"  # an input, in an error's words
    default_long_text: ClassVar[str] = "error"
    default_strategy: ClassVar[str] = "longest_first"  # what is cut when a text is cut
    open_names: ClassVar[tuple[str, ...]] = ()  # what `_sanitize_parameters` may have in its **kwargs
    named: ClassVar[tuple[str, ...]] = ()  # the parameters that `_sanitize_parameters` has by name …
    known_names: ClassVar[frozenset[str] | None] = None  # … and all that there are; None: any
    _one_by_one: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.named, cls.known_names = named_parameters(cls), known_names(cls)
        if "preprocess" in vars(cls) or "_forward" in vars(cls):
            cls._one_by_one = True

    def __init__(
        self,
        model: Any,
        tokenizer: Any = None,
        feature_extractor: Any = None,
        image_processor: Any = None,
        processor: Any = None,
        modelcard: Any = None,
        framework: str | None = None,
        task: str = "",
        device: Any = None,
        binary_output: bool = False,
        **kwargs: Any,
    ) -> None:
        kwargs.pop("args_parser", None)
        for name in ("dtype", "torch_dtype"):
            check_dtype(kwargs.pop(name, None))
        self.task = task or self.task_name
        self.model = model
        self.tokenizer = tokenizer
        self.feature_extractor, self.image_processor, self.processor = feature_extractor, image_processor, processor
        self.modelcard = modelcard
        self.framework = check_framework(framework)
        self.device = check_device(device)
        self.binary_output = binary_output
        self.call_count = 0
        self.by_language: ByLanguage | None = None  # which of the embedded models answers a text
        self._check_parts()
        self.max_length = _limit(model, tokenizer)
        self._with_types = (
            getattr(model.config, "type_vocab_size", None) or 0
        ) > 1 and "token_type_ids" in tokenizer.model_input_names
        self._defaults = Parameters()
        self._defaults = replace(self._parameters(kwargs), given={})

    # -- what a task writes ----------------------------------------------------------------------------------------

    def _sanitize_parameters(self, *_: Any, **parameters: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """The given parameters, sorted to preprocess, forward and postprocess. Only what was given is in the answer.

        Raises InvalidArgument for a value that cannot be used.
        """
        return parameters, {}, {}

    def check_parameters(self, parameters: Parameters) -> None:
        """Called with the parameters of a call before its work begins.   Raises InvalidArgument."""

    def is_single(self, inputs: Any) -> bool:
        """Is this one input, rather than a list or stream of them?"""
        return isinstance(inputs, (str, Mapping))

    def check(self, value: Any, parameters: Mapping[str, Any]) -> Any:
        """One input in the form that `encode` takes; here: a text.   Raises InputError.   parameters: preprocess's."""
        if isinstance(value, str):
            return value
        raise InputError(f"{self.task} takes {self.expects} as its input, not {shown(value)}.")

    def encode(self, inputs: list[Any], *_: Any, **parameters: Any) -> list[Encoded]:
        """The items of each input (a window of them, each as `check` made it), or the error in its place.

        Here: a text, or a (text, pair) tuple.
        """
        texts = [value if isinstance(value, str) else value[0] for value in inputs]
        pairs = [None if isinstance(value, str) else value[1] for value in inputs]
        encodings = self.tokenize(texts, pairs if any(pair is not None for pair in pairs) else None, **parameters)
        return [e if isinstance(e, PanpipeError) else [self.item(window) for window in e] for e in encodings]

    def infer(self, batch: Batch, items: list[Item], *_: Any, **parameters: Any) -> Iterable[Array]:
        """The output of each item. Here: all that the model gives for it, or for its `rows`."""
        if items[0].rows is None:
            output, ends = self.model.forward(batch), batch.offsets.tolist()
        else:
            starts = zip(items, batch.first_rows.tolist(), strict=True)
            output = self.model.forward(batch, np.concatenate([np.asarray(i.rows, np.int32) + s for i, s in starts]))
            ends = [0, *itertools.accumulate(len(item.rows or ()) for item in items)]
        if self.model.head == "sequence-classification":
            return output  # type: ignore[no-any-return]
        return [output[begin:end] for begin, end in itertools.pairwise(ends)]

    def failure(self, outputs: Outputs) -> PanpipeError | None:
        """Why an input that was run has no answer; None where it has one."""
        return None

    def has_answer(self, outputs: Outputs) -> bool:
        """Whether a run that was interrupted got as far as this input."""
        return True

    def postprocess(self, outputs: Any, *_: Any, **parameters: Any) -> Any:
        """The answer of one input, from its `Outputs`."""
        raise TypeError(f"{type(self).__name__} has no postprocess: write one that makes the answer from the outputs.")

    def listed(self, answer: Any) -> Any:
        """The answer in its one documented form (`always_list=True`)."""
        return answer if isinstance(answer, list) else [answer]

    def arrange(self, answers: list[Any], inputs: Any, given: Mapping[str, Any]) -> Any:
        """What the call returns.   answers: one per input.   inputs, given: as the caller gave them."""
        return answers[0] if self.is_single(inputs) else answers

    def items_per_input(self, parameters: Parameters) -> int:
        """About how many items an input becomes, so that a window of inputs stays within memory."""
        return 1

    # -- tokenizing ------------------------------------------------------------------------------------------------

    def tokenize(
        self, texts: list[Any], pairs: list[Any] | None = None, **parameters: Any
    ) -> list[list[Any] | PanpipeError]:
        """Each text's Encodings, within the model's length as the parameters say (see `lengths`).

        A pair of None among others is a text alone.
        """
        long_text = "error" if parameters.get("truncation") is False else self.default_long_text
        parameters = {"long_text": long_text, "default_strategy": self.default_strategy, **parameters}
        if pairs is None or None not in pairs:
            return _not_empty(encode_within(self.tokenizer, texts, pairs, self.max_length, **parameters))
        encodings: list[Any] = [None] * len(texts)
        for alone in (True, False):
            chosen = [index for index, pair in enumerate(pairs) if (pair is None) is alone]
            some = [texts[index] for index in chosen], None if alone else [pairs[index] for index in chosen]
            for index, encoding in zip(
                chosen, encode_within(self.tokenizer, *some, self.max_length, **parameters), strict=True
            ):
                encodings[index] = encoding
        return _not_empty(encodings)

    def item(self, encoding: Any, **more: Any) -> Item:
        """An Encoding to run: its ids, and its types where the model has them."""
        return Item(encoding.ids, encoding.type_ids if self._with_types else None, encoding=encoding, **more)

    # -- running ---------------------------------------------------------------------------------------------------

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """The answer for one input; a list of answers for a list; an iterator of answers for a stream."""
        if args:
            raise UnknownArgument(
                f"{self.task} takes one input argument; give several as one list: pipe([first, second])."
            )
        parameters = self._parameters(kwargs) if kwargs else self._defaults
        self.check_parameters(parameters)
        self.call_count += 1
        if self.is_single(inputs):
            return self._arranged(
                collected(self._answer_window([inputs], parameters)), inputs, kwargs, parameters.options
            )
        source = source_of(inputs, self.expects)
        if is_in_memory(inputs):
            return self._arranged(collected(self._stream(source, parameters, True)), inputs, kwargs, parameters.options)
        kind = SizedAnswers if hasattr(type(inputs), "__len__") else Answers
        return kind(lambda: self._stream(source, parameters, False), inputs)

    def predict(self, X: Any) -> Any:  # noqa: N803 (scikit-learn's name)
        """The same as calling the pipeline."""
        return self(X)

    def transform(self, X: Any) -> Any:  # noqa: N803
        """The same as calling the pipeline."""
        return self(X)

    def preprocess(self, inputs: Any, **parameters: Any) -> Any:
        """One input's items, ready for `forward`."""
        encoded = self.encode([self.check(inputs, parameters)], **parameters)[0]
        if isinstance(encoded, PanpipeError):
            raise encoded
        return Outputs(inputs, encoded)

    def forward(self, model_inputs: Any, **parameters: Any) -> Any:
        """What the model makes of one input that `preprocess` prepared."""
        return self._forward(model_inputs, **parameters)

    def _forward(self, model_inputs: Any, **parameters: Any) -> Any:
        if isinstance(model_inputs, Outputs):
            self.run(model_inputs.items, **parameters)
            return model_inputs
        return self.model(**model_inputs)

    def run(self, items: Iterable[Item], batch_size: int | None = None, **parameters: Any) -> None:
        """Fill in the items' outputs, many items to a forward pass."""
        for group in groups(list(items), batch_size):
            batch = to_batch(group)
            for item, output in zip(group, self.infer(batch, group, **parameters), strict=True):
                item.output = output

    def _stream(self, source: Iterable[Any], parameters: Parameters, in_memory: bool) -> Iterator[Any]:
        """The answers in order, a window of inputs at a time."""
        options = parameters.options
        if options.progress:
            from tqdm import tqdm

            source = tqdm(source, desc=self.task, unit="")
        most = max(1, WINDOW_INPUTS // self.items_per_input(parameters))
        if options.batch_size == 1 and not in_memory:
            most = 1
        for window, error in read_windows(source, most if in_memory else FIRST_WINDOW, most):
            for answer in self._answer_window(window, parameters, in_memory):
                yield self.listed(answer) if options.always_list and not isinstance(answer, Exception) else answer
            if error is not None:
                raise error

    def _answer_window(self, window: list[Any], parameters: Parameters, at_once: bool = True) -> Iterator[Any]:
        """The window's answers. An input's error is raised before any work if at_once, else when its turn comes."""
        answer = self._answers if self.by_language is None else self.by_language.answers
        return answer(window, parameters, at_once)

    def _answers(self, window: list[Any], parameters: Parameters, at_once: bool) -> Iterator[Any]:
        """The window's answers by this pipeline's own model."""
        options = parameters.options
        if self._one_by_one:
            yield from (self._answer_alone(value, parameters) for value in window)
            return
        encoded = self._encode_window(window, parameters.preprocess)
        failed = None
        if options.on_error == "raise":
            failed = next((index for index, e in enumerate(encoded) if isinstance(e, PanpipeError)), None)
            if failed is not None and at_once:
                raise encoded[failed]  # type: ignore[misc]
        good = [e for e in encoded[:failed] if isinstance(e, Outputs)]
        stopped: Interrupted | None = None
        try:
            self.run(itertools.chain.from_iterable(good), options.batch_size, **parameters.forward)
        except Interrupted as stop:
            stopped = stop
        for made in encoded:
            if stopped is not None and isinstance(made, Outputs) and not self.has_answer(made):
                break
            outputs = (self.failure(made) or made) if isinstance(made, Outputs) else made
            if isinstance(outputs, Outputs):
                yield self.postprocess(outputs, **parameters.postprocess)
            elif options.on_error == "return":
                yield outputs
            else:
                raise outputs
        if stopped is not None:
            raise stopped

    def _encode_window(self, window: list[Any], parameters: dict[str, Any]) -> list[Outputs | PanpipeError]:
        """Each input checked and encoded, or its error."""
        checked: list[Any] = []
        for value in window:
            try:
                checked.append(self.check(value, parameters))
            except PanpipeError as error:  # noqa: PERF203 (each input has an error of its own)
                checked.append(error)
        good = [value for value in checked if not isinstance(value, PanpipeError)]
        encoded = iter(self.encode(good, **parameters) if good else ())
        return [value if isinstance(value, PanpipeError) else _as_outputs(value, next(encoded)) for value in checked]

    def _answer_alone(self, value: Any, parameters: Parameters) -> Any:
        try:
            outputs = self.forward(self.preprocess(value, **parameters.preprocess), **parameters.forward)
            return self.postprocess(outputs, **parameters.postprocess)
        except PanpipeError as error:
            if parameters.options.on_error == "return":
                return error
            raise

    def _arranged(self, answers: list[Any], inputs: Any, given: Mapping[str, Any], options: Options) -> Any:
        if options.always_list:
            single = self.is_single(inputs)
            return [self.listed(a) if single and not isinstance(a, Exception) else a for a in answers]
        if self.is_single(inputs) and isinstance(answers[0], PanpipeError):
            return answers[0]
        return self.arrange(answers, inputs, given)

    # -- parameters ------------------------------------------------------------------------------------------------

    def _parameters(self, given: Mapping[str, Any]) -> Parameters:
        """The constructor's parameters, overridden key by key.   Raises UnknownArgument, InvalidArgument."""
        defaults = self._defaults
        check_names(type(self), given)
        named = self.named
        own = {name: value for name, value in given.items() if name not in OPTIONS or name in named}
        options = {name: value for name, value in given.items() if name not in own}
        lengths = {name: own.pop(name) for name in LENGTH_ARGUMENTS if name in own and name not in named}
        preprocess, forward, postprocess = self._sanitize_parameters(**own)
        preprocess = {**defaults.preprocess, **lengths, **preprocess}
        if lengths or any(name in preprocess for name in LENGTH_ARGUMENTS):
            check_length_arguments(preprocess)
        return Parameters(
            replace(defaults.options, **options),
            {name: value for name, value in preprocess.items() if value is not None or name not in LENGTH_ARGUMENTS},
            {**defaults.forward, **forward},
            {**defaults.postprocess, **postprocess},
            given,
        )

    # -- parts -----------------------------------------------------------------------------------------------------

    def _check_parts(self) -> None:
        """Raises where the model has another head, or the tokenizer another vocabulary."""
        model, tokenizer = self.model, self.tokenizer
        if not (hasattr(model, "config") and hasattr(model, "head")):
            raise InvalidArgument(
                f"model={shown(model)} is not a panpipe model: give its name to pipeline({self.task!r}, model=…), or "
                "load it with panpipe's AutoModel… classes."
            )
        if not hasattr(tokenizer, "encode_batch"):
            raise InvalidArgument(
                f"tokenizer={shown(tokenizer)} is not a panpipe tokenizer: give its name to pipeline({self.task!r}, "
                "tokenizer=…), or load it with panpipe's AutoTokenizer."
            )
        if self.head is not None and model.head != self.head:
            raise MissingHead(
                f"{self.task} needs a model with a {self.head} head; {model.name_or_path or type(model).__name__} was "
                f"loaded with a {model.head} head, which fits {' and '.join(tasks_of_head(model.head))}. Load it for "
                f"this task by name: pipeline({self.task!r}, model=name), or choose another model."
            )
        ids, rows = len(tokenizer), model.config.vocab_size
        if ids - rows > len(tokenizer.all_special_ids):  # fewer: special tokens that the model was never taught
            raise TokenizerError(
                f"the tokenizer gives ids up to {ids - 1}, and the model {model.name_or_path or ''} has embeddings for "
                f"{rows} tokens: they do not belong together. Load both from one checkpoint."
            )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} for {self.task}: {self.model!r}>"

    @property
    def dtype(self) -> Any:
        """What is computed in: float32."""
        return np.dtype(np.float32)

    @property
    def torch_dtype(self) -> Any:
        """The older name of `dtype`."""
        return self.dtype

    @property
    def _batch_size(self) -> int | None:
        return self._defaults.options.batch_size

    @property
    def _num_workers(self) -> int | None:
        return self._defaults.options.num_workers

    def save_pretrained(self, save_directory: str | Path, safe_serialization: bool = True) -> None:
        """Write the model and the tokenizer into a folder that `pipeline(model=folder)` opens.

        Raises InvalidArgument if the path is a file, or safe_serialization is False (panpipe writes safetensors).
        """
        if not safe_serialization:
            raise InvalidArgument("safe_serialization=False: panpipe writes model.safetensors only. Leave it out.")
        if Path(save_directory).is_file():
            raise InvalidArgument(f"{save_directory} is a file; give the name of a folder.")
        self.model.save_pretrained(save_directory)
        self.tokenizer.save_pretrained(save_directory)


def _limit(model: Any, tokenizer: Any) -> int | None:
    """The most tokens of a text: the tokenizer's limit or the model's positions, the lesser; None for no limit."""
    limits = [int(n) for n in (tokenizer.model_max_length, model.max_length) if n is not None and n < 10**9]
    return min(limits, default=None)


def _as_outputs(value: Any, encoded: Encoded) -> Outputs | PanpipeError:
    return encoded if isinstance(encoded, PanpipeError) else Outputs(value, encoded)


def _not_empty(encoded: list[list[Any] | PanpipeError]) -> list[list[Any] | PanpipeError]:
    """A text of no tokens (without special ones, or of characters that the tokenizer drops) is an error."""
    return [
        InputError("the text has no tokens: there is nothing to run.") if isinstance(e, list) and not len(e[0]) else e
        for e in encoded
    ]
