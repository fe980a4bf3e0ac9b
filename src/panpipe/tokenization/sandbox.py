"""Jinja templates from checkpoints, rendered under limits.

A chat template is somebody else's program. It runs in Jinja's immutable sandbox: it reaches no attribute with an
underscore, changes no list or dictionary, and includes no file. On top of that, all that it makes is counted: what it
writes, every string, list or number that an operation, a filter or a call returns, every turn of a loop or macro. Past
a budget it ends with TemplateError. What is limited:

- the template's length (MAX_SOURCE characters) and the turns of its loops and macros (MAX_TURNS);
- what is made, in characters or items: MADE and MADE_PER_INPUT for each character of the conversation;
- the processor's time (MAX_SECONDS), looked at in every turn;
- ranges (100,000 numbers, Jinja's own limit), widths (a number given to a filter or method times the text's length),
  large numbers, replacements, and repeated texts and lists, before they are made;
- methods of numbers, `str.format`, `translate`, `encode` and `expandtabs`, `lipsum` and the filters urlize, xmlattr,
  pprint, format, wordwrap and random do not exist.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from jinja2 import Template, nodes, pass_context
from jinja2.exceptions import SecurityError, TemplateSyntaxError
from jinja2.exceptions import TemplateError as JinjaError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from ..errors import TemplateError

__all__ = ["render"]

MAX_SOURCE = 300_000
MAX_TURNS = 200_000
MADE = 10_000_000
MADE_PER_INPUT = 20
MAX_SECONDS = 5.0
MAX_BITS = 10_000
_BUDGET = "\0budget"  # no template can write this name

_REFUSED_METHODS = {"format", "format_map", "translate", "encode", "expandtabs"}
_REFUSED_FILTERS = ("urlize", "xmlattr", "pprint", "format", "wordwrap", "random")
_ITEM = 8  # what an item of a list weighs, in characters: looking at it takes as long
_WIDE = re.compile(r"%[^a-zA-Z%]*(\d{3}|\*)")


class _Over(SecurityError):
    """A limit was passed."""


class _Budget:
    """What a rendering may still make."""

    def __init__(self, made: int) -> None:
        self.left = made
        self.turns = MAX_TURNS
        self.until = time.thread_time() + MAX_SECONDS

    def charge(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise _Over("it makes too much text")

    def turn(self, size: int) -> None:
        self.turns -= 1
        if self.turns < 0:
            raise _Over("its loops turn too often")
        if time.thread_time() > self.until:
            raise _Over("it takes too long")
        self.charge(size)


def _weight(value: Any, limit: int) -> int:
    """Characters and items in a value, counted as far as the limit."""
    total, pending = 0, [value]
    while pending and total <= limit:
        one = pending.pop()
        total += _ITEM
        if isinstance(one, (str, bytes)):
            total += len(one)
        elif isinstance(one, int):
            total += one.bit_length() >> 3
        elif isinstance(one, Mapping):
            total += len(one)
            pending += [part for item in one.items() for part in item] if len(one) <= limit else []
        elif isinstance(one, (list, tuple, set, frozenset)):
            total += len(one)
            pending += one if len(one) <= limit else ()
    return total


class _Namespace(Namespace):
    """Jinja's namespace; what is in it is not shown, since that may be itself."""

    def __repr__(self) -> str:
        return "<Namespace>"


def _budget(context: Context) -> _Budget:
    budget = context.parent.get(_BUDGET)
    assert isinstance(budget, _Budget), "render() puts it there"
    return budget


