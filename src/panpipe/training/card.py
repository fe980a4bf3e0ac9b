"""The model card: README.md with the front matter that the Hub reads, made of what the run really did.

Source of the front matter's keys: huggingface.co/docs/hub/model-cards. What is empty is left out; the Hub refuses a
card with an empty key. Nothing that only this computer knows (folders) is told.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from ..carbon.components import Component
from ..carbon.result import EnergyResult, co2_words, energy_words, time_words

__all__ = ["DataUsed", "RunReport", "markdown_table", "model_card"]

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?", re.ASCII)
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*( [A-Za-z0-9_./-]+)*")
_YAML_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"}
_UNSEEN = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]")
_RATES = ("runtime", "samples_per_second", "steps_per_second", "tokens_per_second")
_LONGEST_TABLE = 20  # evaluations shown of a run


@dataclass(frozen=True)
class DataUsed:
    """A data set of a run.

    name: its id on the Hub, or what people call it.   use: "training" or "evaluation".   rows: how many, if known.
    config, split: of a data set on the Hub.   is_on_hub: whether the name is such an id.
    """

    name: str
    use: str = "training"
    rows: int | None = None
    config: str | None = None
    split: str | None = None
    is_on_hub: bool = False


@dataclass(frozen=True)
class RunReport:
    """What a card tells of a run; what is empty is not told.

    model_name: of the new model, user/name or a folder's.   base_model: what it was made from.
    task: the pipeline's.   training_type: "fine-tuning" or "pre-training".   language: codes (ko).   license: its id.
    datasets: what was read.   arguments: those that differ from the defaults.   log_history: as the Trainer keeps it.
    metrics: of the last evaluation.   energy: what the run used.   hardware: in words.   versions: of packages.
    seconds, steps, tokens_per_second, num_parameters: of the training.   examples: inputs for the Hub's widget.
    tags: further ones.   picture: the file of the loss curve beside the card.
    """

    model_name: str
    base_model: str | None = None
    task: str | None = None
    training_type: str = "fine-tuning"
    language: Sequence[str] = ()
    license: str | None = None
    datasets: Sequence[DataUsed] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)
    log_history: Sequence[Mapping[str, Any]] = ()
    metrics: Mapping[str, Any] = field(default_factory=dict)
    energy: EnergyResult | None = None
    hardware: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    seconds: float | None = None
    steps: int | None = None
    tokens_per_second: float | None = None
    num_parameters: int | None = None
    examples: Sequence[str | Mapping[str, str]] = ()
    tags: Sequence[str] = ()
    picture: str | None = None


def model_card(run: RunReport) -> str:
    """The text of README.md."""
    sections = [
        f"# {_inline(_title(run.model_name))}\n\n{_summary(run)}",
        _usage(run),
        _section("Results", _results(run)),
        _section("Data", _data(run)),
        _section("Training", _training(run)),
        _section("Energy and CO2e", _energy(run)),
        _section("Limits", _LIMITS),
        _section(
            "Versions", "\n".join(f"- {_inline(name)} {_inline(version)}" for name, version in run.versions.items())
        ),
    ]
    body = "\n\n".join(section for section in sections if section)
    return f"---\n{_yaml(_front_matter(run))}---\n\n{body}\n"


_LIMITS = (
    "The model knows what its data hold, and repeats what is wrong or one-sided in them. Beyond the results above "
    "nobody has examined it; try it on texts of your own before you rely on it."
)


# -- the front matter -------------------------------------------------------------------------------------------------


def _front_matter(run: RunReport) -> dict[str, Any]:
    metrics = _metrics(run)
    keys: dict[str, Any] = _without_empty(
        {
            "language": list(run.language),
            "license": run.license,
            "library_name": "panpipe",
            "pipeline_tag": run.task,
            "base_model": run.base_model if _is_on_hub(run.base_model) else None,
            "tags": list(dict.fromkeys(["panpipe", *run.tags])),
            "datasets": list(dict.fromkeys(data.name for data in run.datasets if data.is_on_hub)),
            "metrics": [name for name in metrics if name != "loss"],
            "widget": [example if isinstance(example, Mapping) else {"text": example} for example in run.examples],
            "co2_eq_emissions": _emissions(run),
            "model-index": [{"name": _title(run.model_name), "results": _index(run, metrics)}] if metrics else [],
        }
    )
    return keys


def _emissions(run: RunReport) -> dict[str, Any]:
    energy = run.energy
    if energy is None:
        return {}
    sources = ", ".join(dict.fromkeys(part.source for part in energy.components))
    return {
        "emissions": 1000 * energy.kg_co2e,  # grams
        "source": f"panpipe, {energy.method} ±{energy.band:.0%}: {sources}",
        "training_type": run.training_type,
        "geographical_location": energy.place.title if energy.place.code else "unknown (the world's average)",
        "hardware_used": run.hardware,
    }


def _index(run: RunReport, metrics: Mapping[str, float]) -> list[dict[str, Any]]:
    data = next((data for data in run.datasets if data.use == "evaluation"), DataUsed("evaluation data"))
    kind = data.name if data.is_on_hub else "custom"
    return [
        {
            "task": {"type": run.task or "other"},
            "dataset": {"name": _title(data.name), "type": kind, "config": data.config, "split": data.split},
            "metrics": [{"type": name, "value": value, "name": _words(name)} for name, value in metrics.items()],
        }
    ]


def _metrics(run: RunReport) -> dict[str, float]:
    """The finite results by their names; the loss only where there is nothing else."""
    found = {
        name: float(value)
        for name, value in _named(run.metrics).items()
        if isinstance(value, (int, float)) and math.isfinite(value)
    }
    better = {name: value for name, value in found.items() if name != "loss"}
    return better or found


def _without_empty(value: Any) -> Any:
    """The same without keys that hold nothing."""
    if isinstance(value, Mapping):
        kept = {key: _without_empty(part) for key, part in value.items()}
        return {key: part for key, part in kept.items() if part not in (None, "", [], {})}
    return [_without_empty(part) for part in value] if isinstance(value, list) else value


def _yaml(value: Mapping[str, Any], indent: str = "") -> str:
    """Block YAML of mappings, lists, strings and numbers; strings that could be read as anything else are quoted."""
    return "".join(f"{indent}{_scalar(key)}:{_yaml_value(part, indent)}" for key, part in value.items())


def _yaml_value(value: Any, indent: str) -> str:
    if isinstance(value, Mapping):
        return "\n" + _yaml(value, indent + "  ")
    if isinstance(value, list):
        return "\n" + "".join(f"{indent}- {_yaml_item(part, indent)}" for part in value)
    return f" {_scalar(value)}\n"


def _yaml_item(value: Any, indent: str) -> str:
    return _yaml(value, indent + "  ").lstrip(" ") if isinstance(value, Mapping) else f"{_scalar(value)}\n"


def _scalar(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, (int, float)):
        text = repr(value)
        return text.replace("e", ".0e") if "e" in text and "." not in text else text  # YAML 1.1: 1e-05 is a string
    text = str(value)
    if _PLAIN.fullmatch(text) and text.lower() not in _YAML_WORDS:
        return text
    return _UNSEEN.sub(lambda found: f"\\u{_seen(found[0]):04x}", json.dumps(text, ensure_ascii=False))


def _seen(character: str) -> int:
    """A character's number; that of the replacement character for half a pair, which no file can hold."""
    number = ord(character)
    return 0xFFFD if 0xD800 <= number <= 0xDFFF else number


