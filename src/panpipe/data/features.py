"""What the columns of a data set mean: `dataset.features["ner_tags"].feature.names`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from collections.abc import Sequence as Listed
from typing import Any

from ..errors import DataError, InvalidArgument, did_you_mean
from .columns import BOOL, FLOAT, INT, JSON, NULL, STRING, Kind, list_of

__all__ = ["ClassLabel", "Feature", "Features", "List", "Sequence", "Value", "feature_from_json", "feature_of"]


class Feature(ABC):
    """What one column, or the items of its lists, mean."""

    @property
    @abstractmethod
    def kind(self) -> Kind:
        """How it is kept."""

    @abstractmethod
    def to_json(self) -> Any:
        """A JSON value from which feature_from_json makes it again."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Feature) and type(self) is type(other) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash(repr(self))


class Value(Feature):
    """One value.   dtype: 'int64', 'float32', 'string', 'bool', 'json', … by the names of Arrow."""

    def __init__(self, dtype: str) -> None:
        self.dtype = str(dtype)

    @property
    def kind(self) -> Kind:
        """As in Feature."""
        name = self.dtype
        if name.startswith(("int", "uint")):
            return INT
        if name.startswith(("float", "double", "half")):
            return FLOAT
        return {"bool": BOOL, "null": NULL, "binary": Kind("binary"), "json": JSON}.get(name, STRING)

    def to_json(self) -> Any:
        """As in Feature."""
        return self.dtype

    def __repr__(self) -> str:
        return f"Value({self.dtype!r})"


class ClassLabel(Feature):
    """A class, kept as its number.

    names: of the classes, in order; or num_classes, whose names are then '0', '1', …
    """

    dtype = "int64"

    def __init__(self, num_classes: int | None = None, names: Iterable[str] | None = None) -> None:
        if isinstance(num_classes, (list, tuple)):
            num_classes, names = None, num_classes
        if names is None and num_classes is None:
            raise InvalidArgument("ClassLabel needs names=[…] or num_classes=….")
        self.names = [str(name) for name in (range(num_classes or 0) if names is None else names)]
        self.num_classes = len(self.names)
        self._numbers = {name: number for number, name in enumerate(self.names)}
        if len(self._numbers) != self.num_classes:
            raise InvalidArgument(f"ClassLabel: two classes have one name, in {self.names}.")

    @property
    def kind(self) -> Kind:
        """As in Feature."""
        return INT

    def int2str(self, values: Any) -> Any:
        """The name of a class, or the names of several.   Raises DataError."""
        if isinstance(values, Iterable):
            return [self.int2str(value) for value in values]
        if not 0 <= int(values) < self.num_classes:
            raise DataError(f"there is no class {values}; there are {self.num_classes}: {', '.join(self.names[:20])}.")
        return self.names[int(values)]

    def str2int(self, values: Any) -> Any:
        """The number of a class, or the numbers of several.   Raises DataError."""
        if isinstance(values, Iterable) and not isinstance(values, str):
            return [self.str2int(value) for value in values]
        name = str(values)
        for known in (name, name.strip()):
            if known in self._numbers:
                return self._numbers[known]
        if name.isdecimal() and int(name) < self.num_classes:
            return int(name)
        near = did_you_mean(name, self.names)
        raise DataError(f"there is no class {values!r}.{near} Classes: {', '.join(self.names[:20])}.")

    def to_json(self) -> Any:
        """As in Feature."""
        return {"class_label": self.names}

    def __repr__(self) -> str:
        return f"ClassLabel(names={self.names})"


class Sequence(Feature):
    """A list of one feature."""

    def __init__(self, feature: Feature, length: int = -1) -> None:
        self.feature = feature
        self.length = length

    @property
    def kind(self) -> Kind:
        """As in Feature."""
        return list_of(self.feature.kind)

    def to_json(self) -> Any:
        """As in Feature."""
        return [self.feature.to_json()]

    def __repr__(self) -> str:
        return f"List({self.feature!r})"


List = Sequence


class Features(dict[str, Any]):
    """Column → feature. What is given as a text is a Value, as a list of one the Sequence of it."""

    def __init__(self, features: Mapping[str, Any] = {}) -> None:
        super().__init__({name: _given(feature) for name, feature in features.items()})


def feature_of(kind: Kind) -> Feature:
    """What is known of a column from how it is kept."""
    if kind.of is not None:
        return Sequence(feature_of(kind.of))
    return Value({"int": "int64", "float": "float64"}.get(kind.name, kind.name))


def feature_from_json(value: Any) -> Feature:
    """The feature that to_json wrote.   Raises DataError."""
    if isinstance(value, str):
        return Value(value)
    if isinstance(value, list) and len(value) == 1:
        return Sequence(feature_from_json(value[0]))
    if isinstance(value, dict) and isinstance(value.get("class_label"), list):
        return ClassLabel(names=value["class_label"])
    raise DataError(f"{value!r:.80} describes no feature.")


def _given(feature: Any) -> Feature:
    if isinstance(feature, Feature):
        return feature
    if isinstance(feature, str):
        return Value(feature)
    if isinstance(feature, Listed) and len(feature) == 1:
        return Sequence(_given(feature[0]))
    if isinstance(feature, Mapping):
        return Value("json")
    raise InvalidArgument(f"{feature!r:.80} is no feature: give a Value, ClassLabel or Sequence.")
