"""Hostile chat templates: stopped at once, by an error of ours, whatever they try."""

from __future__ import annotations

import resource
import time
from typing import Any

import pytest

from panpipe.errors import TemplateError
from panpipe.tokenization import AutoTokenizer
from panpipe.tokenization.sandbox import render

from ..tokenization.conftest import shared

MESSAGES = [{"role": "user", "content": "안녕"}]
SECONDS = 8.0  # of the processor's time; the limit is 5, looked at now and then
MEGABYTES = 700
_GROW = "{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = "

BOMBS = {
    "range": "{% for i in range(10 ** 9) %}{% endfor %}",
    "nested loops": "{% for i in range(99999) %}" * 4 + "x" + "{% endfor %}" * 4,
    "empty nested loops": "{% for i in range(99999) %}" * 3 + "{% endfor %}" * 3,
    "long words in loops": "{% for i in range(99999) %}" + "x" * 100_000 + "{% endfor %}",
    "macro that calls itself": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "macro that calls itself twice": "{% macro f(n) %}"
    "{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    "recursive loop": "{% for i in [1] recursive %}{{ loop([1, 1]) }}{% endfor %}",
    "repeated text": "{{ 'a' * 10 ** 10 }}",
    "repeated list": "{{ [1] * 10 ** 9 }}",
    "repeated from the right": "{{ 10 ** 10 * 'a' }}",
    "power": "{{ 10 ** (10 ** 10) }}",
    "power of powers": "{% set ns = namespace(x=9) %}{% for i in range(99) %}{% set ns.x = ns.x ** 9 %}{% endfor %}",
    "products": "{% set ns = namespace(x=99) %}{% for i in range(99) %}{% set ns.x = ns.x * ns.x %}{% endfor %}",
    "doubled by ~": _GROW + "ns.x ~ ns.x %}{% endfor %}",
    "doubled by +": _GROW + "ns.x + ns.x %}{% endfor %}",
    "doubled by %": _GROW + "'%s%s' % (ns.x, ns.x) %}{% endfor %}",
    "doubled by replace": _GROW + "ns.x | replace('a', ns.x) %}{% endfor %}",
    "doubled by replace's names": _GROW + "ns.x | replace(new=ns.x, old='a') %}{% endfor %}",
    "doubled by the method": _GROW + "ns.x.replace('a', ns.x) %}{% endfor %}",
    "doubled by replacing nothing": _GROW + "ns.x.replace('', ns.x) %}{% endfor %}",
    "doubled by join": _GROW + "[ns.x, ns.x] | join(ns.x) %}{% endfor %}",
    "doubled by the join of a text": _GROW + "ns.x.join(ns.x) %}{% endfor %}",
    "doubled by a list": _GROW + "[ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
    "doubled by a list, compared": _GROW + "[ns.x, ns.x] %}{% endfor %}{{ ns.x == [ns.x] }}",
    "doubled by a dictionary": _GROW + "{'a': ns.x, 'b': ns.x} %}{% endfor %}{{ ns.x | tojson }}",
    "doubled by dict()": _GROW + "dict(a=ns.x, b=ns.x) %}{% endfor %}{{ ns.x | upper }}",
    "doubled by dict(), compared": _GROW + "dict(a=ns.x, b=ns.x) %}{% endfor %}{{ ns.x == dict(ns.x) }}",
    "doubled by a macro's arguments": "{% set ns = namespace(x=[1]) %}"
    "{% macro f() %}{% set ns.x = varargs %}{% endmacro %}"
    "{% for i in range(99) %}{{ f(ns.x, ns.x) }}{% endfor %}{{ ns.x | upper }}",
    "doubled by batches": "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}"
    "{% set ns.x = ns.x | batch(9, ns.x) | list %}{% endfor %}{{ ns.x | lower }}",
    "doubled by a block": _GROW + "ns.x %}{% set y %}{{ ns.x }}{{ ns.x }}{% endset %}{% set ns.x = y %}{% endfor %}",
    "joined by a long text": "{% set s = 'a' * 1000000 %}{{ range(99999) | join(s) }}",
    "joined by a long text, lazily": "{% set s = 'a' * 1000000 %}{{ range(99999) | map('string') | join(s) }}",
    "joined by a long text's method": "{% set s = 'a' * 1000000 %}{{ s.join(range(99999) | map('string')) }}",
    "centred": "{{ 'a' | center(10 ** 10) }}",
    "centred by the method": "{{ 'a'.center(10 ** 10) }}",
    "padded": "{{ 'a'.zfill(10 ** 10) ~ 'a'.ljust(10 ** 10) }}",
    "indented": "{{ ('a\n' * 1000) | indent(10 ** 8) }}",
    "indented by a text": "{% set s = 'a' * 1000000 %}{{ ('a\n' * 1000000) | indent(s) }}",
    "indented JSON": "{{ [1] | tojson(indent=10 ** 10) }}",
    "batches": "{{ [1] | batch(10 ** 9, 'x') | list }}",
    "slices": "{{ [1] | slice(10 ** 9) | list }}",
    "rounded": "{{ 1.5 | round(10 ** 9) }}",
    "wide format": "{{ '%1000000000d' % 1 }}",
    "wide format by an argument": "{{ '%*d' % (10 ** 9, 1) }}",
    "repeated format": "{% set s = 'a' * 1000000 %}{{ ('%(s)s' * 10000) % {'s': s} }}",
    "str.format": "{{ '{:>1000000000}'.format(1) }}",
    "str.format_map": "{{ '{a:>1000000000}'.format_map({'a': 1}) }}",
    "translate": "{{ ('a' * 1000000).translate({97: 'b' * 100000}) }}",
    "expandtabs": "{{ '\t'.expandtabs(10 ** 10) }}",
    "bytes of a number": "{{ (5).to_bytes(10 ** 10, 'big') }}",
    "wide date": "{{ strftime_now('%1000000000d') }}",
    "sum of lists": "{{ ([[1]] * 99999) | sum(start=[]) }}",
    "copied slices": "{% set s = 'a' * 1000000 %}{% for i in range(99999) %}{% set y = s[::-1] %}{% endfor %}",
    "compared texts": "{% set a = 'a' * 4000000 %}{% set b = a ~ '' %}"
    "{% for i in range(99999) %}{% if a == b %}{% endif %}{% endfor %}",
    "written blocks": "{% set s = 'a' * 1000000 %}"
    "{% set y %}{% for i in range(99999) %}{{ s }}{% endfor %}{% endset %}",
    "lipsum": "{{ lipsum(n=100000) }}",
    "nested brackets": "{{ " + "(" * 20_000 + "1" + ")" * 20_000 + " }}",
    "nested lists": "{{ " + "[" * 20_000 + "]" * 20_000 + " }}",
    "nested ifs": "{% if 1 %}" * 5_000 + "{% endif %}" * 5_000,
    "many loops in loops": "{% for i in [1] %}" * 30 + "{% endfor %}" * 30,
    "long sum": "{{ " + "1+" * 50_000 + "1 }}",
    "too long": "x" * 400_000,
}

