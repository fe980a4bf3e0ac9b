"""What the pipelines that write text share: the parameters of generation, prompts on the way in, texts on the way back.

A call's parameters become one GenerationConfig before any work (`generation.priority` says whose word counts); the
model's own config is never changed, and nothing of a call is kept on the pipeline.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import numpy as np

from ..errors import InvalidArgument, PanpipeError, UnknownArgument, did_you_mean
from ..generation import GenerationConfig, Job, Prompt, generate_many, prepared
from ..generation.config import OTHER_NAMES
from ..generation.sampling import checked_seed
from .base import Parameters, Pipeline
from .inputs import Interrupted, shown
from .items import Item, Outputs, as_torch
from .parameters import given

__all__ = ["GENERATION_ARGUMENTS", "GeneratingPipeline", "Writing", "as_tensor", "checked_tensors", "most_new"]

_log = logging.getLogger("panpipe")

_CONFIG = (*(f.name for f in fields(GenerationConfig)), *OTHER_NAMES)
_CALLABLES = ("logits_processor", "prefix_allowed_tokens_fn", "stopping_criteria")
_ASSISTANT = ("assistant_model", "assistant_tokenizer")
GENERATION_ARGUMENTS = (*_CONFIG, "generation_config", "generate_kwargs", *_CALLABLES, "streamer", *_ASSISTANT)
"""What generation is told, beside a pipeline's own parameters."""


@dataclass(eq=False)
class Writing:
    """What becomes of an item, which has it as its `extra`.   job: of the generation, once it is done."""

    job: Any = None