class _Generation(Extension):
    """`{% generation %} … {% endgeneration %}`, which marks the model's own words: they stay as they are."""

    tags = {"generation"}  # noqa: RUF012  # jinja's own

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Environment(ImmutableSandboxedEnvironment):
    """Jinja's sandbox with a count of what is made."""

    intercepted_binops = frozenset(("+", "*", "**", "%"))

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[_Generation, loopcontrols],
            optimized=False,  # nothing is worked out before there is a budget
            finalize=_counted,
            cache_size=0,
        )
        for name in _REFUSED_FILTERS:
            del self.filters[name]
        self.filters["tojson"] = _to_json
        self.filters = {name: _guarded(name, call) for name, call in self.filters.items()}
        self.filters |= {_JOINED: _guarded("join", _joined), _WEIGHED: _weighed, _SIZED: _part, _TURN: _turn}
        del self.globals["lipsum"]
        self.globals |= {"namespace": _Namespace, "raise_exception": _raise}
        self.globals["strftime_now"] = _now

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        _count_in(tree)
        return tree

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Also refuses what makes texts of any length."""
        if (isinstance(obj, str) and attr in _REFUSED_METHODS) or isinstance(obj, (int, float, bytes)):
            return False
        return super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> None:
        """No texts are formatted: see is_safe_attribute."""

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """+, *, ** and %, looked at first."""
        budget = _budget(context)
        _check_operation(budget, operator, left, right)
        result = super().call_binop(context, operator, left, right)
        budget.charge(_size(result))
        return result

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805
        """A function, method or macro, looked at first."""
        budget = _budget(__context)
        owner = getattr(__obj, "__self__", None)
        _check_nesting(budget, (*args, *kwargs.values()))
        if isinstance(owner, str):
            args = tuple(map(_sized, args))
            _check_call(budget, __obj.__name__, [owner, *args], kwargs)
        result = super().call(__context, __obj, *args, **kwargs)
        budget.charge(_size(result))
        return result


# -- looked at before it is done -------------------------------------------------------------------------------------


def _check_operation(budget: _Budget, operator: str, left: Any, right: Any) -> None:
    """Refuse, or charge for, what an operation would make."""
    if operator in ("*", "**") and _is_large(left, right, operator == "**"):
        raise _Over("a number in it is too large")
    if operator == "*":
        for some, times in ((left, right), (right, left)):
            if hasattr(some, "__len__") and isinstance(times, int):
                budget.charge(len(some) * max(times, 0))
    elif operator == "%" and isinstance(left, str):
        if _WIDE.search(left):
            raise _Over("it asks for a text that is too wide")
        budget.charge(left.count("%") * _weight(right, budget.left))


def _check_nesting(budget: _Budget, given: Iterable[Any]) -> None:
    """Charge for several lists in one call, deeply: put into one another again and again, they grow without end."""
    containers = [value for value in given if isinstance(value, (list, tuple, set, frozenset, dict))]
    if len(containers) > 1:
        budget.charge(sum(_weight(value, budget.left) for value in containers))


def _is_large(left: Any, right: Any, is_power: bool) -> bool:
    """Whether a product or power of whole numbers has more than MAX_BITS."""
    if not (isinstance(left, int) and isinstance(right, int)):
        return False
    return left.bit_length() * (abs(right) if is_power else 1) + (0 if is_power else right.bit_length()) > MAX_BITS


def _check_call(budget: _Budget, name: str, args: list[Any], kwargs: Mapping[str, Any]) -> None:
    """Refuse, or charge for, what a filter or method of this name would make of its arguments, its subject first."""
    given = [*args, *kwargs.values()]
    if name in ("join", "string", "tojson"):
        budget.charge(sum(_weight(value, budget.left) for value in given))
    if name == "join":
        texts = sum(len(value) for value in given if isinstance(value, str))
        budget.charge(texts * max((len(value) for value in given if hasattr(value, "__len__")), default=0))
    elif name == "replace":
        subject, *others = [str(value) for value in given[:3]]
        budget.charge(sum(subject.count(old) * len(new) for old in others for new in others if old is not new))
    elif name == "sum" and not all(isinstance(value, (int, float, str)) for value in given[1:]):
        raise _Over("it adds up what is no number")
    elif name in _WIDTHS:
        numbers = [
            value if isinstance(value, int) else len(value) for value in given[1:] if isinstance(value, (int, str))
        ]
        width = max(numbers, default=0)
        if name == "round" and width > _MAX_DIGITS:
            raise _Over("it rounds to too many digits")
        budget.charge(width * (1 + _weight(given[0], budget.left)) if width > 1 else 0)


_WIDTHS = ("center", "ljust", "rjust", "zfill", "indent", "batch", "slice", "tojson", "round")
_MAX_DIGITS = 100


def _guarded(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """A filter with what it makes counted."""
    passes = getattr(call, "jinja_pass_arg", None)  # what it wants first: the context, the environment …
    wants = None if passes is None else passes.name

    @pass_context
    def guarded(context: Context, *args: Any, **kwargs: Any) -> Any:
        budget = _budget(context)
        given = [_sized(value) for value in args] if name == "join" else list(args)
        _check_nesting(budget, (*given, *kwargs.values()))
        _check_call(budget, name, given, kwargs)
        first = {"context": context, "eval_context": context.eval_ctx, "environment": context.environment}
        result = call(*((first[wants],) if wants else ()), *given, **kwargs)
        budget.charge(_size(result))
        return result

    return guarded


def _sized(value: Any) -> Any:
    """An iterator as a list."""
    return list(value) if hasattr(value, "__next__") else value


def _size(value: Any) -> int:
    """Characters or items in a value itself."""
    if isinstance(value, int):
        return 1 + (value.bit_length() >> 3)
    return len(value) if isinstance(value, (str, bytes, list, tuple, set, frozenset, dict)) else 1


# -- what templates are given ----------------------------------------------------------------------------------------


@pass_context
def _counted(context: Context, value: Any) -> Any:
    """What is written."""
    budget = _budget(context)
    budget.charge(_weight(value, budget.left))
    return value


@pass_context
def _weighed(context: Context, value: Any) -> Any:
    """A list or dictionary that the template writes out: deeply, since one within another may grow without end."""
    budget = _budget(context)
    budget.charge(_weight(value, budget.left))
    return value


@pass_context
def _part(context: Context, value: Any) -> Any:
    """A slice."""
    _budget(context).charge(_size(value))
    return value


@pass_context
def _turn(context: Context, size: int) -> str:
    """A turn of a loop or macro, whose own words are of this size."""
    _budget(context).turn(size)
    return ""


def _joined(parts: Iterable[Any]) -> str:
    return "".join(map(str, parts))


def _to_json(
    value: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, sort_keys: bool = False
) -> str:
    """JSON as in transformers: not escaped for HTML."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise(message: Any) -> None:
    raise JinjaError(str(message))


