"""Makes the tiny checkpoints and the recorded answers of text generation, summarization and translation.

    python tests/golden/make_pipelines_c.py        (in an environment with transformers 4.57.6 and PyTorch)

Writes tests/golden/pipelines_c/<family>/: a random model of some thousand weights (float16), for one of the tokenizers
in tests/golden/tokenizers; and answers.jsonl: the calls in `cases()` with what transformers answered.
The weights are drawn widely, so that no two texts are near each other by chance.
"""

from __future__ import annotations

import json
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
import transformers
from safetensors.torch import load_file, save_file

HERE = Path(__file__).parent / "pipelines_c"
TOKENIZERS = Path(__file__).parent / "tokenizers"
LIMIT = 64

MAX_LENGTHS = {"bart": LIMIT, "t5": 512}  # of tokenizers whose files say otherwise

# family: (tokenizer, model_type)
FAMILIES = {
    "gpt2": ("gpt2", "gpt2"),
    "llama": ("smollm", "llama"),
    "bart": ("bart", "bart"),
    "t5": ("t5", "t5"),
    "marian": ("marian", "marian"),
    "mbart": ("mbart50", "mbart"),
    "m2m_100": ("m2m100", "m2m_100"),
    "nllb": ("nllb", "m2m_100"),
}
CODES = {  # Korean, English, French
    "mbart": ("ko_KR", "en_XX", "fr_XX"),
    "m2m_100": ("ko", "en", "fr"),
    "nllb": ("kor_Hang", "eng_Latn", "fra_Latn"),
}
HEADS = {"gpt2": "CausalLM", "llama": "CausalLM"}

T5_TASKS = {
    "summarization": {
        "early_stopping": True,
        "max_length": 24,
        "min_length": 5,
        "num_beams": 3,
        "prefix": "summarize: ",
    },
    "translation_en_to_de": {"max_length": 15, "num_beams": 2, "prefix": "translate English to German: "},
    "translation_en_to_fr": {"max_length": 15, "num_beams": 2, "prefix": "translate English to French: "},
}


# -- models ----------------------------------------------------------------------------------------------------------