class GeneratingPipeline(Pipeline):
    """The base of the pipelines that write text.

    class_defaults: what generation is told where the caller says nothing.
    input_names: under which the input may also be given.
    """

    class_defaults: ClassVar[Mapping[str, Any]] = {}
    input_names: ClassVar[tuple[str, ...]] = ("inputs",)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The answer for one input; a list of answers for a list; an iterator of answers for a stream."""
        return super().__call__(self.taken(args, kwargs), **kwargs)

    def taken(self, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """The input of a call: its only argument, or that of one of `input_names`, which is taken out of kwargs."""
        named = [name for name in self.input_names if name in kwargs]
        if len(named) + len(args) != 1:
            raise UnknownArgument(
                f"{self.task} takes one input argument, not {len(named) + len(args)}; give several as one list: "
                "pipe([first, second])."
            )
        return args[0] if args else kwargs.pop(named[0])

    # -- parameters --------------------------------------------------------------------------------------------------

    @property
    def generation_config(self) -> GenerationConfig:
        """How this pipeline generates where a call says nothing."""
        return self._defaults.forward["config"]  # type: ignore[no-any-return]

    @property
    def prefix(self) -> str | None:
        """What the model's config puts before every text."""
        return self.prefix_of(self.task)

    def prefix_of(self, task: str) -> str | None:
        """What the model's config puts before every text of a task, or else of all."""
        prefix = self.task_parameters(task).get("prefix", getattr(self.model.config, "prefix", None))
        return prefix if isinstance(prefix, str) else None

    def task_parameters(self, task: str) -> Mapping[str, Any]:
        """What the model's config says for a task: its task_specific_params."""
        said = (getattr(self.model.config, "task_specific_params", None) or {}).get(task)
        return said if isinstance(said, Mapping) else {}

    def asked(
        self, generate_kwargs: Mapping[str, Any], stop_sequence: str | Sequence[str] | None = None, **more: Any
    ) -> dict[str, Any]:
        """The parameters of the forward step, from those that a task does not take for itself.

        stop_sequence: a string or several, each of which ends a text.   more: further ones. A dictionary
        `generate_kwargs` among them holds some more.
        Raises InvalidArgument, UnknownArgument.
        """
        forward = given({**generate_kwargs, **more})
        forward = {**_together(forward.pop("generate_kwargs", {})), **forward}
        for name in _ASSISTANT:
            if name in forward:
                raise InvalidArgument(
                    f"{name}: there is no second model to help the first one here; text that repeats is guessed "
                    "ahead without one (prompt_lookup_num_tokens). Leave it out."
                )
        if "seed" in forward:
            forward["seed"] = checked_seed(forward["seed"])
        asked = {name: forward.pop(name) for name in _CONFIG if name in forward}
        if stop_sequence is not None:
            asked["stop_strings"] = [*_strings(asked.get("stop_strings")), *_strings(stop_sequence)]
        return {**forward, "asked": asked}

    def _parameters(self, given: Mapping[str, Any]) -> Parameters:
        """As of every pipeline; `config`, all that is to be known of how to generate, is in forward and preprocess."""
        parameters = super()._parameters(given)
        constructor = self._defaults.forward.get("asked", {})
        call = parameters.forward.get("asked", {})
        chosen = {"config": self.configured(call, constructor, parameters)}
        return replace(
            parameters, preprocess={**parameters.preprocess, **chosen}, forward={**parameters.forward, **chosen}
        )

    def configured(
        self, call: Mapping[str, Any], constructor: Mapping[str, Any], parameters: Parameters
    ) -> GenerationConfig:
        """How to generate in this call.   Raises UnknownArgument, InvalidArgument."""
        config = parameters.forward.get("generation_config")
        if config is not None and not isinstance(config, GenerationConfig):
            raise InvalidArgument(f"generation_config={shown(config)}: give a panpipe.GenerationConfig.")
        return prepared(
            call,
            model=self.model.generation_config,
            config=config,
            defaults=self.class_defaults,
            constructor=constructor,
            task=self.task_parameters(self.task_of(parameters)),
            pad_token_id=self.tokenizer.pad_token_id,
        )

    def task_of(self, parameters: Parameters) -> str:
        """The task of a call, as the model's config names it."""
        return self.task

    def jobs(self, outputs: Outputs) -> list[Any]:
        """The jobs that an answer is made of."""
        return [item.extra.job for item in outputs]

    def has_answer(self, outputs: Outputs) -> bool:
        """Whether all of its texts were begun."""
        return all(job is not None and (job.error or job.results) for job in self.jobs(outputs))

    def failure(self, outputs: Outputs) -> PanpipeError | None:
        """The error of a job that could not be done."""
        errors = (job.error for job in self.jobs(outputs))
        return next((error for error in errors if isinstance(error, PanpipeError)), None)

    # -- running -----------------------------------------------------------------------------------------------------

    def run(self, items: Iterable[Item], batch_size: int | None = None, **parameters: Any) -> None:
        """Generate for all items together; the `extra.job` of each then has its texts.

        Raises Interrupted for Ctrl-C; what was made until then is in the jobs.
        """
        config: GenerationConfig = parameters["config"]
        streamer = parameters.pop("streamer", None)
        alike = _alike(items, has_chance=config.do_sample and parameters.get("seed") is None)
        if streamer is not None:
            self._begin_stream(streamer, [same[0] for same in alike], config)
            parameters["on_tokens"] = lambda ids: [streamer.put(np.array([token], np.int64)) for token in ids]
        prompts = [self.prompt(same, **parameters) for same in alike]
        try:
            jobs = list(self._done(prompts, batch_size or len(prompts), parameters.get("progress", False)))
        finally:
            if streamer is not None:
                streamer.end()
        self.say_seeds(jobs)

    def _done(self, prompts: Sequence[Prompt], most: int, progress: bool) -> Iterator[Job]:
        """The jobs of the prompts, at most so many at a time, each given to the items that it is for."""
        for begin in range(0, len(prompts), most or 1):
            some = prompts[begin : begin + most]
            is_stopped = False
            for job in generate_many(self.model, some, tokenizer=self.tokenizer, progress=progress):
                is_stopped = is_stopped or _was_stopped(job)
                for item in job.prompt.tag:
                    item.extra.job = job
                yield job
            if is_stopped:
                raise Interrupted

    def say_seeds(self, jobs: Sequence[Job]) -> None:
        """Tell the seeds that were drawn, where somebody listens."""
        drawn = [job.seed for job in jobs if job.prompt.config.do_sample and job.prompt.seed is None]
        if drawn:
            _log.info("%s: sampled with seed=%s", self.task, drawn[0] if len(drawn) == 1 else drawn)

    def first_ids(self, item: Item, config: GenerationConfig) -> list[int]:
        """What the new tokens come after: the prompt."""
        return list(item.token_ids)

    def _begin_stream(self, streamer: Any, items: Sequence[Item], config: GenerationConfig) -> None:
        """Give a streamer what the text begins with.   Raises InvalidArgument where there are several texts."""
        if len(items) != 1 or config.num_return_sequences != 1:
            raise InvalidArgument("a streamer is for one text: give one input, and num_return_sequences=1.")
        streamer.put(np.array([self.first_ids(items[0], config)], np.int64))

    def prompt(
        self,
        items: list[Item],
        config: GenerationConfig,
        seed: int | None = None,
        *,
        logits_processor: Any = None,
        prefix_allowed_tokens_fn: Any = None,
        stopping_criteria: Any = None,
        on_tokens: Any = None,
        **_: Any,
    ) -> Prompt:
        """The prompt of items that are alike, with these items as its tag."""
        return Prompt(
            items[0].token_ids,
            config,
            seed=seed,
            processors=_functions(logits_processor),
            criteria=_functions(stopping_criteria),
            allowed=None if prefix_allowed_tokens_fn is None else lambda ids: prefix_allowed_tokens_fn(0, ids),
            on_tokens=on_tokens,
            tag=items,
        )

    def _stream(self, source: Iterable[Any], parameters: Parameters, in_memory: bool) -> Iterator[Any]:
        return super()._stream(source, _with_own_bar(parameters) if in_memory else parameters, in_memory)

    def _answer_window(self, window: list[Any], parameters: Parameters, at_once: bool = True) -> Iterator[Any]:
        return super()._answer_window(window, _with_own_bar(parameters) if at_once else parameters, at_once)