def _now(form: str) -> str:
    if not isinstance(form, str) or len(form) > 100 or _WIDE.search(form):
        raise _Over("strftime_now's format is too long or too wide")
    return datetime.now().strftime(form)


# -- counting, put into the tree -------------------------------------------------------------------------------------

_TURN, _JOINED, _WEIGHED, _SIZED = "\0turn", "\0joined", "\0weighed", "\0sized"  # filters that no template can name


def _count_in(tree: nodes.Node) -> None:
    """Have loops and macros count their turns, and texts put together, lists and slices what they are."""
    for child in list(tree.iter_child_nodes()):
        _count_in(child)
    for name, value in tree.iter_fields():
        if isinstance(value, list):
            value[:] = [_counting(item) for item in value]
        else:
            setattr(tree, name, _counting(value))
    if isinstance(tree, (nodes.For, nodes.Macro, nodes.CallBlock)):
        words = sum(len(data.data) for part in tree.body for data in _all(part, nodes.TemplateData))
        size = nodes.Const(words, lineno=tree.lineno)
        tree.body.insert(0, nodes.ExprStmt(_filter(_TURN, size), lineno=tree.lineno))


def _counting(node: Any) -> Any:
    if isinstance(node, nodes.Concat):
        return _filter(_JOINED, nodes.List(node.nodes, lineno=node.lineno))
    is_value = getattr(node, "ctx", "load") == "load"
    if is_value and isinstance(node, (nodes.List, nodes.Tuple, nodes.Dict)):
        return _filter(_WEIGHED, node)
    if is_value and isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Slice):
        return _filter(_SIZED, node)
    return node


def _filter(name: str, node: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


def _all(node: nodes.Node, kind: type[nodes.TemplateData]) -> Iterable[nodes.TemplateData]:
    return [node] if isinstance(node, kind) else node.find_all(kind)


# -- rendering -------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def _compiled(source: str) -> Template:
    return _Environment().from_string(source)


def render(source: str, values: Mapping[str, Any]) -> str:
    """The text of a template.   Raises TemplateError, with the message of its own raise_exception or what is wrong."""
    if len(source) > MAX_SOURCE:
        raise TemplateError(f"a chat template of {len(source)} characters; at most {MAX_SOURCE} are read.")
    made = MADE + MADE_PER_INPUT * _weight(list(values.values()), 10**9)
    try:
        return _compiled(source).render({**values, _BUDGET: _Budget(made)})
    except _Over as error:
        raise TemplateError(f"the chat template was stopped: {error}. It is broken, or hostile.") from None
    except SecurityError as error:
        raise TemplateError(f"the chat template does what a template may not: {_said(error)}.") from None
    except TemplateSyntaxError as error:
        raise TemplateError(f"the chat template is no Jinja: {_said(error)} (line {error.lineno}).") from None
    except JinjaError as error:
        raise TemplateError(_said(error)) from None
    except (RecursionError, MemoryError):
        raise TemplateError("the chat template was stopped: it nests too deeply.") from None
    except Exception as error:  # whatever a hostile template makes Python say
        raise TemplateError(f"the chat template failed: {type(error).__name__}: {_said(error)}.") from None


def _said(error: BaseException) -> str:
    words = str(error)
    return words if len(words) <= 2000 else words[:2000] + "…"