def sizes_of(model_type: str) -> dict[str, Any]:
    if model_type == "gpt2":
        return {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": LIMIT, "tie_word_embeddings": False}
    if model_type == "llama":
        return {
            "hidden_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "intermediate_size": 24,
            "max_position_embeddings": 2 * LIMIT,  # the chat template alone takes 60
        }
    if model_type == "t5":
        sizes = {"d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 2}
        return {**sizes, "tie_word_embeddings": False, "task_specific_params": T5_TASKS}
    layers = {f"{side}_layers": 2 for side in ("encoder", "decoder")}
    heads = {f"{side}_attention_heads": 2 for side in ("encoder", "decoder")}
    widths = {f"{side}_ffn_dim": 24 for side in ("encoder", "decoder")}
    return {"d_model": 16, "max_position_embeddings": LIMIT, **layers, **heads, **widths}


def config_of(family: str, tokenizer: Any) -> Any:
    model_type = FAMILIES[family][1]
    ids = {name: getattr(tokenizer, name) for name in ("pad_token_id", "bos_token_id", "eos_token_id")}
    values: dict[str, Any] = {**sizes_of(model_type), **ids, "vocab_size": len(tokenizer)}
    if family == "bart":
        values |= {"decoder_start_token_id": 2, "forced_bos_token_id": 0, "forced_eos_token_id": 2, "prefix": " "}
        values |= {"task_specific_params": {"summarization": {"length_penalty": 2.0, "min_length": 4}}}
    if family == "marian":
        values |= {"decoder_start_token_id": tokenizer.pad_token_id, "forced_eos_token_id": 0}
    if family == "t5":
        values |= {"decoder_start_token_id": 0}
    if family in CODES:
        values |= {"decoder_start_token_id": 2, "forced_eos_token_id": 2}
    if family == "gpt2":
        values |= {"task_specific_params": {"text-generation": {"do_sample": True, "max_length": 30}}}
    return transformers.AutoConfig.for_model(model_type, **values)


def generation_of(family: str) -> dict[str, Any]:
    """What the checkpoint says of generation, beside its tokens."""
    return {
        "bart": {"max_length": 30, "num_beams": 2, "no_repeat_ngram_size": 3, "early_stopping": True},
        "marian": {"max_length": 32, "num_beams": 3},
        "llama": {"do_sample": True, "temperature": 0.6, "top_p": 0.95},
    }.get(family, {})


def make_model(family: str, seed: int) -> None:
    torch.manual_seed(seed)
    tokenizer = transformers.AutoTokenizer.from_pretrained(TOKENIZERS / FAMILIES[family][0])
    kind = getattr(transformers, f"AutoModelFor{HEADS.get(family, 'Seq2SeqLM')}")
    model = kind.from_config(config_of(family, tokenizer))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            is_norm = weight.dim() == 1 and "norm" in name.lower() and not name.endswith("bias")
            spread = 0.7 if weight.dim() == 2 else 0.1
            weight.copy_((torch.randn_like(weight) * spread + float(is_norm or ".ln_" in name)).half().float())
        if family == "marian":
            model.final_logits_bias.copy_(torch.randn_like(model.final_logits_bias).half().float())
    model.generation_config.update(**generation_of(family))
    folder = HERE / family
    model.save_pretrained(folder)
    file = folder / "model.safetensors"
    save_file({name: tensor.half() for name, tensor in load_file(file).items()}, file, {"format": "pt"})


# -- what is asked ---------------------------------------------------------------------------------------------------

ENGLISH = "The quick brown fox lives in London."
KOREAN = "서울은 대한민국의 수도이다."
TEXTS = [ENGLISH, KOREAN, "Paris is the capital of France; Berlin is that of Germany.", "hello"]
CHAT = [{"role": "user", "content": "어디에 사세요?"}]
LONG = " ".join(TEXTS * 5)


def cases() -> Iterator[dict[str, Any]]:
    """{task, family, make: arguments of the pipeline, call: positional arguments, options: keyword arguments}."""
    for family in ("gpt2", "llama"):
        yield from ({"family": family, **case} for case in text_generation())
    yield from ({"family": "llama", **case} for case in chats())
    for family in ("bart", "t5"):
        yield from ({"family": family, **case} for case in summarization(family))
        yield from ({"family": family, **case} for case in text2text())
    yield from ({"family": "marian", **case} for case in translation("translation", "marian"))
    yield from ({"family": "t5", **case} for case in translation("translation_en_to_fr", "t5"))
    yield from ({"family": "t5", **case} for case in translation("translation", "t5"))
    for family in CODES:
        yield from ({"family": family, **case} for case in multilingual(family))


def case(task: str, *call: Any, make: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    return {"task": task, "make": make or {}, "call": list(call), "options": options}


def text_generation() -> Iterator[dict[str, Any]]:
    greedy = {"do_sample": False, "max_new_tokens": 8}
    task = "text-generation"
    for text in TEXTS:
        yield case(task, text, **greedy)
        yield case(task, text, **greedy, return_full_text=False)
    yield case(task, TEXTS, **greedy)
    yield case(task, [ENGLISH], **greedy)
    yield case(task, [KOREAN, KOREAN], **greedy)
    yield case(task, ENGLISH, **greedy, return_tensors=True)
    yield case(task, [ENGLISH, KOREAN], **greedy, return_tensors=True)
    yield case(task, ENGLISH, do_sample=False, num_beams=3, num_return_sequences=2, max_new_tokens=6)
    yield case(task, [ENGLISH, "hello"], do_sample=False, num_beams=2, num_return_sequences=2, max_new_tokens=6)
    yield case(task, KOREAN, **greedy, clean_up_tokenization_spaces=False, skip_special_tokens=False)
    yield case(task, ENGLISH, **greedy, prefix="hello there ")
    yield case(task, ENGLISH, **greedy, prefix="")
    yield case(task, "", do_sample=False, max_new_tokens=5)
    yield case(task, ENGLISH, make={"max_new_tokens": 4, "repetition_penalty": 1.3}, do_sample=False)
    yield case(task, ENGLISH, make={"max_new_tokens": 4}, do_sample=False, max_new_tokens=6, repetition_penalty=1.4)
    yield case(task, LONG[:120], do_sample=False, max_new_tokens=10, handle_long_generation="hole")
    yield case(task, ENGLISH, **greedy, min_new_tokens=8, no_repeat_ngram_size=2, bad_words_ids=[[5], [7, 9]])
    yield case(task, ENGLISH, handle_long_generation="cut")
    yield case(task, ENGLISH, return_full_text=True, return_tensors=True)
    yield case(task, ENGLISH, return_full_text=True, return_text=True)


def chats() -> Iterator[dict[str, Any]]:
    greedy = {"do_sample": False, "max_new_tokens": 8}
    prefilled = [*CHAT, {"role": "assistant", "content": "저는"}]
    task = "text-generation"
    yield case(task, CHAT, **greedy)
    yield case(task, [CHAT, prefilled], **greedy)
    yield case(task, CHAT, **greedy, return_full_text=False)
    yield case(task, prefilled, **greedy)
    yield case(task, prefilled, **greedy, return_full_text=False)
    yield case(task, prefilled, **greedy, continue_final_message=False)
    yield case(task, CHAT, **greedy, continue_final_message=True)
    yield case(task, CHAT, **greedy, return_tensors=True)
    yield case(task, [{"role": "user"}], **greedy)


def text2text() -> Iterator[dict[str, Any]]:
    task = "text2text-generation"
    yield case(task, ENGLISH, max_new_tokens=8)
    yield case(task, [ENGLISH, KOREAN], max_new_tokens=8, num_beams=1)
    yield case(task, ENGLISH, max_new_tokens=8, num_return_sequences=2)
    yield case(task, ENGLISH, max_new_token=8)


def summarization(family: str) -> Iterator[dict[str, Any]]:
    # T5's max_length is never the one that transformers counts; ours is, so it gets the same number both ways.
    task, own = "summarization", {"max_new_tokens": 10} if family == "t5" else {}
    for text in TEXTS:
        yield case(task, text, **own)
    yield case(task, TEXTS, **own)
    yield case(task, [ENGLISH], max_new_tokens=7)
    yield case(task, [ENGLISH, KOREAN], num_beams=4, num_return_sequences=3, max_new_tokens=7)
    yield case(task, ENGLISH, num_beams=4, num_return_sequences=3, max_new_tokens=7)
    yield case(task, ENGLISH, return_tensors=True, max_new_tokens=7)
    yield case(task, ENGLISH, return_text=False, max_new_tokens=7)
    yield case(task, KOREAN, clean_up_tokenization_spaces=True, max_new_tokens=9)
    yield case(task, LONG, truncation=True, max_new_tokens=7)
    yield case(task, [])
    yield case(task, ENGLISH, make={"max_new_tokens": 5, "num_beams": 1}, num_beams=2)
    yield case(task, ENGLISH, max_lenth=8)
    yield case(task, ENGLISH, make={"max_lenth": 8})
    if family == "bart":
        yield case(task, ENGLISH, max_length=14, min_length=3)
        yield case(task, ENGLISH, max_length=50, min_length=60, num_beams=1)
        yield case(task, ENGLISH, max_length=14, min_length=3, do_sample=False, num_beams=1)


def translation(task: str, family: str) -> Iterator[dict[str, Any]]:
    own = {"max_new_tokens": 9} if family == "t5" else {}
    for text in TEXTS:
        yield case(task, text, **own)
    yield case(task, TEXTS, **own)
    yield case(task, TEXTS, max_new_tokens=6, num_beams=1)
    yield case(task, ENGLISH, num_beams=3, num_return_sequences=2, max_new_tokens=6)
    yield case(task, ENGLISH, return_tensors=True, max_new_tokens=6)
    yield case(task, LONG, truncation=True, max_new_tokens=6)
    yield case(task, f">>kor<< {ENGLISH}", max_new_tokens=6)


def multilingual(family: str) -> Iterator[dict[str, Any]]:
    korean, english, french = CODES[family]
    task = "translation"
    few = {"max_new_tokens": 7}
    yield case(task, KOREAN, src_lang=korean, tgt_lang=english, **few)
    yield case(task, TEXTS, src_lang=english, tgt_lang=korean, **few)
    yield case(task, TEXTS, make={"src_lang": english, "tgt_lang": french, **few})
    yield case(task, KOREAN, make={"src_lang": english, "tgt_lang": french, **few}, src_lang=korean)
    yield case(task, ENGLISH, src_lang=english, tgt_lang=korean, num_return_sequences=2, **few)
    yield case(task, LONG, src_lang=english, tgt_lang=korean, truncation=True, **few)
    yield case(task, KOREAN)
    yield case(task, KOREAN, src_lang=korean)
    if family == "m2m_100":
        yield case("translation_ko_to_en", KOREAN, **few)


# -- the answers -----------------------------------------------------------------------------------------------------


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value.tolist() if hasattr(value, "tolist") else value


def answer(asked: dict[str, Any], pipes: dict[tuple[str, str, str], Any]) -> dict[str, Any]:
    """{"output"}, or {"error": the built-in class that it is}; and what was logged of lengths."""
    key = (asked["task"], asked["family"], json.dumps(asked["make"]))
    if key not in pipes:
        tokenizer: Any = str(TOKENIZERS / FAMILIES[asked["family"]][0])
        if asked["family"] in MAX_LENGTHS:
            tokenizer = (tokenizer, {"model_max_length": MAX_LENGTHS[asked["family"]]})
        pipes[key] = transformers.pipeline(
            asked["task"],
            str(HERE / asked["family"]),
            tokenizer=tokenizer,
            dtype=torch.float32,
            device="cpu",
            **asked["make"],
        )
    said = Said()
    logger = logging.getLogger("transformers")
    logger.addHandler(said)
    try:
        found: dict[str, Any] = {"output": plain(pipes[key](*asked["call"], **asked["options"]))}
    except Exception as error:
        kinds = [kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "builtins"]
        found = {"error": kinds[0]}
    finally:
        logger.removeHandler(said)
    return {**found, "said": said.lines}


class Said(logging.Handler):
    """Keeps the warnings about lengths."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        line = record.getMessage()
        if line.startswith("Your "):
            self.lines.append(line)


def main() -> None:
    transformers.logging.set_verbosity_warning()
    transformers.logging.disable_default_handler()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    for number, family in enumerate(FAMILIES):
        make_model(family, 300 + number)
    pipes: dict[tuple[str, str, str], Any] = {}
    lines = [json.dumps({**asked, **answer(asked, pipes)}, ensure_ascii=False) for asked in cases()]
    (HERE / "answers.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(len(lines), "answers")


if __name__ == "__main__":
    main()