ESCAPES = {
    "class": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "class by attr": "{{ '' | attr('__class__') }}",
    "class by item": "{{ ''['__class__'] }}",
    "class by map": "{{ [''] | map(attribute='__class__') | list }}",
    "globals of a function": "{{ raise_exception.__globals__ }}",
    "globals of a macro": "{% macro f() %}{% endmacro %}{{ f.__init__.__globals__ }}",
    "changed list": "{{ messages.append(1) }}",
    "changed dictionary": "{{ messages[0].update({'role': 'x'}) }}",
    "included file": "{% include '/etc/passwd' %}",
    "imported file": "{% import '/etc/passwd' as x %}",
    "base template": "{% extends '/etc/passwd' %}",
    "imports": "{{ self.__init__.__globals__.__builtins__ }}",
    "generator's frame": "{{ (messages | map('string')).gi_frame }}",
}

BROKEN = {
    "no end": "{% for m in messages %}",
    "no such filter": "{{ 1 | nothing }}",
    "no such tag": "{% nothing %}",
    "key that is missing": "{{ messages[0].nothing.more }}",
    "index that is missing": "{{ messages[5].role }}",
    "sum of text and number": "{{ 'a' + 1 }}",
    "division by nothing": "{{ 1 / 0 }}",
    "number of many digits": "{{ ('9' * 5000) | int + 1 }}",
    "lone surrogate in strftime": "{{ strftime_now('\ud800') }}",
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_template_without_end_is_stopped(name: str) -> None:
    begin, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(TemplateError) as caught:
        render(BOMBS[name], {"messages": MESSAGES})
    assert time.process_time() - begin < SECONDS
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < MEGABYTES
    assert len(str(caught.value)) < 3000


@pytest.mark.parametrize("name", ESCAPES)
def test_a_template_reaches_nothing_outside_the_chat(name: str) -> None:
    messages: list[Any] = [dict(message) for message in MESSAGES]
    try:
        text = render(ESCAPES[name], {"messages": messages})
    except TemplateError:
        text = ""
    assert "class" not in text and "module" not in text and "root:" not in text
    assert messages == MESSAGES


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_template_is_an_error_of_ours(name: str) -> None:
    try:
        render(BROKEN[name], {"messages": MESSAGES})
    except TemplateError as error:
        assert str(error)


def test_a_template_is_not_run_when_a_checkpoint_is_loaded(tmp_path: Any) -> None:
    folder = tmp_path / "it"
    shared("qwen2").save_pretrained(folder)
    (folder / "chat_template.jinja").write_text(BOMBS["nested loops"])
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with pytest.raises(TemplateError, match="stopped"):
        tokenizer.apply_chat_template(MESSAGES)


def test_a_namespace_shows_nothing_of_itself() -> None:
    grown = "{% set ns = namespace(x=1) %}{% for i in range(99) %}{% set n = namespace(a=ns.x, b=ns.x) %}"
    grown += "{% set ns.x = n %}{% set n.c = n %}{% endfor %}{{ ns.x }}{{ ns.x | upper }}"
    assert render(grown, {"messages": MESSAGES}) == "<Namespace><NAMESPACE>"


def test_one_rendering_does_not_use_up_the_next_ones_budget() -> None:
    template = "{% for i in range(50000) %}ab{% endfor %}"
    for _ in range(8):
        assert len(render(template, {"messages": MESSAGES})) == 100_000
