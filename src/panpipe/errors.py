"""Every exception panpipe raises.

Each class also derives from the built-in that transformers raises in the same place, so that existing `except`
clauses keep working.

    PanpipeError
    ├── UnknownTask (KeyError)             the task's name is not one of ours
    ├── InvalidArgument (ValueError)       a parameter's value cannot be used
    │   └── UnknownArgument (TypeError)    no such parameter; the message names the nearest
    ├── InputError (ValueError)            the text, pair, question … given is not of a form the task takes
    │   ├── TooLong                        more tokens than the model has positions
    │   ├── MissingKey (KeyError)          a dictionary that lacks a key the task needs
    │   └── PipelineException              transformers' name for a pipeline's complaint about an input
    │       └── MissingMask                fill-mask without a mask token
    ├── DataError (ValueError)             data that cannot be used; of a file, the message names the line
    │   ├── DataNotFound (FileNotFoundError)   no such file, data set, configuration or split
    │   └── NoSuchRow (IndexError)         a row's number outside of the data set
    ├── ShapeError (ValueError)            arrays that do not fit together
    ├── CacheFull (MemoryError)            more keys and values than the cache of generation has room for
    ├── CheckpointError (ValueError)       a checkpoint that cannot be used
    │   ├── CheckpointNotFound (OSError)   no such folder, file, repository or revision
    │   ├── CorruptCheckpoint              a file's bytes contradict its own format
    │   ├── UnsafeCheckpoint               a file asks for code, or leads outside its folder
    │   ├── ConfigError                    config.json is missing a key, or has one that cannot be
    │   ├── UnknownFamily                  a model_type (or architecture) we do not have
    │   ├── WeightsMismatch                tensors missing, left over or of another shape
    │   │   └── MissingHead                … namely those of the head that the task needs
    │   └── TokenizerError                 tokenizer files that are missing, broken or do not fit the model
    │       └── TemplateError              a chat template that is missing, broken, stopped, or refuses the chat
    ├── TrainingError (RuntimeError)       a run of training that cannot begin, or go on
    ├── HubUnavailable (ConnectionError)   the Hub could not be reached, or must not be (offline)
    ├── EngineError (RuntimeError)         an engine or instruction set this machine does not have
    └── MissingDependency (ImportError)    an optional package; the message gives the install command
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = [
    "CacheFull",
    "CheckpointError",
    "CheckpointNotFound",
    "ConfigError",
    "CorruptCheckpoint",
    "DataError",
    "DataNotFound",
    "EngineError",
    "HubUnavailable",
    "InputError",
    "InvalidArgument",
    "MissingDependency",
    "MissingHead",
    "MissingKey",
    "MissingMask",
    "NoSuchRow",
    "PanpipeError",
    "PipelineException",
    "ShapeError",
    "TemplateError",
    "TokenizerError",
    "TooLong",
    "TrainingError",
    "UnknownArgument",
    "UnknownFamily",
    "UnknownTask",
    "UnsafeCheckpoint",
    "WeightsMismatch",
    "did_you_mean",
]


class PanpipeError(Exception):
    """The root of all our exceptions."""

    def __str__(self) -> str:  # KeyError would print the repr of its message
        return str(self.args[0]) if self.args else ""


class UnknownTask(PanpipeError, KeyError):
    """The task's name is not one of ours."""


class InvalidArgument(PanpipeError, ValueError):
    """A parameter's value cannot be used."""


class UnknownArgument(InvalidArgument, TypeError):
    """A parameter that the function does not have."""


class InputError(PanpipeError, ValueError):
    """An input of a form that the task does not take."""


class TooLong(InputError):
    """A text of more tokens than the model has positions."""


class MissingKey(InputError, KeyError):
    """A dictionary that lacks a key the task needs."""


class PipelineException(InputError):
    """A pipeline's complaint about an input, under transformers' name and with its three attributes."""

    def __init__(self, task: str, model: str, reason: str) -> None:
        super().__init__(reason)
        self.task = task
        self.model = model

    def __reduce__(self) -> tuple[type[PipelineException], tuple[str, str, str]]:
        return type(self), (self.task, self.model, str(self))


class MissingMask(PipelineException):
    """A text for fill-mask without the mask token."""


class DataError(PanpipeError, ValueError):
    """Data that cannot be used."""


class DataNotFound(DataError, FileNotFoundError):
    """No such file, data set, configuration or split."""


class NoSuchRow(DataError, IndexError):
    """A row's number outside of the data set."""


class ShapeError(PanpipeError, ValueError):
    """Arrays that do not fit together."""


class CacheFull(PanpipeError, MemoryError):
    """More keys and values than the cache of generation has room for."""


class CheckpointError(PanpipeError, ValueError):
    """A checkpoint that cannot be used."""


class CheckpointNotFound(CheckpointError, OSError):
    """No such folder, file, repository or revision."""


class CorruptCheckpoint(CheckpointError):
    """A file whose bytes contradict its own format."""


class UnsafeCheckpoint(CheckpointError):
    """A file that asks for code to be run, or leads outside its folder."""


class ConfigError(CheckpointError):
    """A config.json that lacks a key or has a value that cannot be."""


class UnknownFamily(CheckpointError):
    """A model_type or architecture that panpipe does not have."""


class WeightsMismatch(CheckpointError):
    """Tensors missing, left over or of another shape."""


class MissingHead(WeightsMismatch):
    """The checkpoint has the body but not the head that the task needs."""


class TokenizerError(CheckpointError):
    """Tokenizer files that are missing, broken or do not fit the model."""


class TemplateError(TokenizerError):
    """A chat template that is missing, broken, stopped, or refuses the chat in its own words."""


class TrainingError(PanpipeError, RuntimeError):
    """A run of training that cannot begin, or go on."""


class HubUnavailable(PanpipeError, ConnectionError):
    """The Hub could not be reached, or must not be asked."""


class EngineError(PanpipeError, RuntimeError):
    """An engine or instruction set that this machine does not have."""


class MissingDependency(PanpipeError, ImportError):
    """An optional package that is not installed."""


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """' Did you mean 'x'?' for the nearest of the choices, or '' when none is near."""
    import difflib  # here: an error is rare, and the import would be part of every start

    near = difflib.get_close_matches(word, list(choices), n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""
