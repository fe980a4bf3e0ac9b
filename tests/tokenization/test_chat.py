"""Chats as text: which template, what it is given, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from panpipe.errors import InputError, InvalidArgument, TemplateError, TokenizerError
from panpipe.tokenization import AutoTokenizer, Tokenizer

from .conftest import FOLDERS, shared

CHAT = [
    {"role": "user", "content": "안녕하세요? <b>"},
    {"role": "assistant", "content": "네, 반갑습니다."},
]
GREETING = "<|im_start|>system\n당신은 도우미입니다.<|im_end|>\n"
WRITTEN = GREETING + "<|im_start|>user\n안녕하세요? <b><|im_end|>\n<|im_start|>assistant\n네, 반갑습니다.<|im_end|>\n"


def text(template: str, chat: Any = None, **options: Any) -> Any:
    """The chat's text by a template."""
    return shared("qwen2").apply_chat_template(chat or CHAT, chat_template=template, tokenize=False, **options)


@pytest.mark.parametrize("name", ["qwen2", "smollm"])
def test_a_chat_is_written_by_the_checkpoints_template(name: str) -> None:
    tokenizer = shared(name)
    assert tokenizer.apply_chat_template(CHAT, tokenize=False) == WRITTEN
    prompt = tokenizer.apply_chat_template(CHAT[:1], tokenize=False, add_generation_prompt=True)
    assert prompt == WRITTEN[: WRITTEN.index("네")]
    ids = tokenizer.apply_chat_template(CHAT)
    assert tokenizer.decode(ids) == WRITTEN
    assert ids == tokenizer(WRITTEN, add_special_tokens=False).input_ids


def test_several_chats_are_written_at_once() -> None:
    tokenizer = shared("qwen2")
    both = [CHAT, CHAT[:1]]
    assert tokenizer.apply_chat_template(both, tokenize=False) == [
        tokenizer.apply_chat_template(chat, tokenize=False) for chat in both
    ]
    whole = tokenizer.apply_chat_template(both, padding=True, return_dict=True, return_tensors="np")
    assert whole["input_ids"].shape == whole["attention_mask"].shape
    cut = tokenizer.apply_chat_template(both, truncation=True, max_length=5)
    assert [len(ids) for ids in cut] == [5, 5]


def test_the_last_message_can_be_gone_on_with() -> None:
    tokenizer = shared("qwen2")
    assert tokenizer.apply_chat_template(CHAT, tokenize=False, continue_final_message=True) == WRITTEN.removesuffix(
        "<|im_end|>\n"
    )
    parts = [{"role": "user", "content": [{"type": "text", "text": "서울은 "}]}]
    by_part = "{% for part in messages[0].content %}<{{ part.text | trim }}>{% endfor %}"
    assert text(by_part, parts, continue_final_message=True) == "<서울은"
    assert parts[0]["content"][0]["text"] == "서울은 "  # the caller's own stays as it is
    with pytest.raises(InvalidArgument, match="one of the two"):
        tokenizer.apply_chat_template(CHAT, continue_final_message=True, add_generation_prompt=True)
    with pytest.raises(TemplateError, match="otherwise"):
        text("{{ messages[0].content | upper | length }}", continue_final_message=True)


def test_templates_have_what_transformers_gives_them() -> None:
    assert text("{{ eos_token }}{{ bos_token is defined }}") == "<|im_end|>False"
    assert text("{{ messages[0] | tojson }}") == '{"role": "user", "content": "안녕하세요? <b>"}'
    assert text("{{ tools[0] | tojson(indent=2) }}", tools=[{"a": 1}]) == '{\n  "a": 1\n}'
    assert text("{{ documents[0].title }}{{ mood }}", documents=[{"title": "T"}], mood="!") == "T!"
    assert len(text("{{ strftime_now('%Y-%m-%d') }}")) == 10
    loop = "{% for m in messages %}{% if loop.index == 2 %}{% break %}{% endif %}{{ m.role }}{% endfor %}"
    assert text(loop) == "user"
    assert (
        text("{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}")
        == "2"
    )
    assert text("{% generation %}{{ messages[1].content }}{% endgeneration %}") == "네, 반갑습니다."
    assert text("  {% if true %}\nx\n  {% endif %}\ny") == "x\ny"  # blocks leave no lines
    assert text("{% macro twice(x) %}{{ x ~ x }}{% endmacro %}{{ twice('ab') }}{{ 'a' ~ 1 ~ none }}") == "ababa1None"
    methods = "{{ ' aXb '.strip().split('X') | join('-') }}{{ 'abc'[::-1] }}{{ messages[-1].get('role').title() }}"
    assert text(methods) == "a-bcbaAssistant"
    rows = "{% for k, v in {'b': 1, 'a': [2, 3]}.items() %}{{ k }}={{ v }};{% endfor %}{{ [3, 1] | sort | first }}"
    assert text(rows) == "b=1;a=[2, 3];1"
    assert text("{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='role') | list }}") == "['user']"