# -- the sections -----------------------------------------------------------------------------------------------------


def _section(title: str, text: str) -> str:
    return f"## {title}\n\n{text}" if text else ""


def _summary(run: RunReport) -> str:
    base = f" from {_link(run.base_model)}" if run.base_model else ""
    names = dict.fromkeys(data.name for data in run.datasets if data.use == "training")
    data = f" on {', '.join(_inline(_title(name)) for name in names)}" if names else ""
    what = f"A {_inline(run.task)} model" if run.task else "A model"
    size = f" of {run.num_parameters:,} parameters" if run.num_parameters else ""
    how = "pretrained" if run.training_type == "pre-training" else "fine-tuned"
    return f"{what}{size}, {how}{base}{data} with panpipe."


def _usage(run: RunReport) -> str:
    if not run.task:
        return ""
    example = run.examples[0] if run.examples else "…"
    if isinstance(example, Mapping):
        given = ", ".join(f"{name}={_quoted(text)}" for name, text in example.items())
    else:
        given = _quoted(example)
    name = _title(run.model_name) if _is_folder(run.model_name) else run.model_name
    lines = [
        "```python",
        "from panpipe import pipeline",
        "",
        f"pipe = pipeline({_quoted(run.task)}, model={_quoted(name)})",
        f"pipe({given})",
        "```",
    ]
    return "\n".join(lines)


def _results(run: RunReport) -> str:
    return markdown_table([{"metric": _words(name), "value": value} for name, value in _named(run.metrics).items()])


def _data(run: RunReport) -> str:
    return markdown_table(
        [
            {
                "use": data.use,
                "data": _title(data.name),
                "config": data.config or "",
                "split": data.split or "",
                "rows": data.rows,
            }
            for data in run.datasets
        ]
    )