def _with_own_bar(parameters: Parameters) -> Parameters:
    """With the bar of what is generated instead of that of the inputs, which are all read at once."""
    if not parameters.options.progress:
        return parameters
    return replace(
        parameters,
        options=replace(parameters.options, progress=False),
        forward={**parameters.forward, "progress": True},
    )


def _alike(items: Iterable[Item], has_chance: bool) -> list[list[Item]]:
    """Each item with its equals, which need not be run too; where chance decides, every item is itself."""
    alike: dict[Any, list[Item]] = {}
    for item in dict.fromkeys(items):
        alike.setdefault(item if has_chance else tuple(item.token_ids), []).append(item)
    return list(alike.values())


def _was_stopped(job: Job) -> bool:
    """Whether Ctrl-C came before the job's end."""
    return job.error is None and (not job.results or any(text.reason == "cancelled" for text in job.results))


def _together(generate_kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of generation that came in one dictionary.   Raises UnknownArgument."""
    for name in generate_kwargs:
        if name not in (*GENERATION_ARGUMENTS, "seed"):
            near = did_you_mean(name, GENERATION_ARGUMENTS)
            raise UnknownArgument(f"generate_kwargs has {name!r}, which is no parameter of generation.{near}")
    return given(generate_kwargs)


def _strings(stops: str | Sequence[str] | None) -> list[str]:
    return [stops] if isinstance(stops, str) else list(stops or ())


def _functions(functions: Any) -> list[Any]:
    """One function, a list of them, or none."""
    return [functions] if callable(functions) and not isinstance(functions, list) else list(functions or ())


def kept_of(job: Job, place: int) -> dict[str, Any]:
    """What else was asked for of a text (return_dict_in_generate=True, with output_scores …), as lists."""
    config, kept = job.prompt.config, job.kept
    if not config.return_dict_in_generate:
        return {}
    if config.num_beams > 1:
        return {"sequences_scores": job.results[place].score}
    steps = {} if kept is None else {"scores": kept.scores, "logits": kept.logits}
    return {name: [step[place].tolist() for step in rows] for name, rows in steps.items() if rows}


def as_tensor(ids: Sequence[int], kind: str) -> Any:
    """Token ids as an int64 array; of PyTorch for "pt".   Raises MissingDependency."""
    array = np.array(ids, np.int64)
    return as_torch(array) if kind == "pt" else array


def checked_tensors(return_tensors: Any) -> str | None:
    """What kind of tensor: "np" or "pt", "" for texts, None where nothing was said.   Raises InvalidArgument."""
    if return_tensors not in (None, True, False, "np", "pt"):
        raise InvalidArgument(f'return_tensors={return_tensors!r}: give True or "np", or "pt" for PyTorch.')
    return "np" if return_tensors is True else return_tensors or ("" if return_tensors is False else None)


def most_new(config: GenerationConfig) -> int:
    """The tokens that a text may have, its start counted where max_length counts it."""
    limits = (config.max_new_tokens, config.max_length)
    return next((limit for limit in limits if limit is not None), 10**9)
