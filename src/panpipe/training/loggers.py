"""Where the numbers of a run go: always log.jsonl, and what `report_to` names. No connection is opened unasked."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import InvalidArgument, MissingDependency, did_you_mean
from ..weights.whole_file import whole_file

if TYPE_CHECKING:
    from .arguments import TrainingArguments

__all__ = ["JsonLines", "Logger", "open_loggers", "plain"]


class Logger(Protocol):
    """Anything with these two; give one in `report_to`."""

    def log(self, values: dict[str, Any], step: int) -> None:
        """Numbers of a step; of metrics also what else JSON can hold."""

    def close(self) -> None:
        """The run is over."""


class JsonLines:
    """log.jsonl: a line of JSON for whatever is logged. A resumed run drops what lies after its step."""

    def __init__(self, path: Path, from_step: int) -> None:
        self._path = path
        kept: list[str] = []
        if from_step and path.exists():
            lines = path.read_text(encoding="utf-8").splitlines()
            kept = [line for line in lines if line and _step(line) <= from_step]
        with whole_file(path) as file:
            file.write_text("".join(line + "\n" for line in kept), encoding="utf-8")

    def log(self, values: dict[str, Any], step: int) -> None:
        """Add a line."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}, ensure_ascii=False) + "\n")

    def close(self) -> None:
        """Nothing is open."""


def _step(line: str) -> int:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):  # the half line of a killed run
        return 2**62


class _TensorBoard:
    def __init__(self, args: TrainingArguments, from_step: int) -> None:
        writer = _imported("torch.utils.tensorboard", "tensorboard").SummaryWriter
        folder = Path(args.output_dir) / "runs" / (args.run_name or "run")
        self._writer = writer(log_dir=str(folder), purge_step=from_step + 1)  # what lies after it is not drawn

    def log(self, values: dict[str, Any], step: int) -> None:
        for name, value in values.items():
            if not isinstance(value, (int, float)):
                continue  # it can only draw numbers
            kind, _, rest = name.partition("_")
            self._writer.add_scalar(f"{kind}/{rest}" if kind == "eval" else f"train/{name}", value, step)

    def close(self) -> None:
        self._writer.close()


class _Run:
    """wandb and trackio, which have the same interface."""

    def __init__(self, package: str, args: TrainingArguments) -> None:
        self._package = _imported(package, package)
        self._package.init(project="panpipe", name=args.run_name, config=args.to_dict())

    def log(self, values: dict[str, Any], step: int) -> None:
        self._package.log(values, step=step)

    def close(self) -> None:
        self._package.finish()


_BY_NAME: dict[str, Callable[[TrainingArguments, int], Logger]] = {
    "tensorboard": _TensorBoard,
    "wandb": lambda args, from_step: _Run("wandb", args),
    "trackio": lambda args, from_step: _Run("trackio", args),
}


def plain(value: Any) -> Any:
    """The same as JSON can hold it, also what is nested: NumPy's and PyTorch's numbers and arrays as Python's."""
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if hasattr(value, "tolist"):
        return value.tolist()
    return value if value is None or isinstance(value, (str, int, float)) else str(value)


def open_loggers(args: TrainingArguments, from_step: int) -> list[Logger]:
    """The loggers of a run.   Raises InvalidArgument, MissingDependency."""
    found: list[Logger] = [JsonLines(Path(args.output_dir) / "log.jsonl", from_step)]
    for wanted in args.report_to:
        if not isinstance(wanted, str):
            found.append(wanted)
        elif wanted in _BY_NAME:
            found.append(_BY_NAME[wanted](args, from_step))
        else:
            near = did_you_mean(wanted, _BY_NAME)
            raise InvalidArgument(
                f"report_to has {wanted!r}; it takes {', '.join(_BY_NAME)}, or an object with log().{near}"
            )
    return found


def _imported(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingDependency(f"report_to={package!r} needs a package: pip install {package}") from error