def _training(run: RunReport) -> str:
    took = [
        f"{run.steps:,} steps" if run.steps else "",
        f"in {time_words(run.seconds)}" if run.seconds is not None else "",
        f"at {run.tokens_per_second:,.0f} tokens per second" if run.tokens_per_second else "",
        f"on {_inline(run.hardware)}" if run.hardware else "",
    ]
    sentence = " ".join(part for part in took if part)
    arguments = {name: value for name, value in run.arguments.items() if not _is_folder(value)}
    parts = [
        f"It took {sentence}." if sentence else "",
        f"![Loss]({run.picture})" if run.picture and run.log_history else "",
        markdown_table([{"argument": name, "value": value} for name, value in arguments.items()]),
        _history(run.log_history),
    ]
    return "\n\n".join(part for part in parts if part)


def _history(log_history: Iterable[Mapping[str, Any]]) -> str:
    """A row for each evaluation, with the training loss before it; of many the first, the last and some between."""
    rows, loss = [], None
    for entry in log_history:
        loss = entry.get("loss", loss)
        if "eval_loss" in entry:
            row = {"step": entry.get("step"), "epoch": entry.get("epoch"), "training loss": loss}
            row["evaluation loss"] = entry["eval_loss"]
            rows.append(row | {_words(name): value for name, value in _named(entry, "eval_").items() if name != "loss"})
    if len(rows) > _LONGEST_TABLE:
        rows = [rows[round(i * (len(rows) - 1) / (_LONGEST_TABLE - 1))] for i in range(_LONGEST_TABLE)]
    return markdown_table(rows)


def _energy(run: RunReport) -> str:
    energy = run.energy
    if energy is None:
        return ""
    place = f"{energy.place.title}, {energy.place.grams_per_kwh:.0f} g/kWh, {energy.place.year}"
    rows = [
        {
            "part": part.name.upper(),
            "hardware": _hardware(part),
            "energy": energy_words(part.kwh),
            "power": f"{energy.watts_of(part.kwh):.3g} W",
            "how": f"{part.method} ±{part.band:.0%}: {part.source}",
        }
        for part in energy.components
    ]
    notes = [_inline(note) for note in energy.notes]
    return "\n\n".join(
        [
            f"{energy_words(energy.kwh)} (±{energy.band:.0%}) in {time_words(energy.seconds)}: "
            f"{co2_words(energy.kg_co2e)} CO2e ({_inline(place)}).",
            markdown_table(rows),
            *notes,
        ]
    )


def _hardware(part: Component) -> str:
    if part.name == "cpu":
        return f"{part.model}, {part.count} logical cores"
    return f"{part.count} × {part.model}" if part.count else part.model


def _named(results: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The results whose names begin so, without "eval_" or "test_", and without what the evaluation took."""
    named = {re.sub("^(eval|test)_", "", name): value for name, value in results.items() if name.startswith(prefix)}
    return {name: value for name, value in named.items() if name != "epoch" and not name.endswith(_RATES)}


# -- words ------------------------------------------------------------------------------------------------------------


def markdown_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as a table in Markdown; "" for none. Columns that hold nothing are left out; numbers stand right."""
    names = [
        name
        for name in dict.fromkeys(name for row in rows for name in row)
        if any(row.get(name) not in (None, "") for row in rows)
    ]
    if not names:
        return ""
    right = {name: all(isinstance(row.get(name, 0), (int, float, type(None))) for row in rows) for name in names}
    lines = [
        "| " + " | ".join(map(_inline, names)) + " |",
        "|" + "|".join("---:" if right[name] else "---" for name in names) + "|",
        *("| " + " | ".join(_inline(_shown(row.get(name))) for name in names) + " |" for row in rows),
    ]
    return "\n".join(lines)


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}" if math.isfinite(value) else str(value)
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _inline(text: str) -> str:
    """Text that stays text on one line of Markdown, also in a cell of a table."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", " ".join(str(text).split()))


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _title(name: str) -> str:
    """A Hub id as it is; of a folder its last part."""
    return name if _HUB_ID.fullmatch(name) else PurePath(name.replace("\\", "/")).name or name


def _link(name: str) -> str:
    shown = _inline(_title(name))
    return f"[{shown}](https://huggingface.co/{name})" if _is_on_hub(name) else shown


def _words(name: str) -> str:
    return name.replace("_", " ")


def _is_on_hub(name: str | None) -> bool:
    """Whether a name can be an id on the Hub: it has that form, and is no folder here."""
    return bool(name and _HUB_ID.fullmatch(name)) and not Path(str(name)).exists()


def _is_folder(value: Any) -> bool:
    """Whether a value tells of this computer's folders."""
    return isinstance(value, PurePath) or (isinstance(value, str) and PurePath(value).is_absolute())