def test_named_templates_are_chosen_by_name_and_by_tools() -> None:
    tokenizer = AutoTokenizer.from_pretrained(FOLDERS / "qwen2")
    tokenizer.chat_template = {"default": "d", "tool_use": "t{{ tools | length }}", "rag": "r"}
    assert tokenizer.apply_chat_template(CHAT, tokenize=False) == "d"
    assert tokenizer.apply_chat_template(CHAT, tokenize=False, tools=[{}]) == "t1"
    assert tokenizer.apply_chat_template(CHAT, tokenize=False, chat_template="rag") == "r"
    assert tokenizer.get_chat_template("rag") == "r"
    tokenizer.chat_template = {"rag": "r", "other": "o"}
    with pytest.raises(TemplateError, match="other, rag"):
        tokenizer.apply_chat_template(CHAT)


@pytest.mark.parametrize("form", ["list", "files", "one"])
def test_templates_are_read_and_saved_in_every_form(form: str, tmp_path: Path) -> None:
    folder = tmp_path / "it"
    shutil.copytree(FOLDERS / "smollm", folder)
    expected: Any = {"default": "d", "tool_use": "t\n"}
    if form == "list":
        (folder / "chat_template.jinja").unlink()
        config = json.loads((folder / "tokenizer_config.json").read_text())
        config["chat_template"] = [{"name": name, "template": template} for name, template in expected.items()]
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
    elif form == "files":
        (folder / "chat_template.jinja").write_text("d")
        (folder / "additional_chat_templates").mkdir()
        (folder / "additional_chat_templates" / "tool_use.jinja").write_text("t\n")
    else:
        expected = "{# 하나 #}x"
        (folder / "chat_template.jinja").write_text(expected, encoding="utf-8")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.chat_template == expected
    files = tokenizer.save_pretrained(tmp_path / "saved")
    assert all(Path(file).is_file() for file in files)
    assert AutoTokenizer.from_pretrained(tmp_path / "saved").chat_template == expected


@pytest.mark.parametrize(
    ("chat", "said"),
    [
        ([], "empty"),
        ("hello", "list of messages"),
        ({"role": "user", "content": "a"}, "list of messages"),
        ([{"content": "a"}], "no 'role'"),
        ([{"rolle": "user", "content": "a"}], "mean 'rolle'|mean"),
        ([{"role": "user"}], "no 'content'"),
        (["hello"], "message 0"),
        ([CHAT, []], "conversation 1"),
        ([CHAT, [{"role": "user"}]], "conversation 1: message 0"),
    ],
)
def test_what_is_no_chat_is_an_input_error(chat: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        shared("qwen2").apply_chat_template(chat)


def test_a_template_may_refuse_a_chat_in_its_own_words() -> None:
    with pytest.raises(TemplateError, match=r"^Roles must alternate!$"):
        text("{{ raise_exception('Roles must alternate!') }}")


def test_without_a_template_the_error_says_so() -> None:
    with pytest.raises(TemplateError, match="no chat template"):
        shared("gpt2").apply_chat_template(CHAT)


def test_arguments_that_exclude_each_other_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="return_dict"):
        shared("qwen2").apply_chat_template(CHAT, tokenize=False, return_dict=True)
    with pytest.raises(InvalidArgument, match="return_assistant_tokens_mask"):
        shared("qwen2").apply_chat_template(CHAT, return_assistant_tokens_mask=True)
    with pytest.raises(InvalidArgument, match="JSON schema"):
        text("x", tools=[len])
    with pytest.raises(InvalidArgument, match="document"):
        text("x", documents=["a"])


@pytest.mark.parametrize("value", [5, [1], [{"name": "a"}], {"a": 1}, [{"name": "a", "template": 2}]])
def test_a_template_of_the_wrong_kind_is_refused(value: Any) -> None:
    with pytest.raises(TokenizerError, match="chat_template"):
        AutoTokenizer.from_pretrained(FOLDERS / "gpt2", chat_template=value)


def test_a_long_chat_is_within_the_limits() -> None:
    long = [{"role": ("user", "assistant")[turn % 2], "content": "긴 이야기 " * 200} for turn in range(2000)]
    template = shared("qwen2").get_chat_template()
    assert len(text(template, long)) > 2_000_000


def test_rendering_leaves_the_tokenizer_as_it_was(bert: Tokenizer) -> None:
    before = dict(bert.__dict__)
    bert.apply_chat_template(CHAT, chat_template="{{ messages[0].role }}")
    assert dict(bert.__dict__) == before
