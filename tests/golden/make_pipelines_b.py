"""Makes the tiny checkpoints and the recorded answers of fill-mask, token classification and question answering.

    python tests/golden/make_pipelines_b.py        (in an environment with transformers 4.57.6, PyTorch and tokenizers)

Writes tests/golden/pipelines_b/<family>/: a tokenizer trained on the sentences below and, for each task, a random model
of some thousand weights (float16); and answers.jsonl: the calls in `cases()` with what transformers answered.
The weights are drawn widely, so that no two answers are near each other by chance.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from tokenizers import decoders as decode

HERE = Path(__file__).parent / "pipelines_b"

SENTENCES = [
    "My name is Sarah and I live in London.",
    "My name is Wolfgang and I work at Hugging Face in Brooklyn, New York.",
    "The course teaches you about pipelines, tokenizers and models.",
    "Paris is the capital of France; Berlin is that of Germany.",
    "I've been waiting for a course like this my whole life!",
    "U.S. officials met Mr. Smith-Jones (London) on 12 March 2024.",
    "서울은 대한민국의 수도이다.",
    "김철수는 서울에 살고 삼성전자에서 일한다.",
    "부산에서 열린 영화제에 박지민이 참석했다.",
    "저는 제주도로 여행을 가고 싶습니다.",
    "東京は日本の首都です。トヨタの本社は愛知県にあります。",
    "私の名前は田中です。大阪に住んでいます。",
    "北京是中国的首都，马云在杭州工作。",
    "Je m'appelle Jean-Baptiste et je vis à Montréal.",
    "L'école est fermée à Noël.",
    "مرحبا بالعالم في القاهرة",
    "I ❤️ New York 😀👍🏽 and 서울!",
]

BIO = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC", "B-MISC", "I-MISC"]
LABELS = {
    "bert": BIO,
    "distilbert": ["O", "PER", "GPE-LOC", "ORG", "EVENT-OTHER"],
    "roberta": ["O", *(f"{role}-{kind}" for kind in ("PER", "LOC") for role in "BIES")],
    "xlm-roberta": ["O", "B-GPE-LOC", "I-GPE-LOC", "B-PER", "I-PER", "MISC"],
    "electra": ["O", *(f"{kind}-{role}" for kind in ("PER", "LOC", "ORG") for role in "BI")],
    "albert": ["LABEL_0", "LABEL_1", "LABEL_2"],
    "mpnet": BIO,
}
HEADS = {
    "fill-mask": "MaskedLM",
    "token-classification": "TokenClassification",
    "question-answering": "QuestionAnswering",
}
SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
LIMIT = 64


# -- tokenizers ------------------------------------------------------------------------------------------------------

BERT_SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ROBERTA_SPECIALS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def wordpiece(lowercase: bool) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    # Accents stay: where normalising changes lengths, transformers takes parts of words for words, which is not copied.
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase, strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decode.WordPiece()
    tokenizer.train_from_iterator(SENTENCES, trainers.WordPieceTrainer(vocab_size=420, special_tokens=BERT_SPECIALS))
    ends = [(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        "[CLS]:0 $A:0 [SEP]:0", "[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1", ends
    )
    return tokenizer


def byte_level() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decode.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420, special_tokens=ROBERTA_SPECIALS, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), True, False)
    return tokenizer


def unigram(specials: list[str], cls: str, sep: str) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tokenizer.decoder = decode.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=380, special_tokens=specials, unk_token="<unk>")
    tokenizer.train_from_iterator(SENTENCES, trainer)
    ends = [(name, tokenizer.token_to_id(name)) for name in (cls, sep)]
    double = sep if sep == "[SEP]" else f"{sep} {sep}"
    tokenizer.post_processor = processors.TemplateProcessing(f"{cls} $A {sep}", f"{cls} $A {double} $B:1 {sep}:1", ends)
    return tokenizer


def tokenizer_of(family: str) -> Any:
    limit = {"model_max_length": LIMIT}
    if family in ("bert", "distilbert", "electra"):
        cased = family != "electra"
        made = {"bert": transformers.BertTokenizerFast, "distilbert": transformers.DistilBertTokenizerFast}
        kind = made.get(family, transformers.ElectraTokenizerFast)
        return kind(tokenizer_object=wordpiece(not cased), do_lower_case=not cased, strip_accents=False, **limit)
    if family == "mpnet":
        names = dict(
            zip(("cls_token", "pad_token", "sep_token", "unk_token", "mask_token"), ROBERTA_SPECIALS, strict=True)
        )
        tokenizer = byte_level()
        return transformers.PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, **names, **limit, model_input_names=["input_ids", "attention_mask"]
        )
    if family == "roberta":
        return transformers.RobertaTokenizerFast(tokenizer_object=byte_level(), **limit)
    if family == "xlm-roberta":
        return transformers.XLMRobertaTokenizerFast(tokenizer_object=unigram(ROBERTA_SPECIALS, "<s>", "</s>"), **limit)
    specials = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]
    return transformers.AlbertTokenizerFast(tokenizer_object=unigram(specials, "[CLS]", "[SEP]"), **limit)


# -- models ----------------------------------------------------------------------------------------------------------


def config_of(family: str, task: str, tokenizer: Any) -> Any:
    labels = LABELS[family] if task == "token-classification" else ["LABEL_0", "LABEL_1"]
    offset = {"roberta": 2, "xlm-roberta": 2, "mpnet": 2}.get(family, 0)
    values: dict[str, Any] = {
        **SIZES,
        "vocab_size": len(tokenizer),
        "max_position_embeddings": LIMIT + offset,
        "pad_token_id": tokenizer.pad_token_id,
        "id2label": dict(enumerate(labels)),
        "label2id": {label: index for index, label in enumerate(labels)},
        "initializer_range": 0.4,
    }
    if family == "distilbert":
        values |= {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24}
    if family in ("roberta", "xlm-roberta"):
        values |= {"type_vocab_size": 1}
    if family in ("electra", "albert"):
        values |= {"embedding_size": 12}
    return transformers.AutoConfig.for_model(family, **values)


def make_model(family: str, task: str, tokenizer: Any, seed: int) -> None:
    torch.manual_seed(seed)
    config = config_of(family, task, tokenizer)
    model = getattr(transformers, f"AutoModelFor{HEADS[task]}").from_config(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            wide = weight.dim() == 2 and any(part in name for part in ("classifier", "qa_outputs", "word_embeddings"))
            spread = 1.0 if wide else 0.4 if weight.dim() == 2 else 0.1
            weight.copy_(
                (torch.randn_like(weight) * spread + (1.0 if "norm.weight" in name.lower() else 0.0)).half().float()
            )
    folder = HERE / family / task
    model.save_pretrained(folder)
    file = folder / "model.safetensors"
    save_file({name: tensor.half() for name, tensor in load_file(file).items()}, file, {"format": "pt"})
    for extra in folder.glob("generation_config.json"):
        extra.unlink()


# -- what is asked ---------------------------------------------------------------------------------------------------

TEXTS = {
    "english": "My name is Sarah and I live in London.",
    "punctuation": "U.S. officials met Mr. Smith-Jones (London), in New York!",
    "korean": "김철수는 서울에 살고 삼성전자에서 일한다.",
    "japanese": "東京は日本の首都です。トヨタの本社は愛知県にあります。",
    "chinese": "北京是中国的首都，马云在杭州工作。",
    "emoji": "I ❤️ New York 😀👍🏽 and 서울!",
    "accents": "Je m'appelle Jean-Baptiste; l'école à Montréal",
    "decomposed": "Montre\u0301al 서울",
    "line break": "Paris\nLondon\tBerlin",
    "unknown": "ⵣ ⴰⵎⴰⵣⵉⵖ in Paris",
    "arabic": "مرحبا بالعالم في القاهرة",
}
LONG = " ".join(SENTENCES[:7])


def cases() -> Iterator[dict[str, Any]]:
    """{task, family, make: arguments of the pipeline, call: positional arguments, options: keyword arguments}."""
    for family in LABELS:
        yield from (
            {"family": family, **case} for case in (*fill_mask(), *token_classification(family), *question_answering())
        )


def case(task: str, *call: Any, make: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    return {"task": task, "make": make or {}, "call": list(call), "options": options}


def fill_mask() -> Iterator[dict[str, Any]]:
    one, two = "My name is <mask> and I live in London.", "<mask> is the capital of <mask>."
    yield case("fill-mask", one)
    yield case("fill-mask", two, top_k=2)
    yield case("fill-mask", [one])
    yield case("fill-mask", [two], top_k=2)
    yield case("fill-mask", [one, two, "서울은 <mask> 수도이다."], top_k=1)
    yield case("fill-mask", "東京は<mask>の首都です。", top_k=3)
    yield case("fill-mask", "I ❤️ <mask> 😀", top_k=3)
    yield case("fill-mask", one, targets=["London", "Paris", "서울", "in", "in"], top_k=3)
    yield case("fill-mask", two, targets="London")
    yield case("fill-mask", [one, two], targets=["zzz", "my"], make={"top_k": 1})
    yield case("fill-mask", one, top_k=0)
    yield case("fill-mask", "<mask> " + LONG, top_k=2, tokenizer_kwargs={"truncation": True, "max_length": 20})


def token_classification(family: str) -> Iterator[dict[str, Any]]:
    for strategy in ("none", "simple", "first", "average", "max"):
        yield case("token-classification", list(TEXTS.values()), aggregation_strategy=strategy)
    yield case("ner", TEXTS["english"], make={"aggregation_strategy": "simple"})
    yield case("ner", [TEXTS["english"]], ignore_labels=[])
    yield case("ner", "", aggregation_strategy="simple")
    yield case("ner", TEXTS["english"], ignore_labels=["PER", "LOC"], aggregation_strategy="Simple")
    yield case("ner", LONG)
    yield case("ner", LONG, stride=8)
    for strategy in ("simple", "first", "max"):
        yield case("ner", LONG, stride=16, aggregation_strategy=strategy)
    if family not in ("roberta", "mpnet"):  # their tokenizers here take no split words
        words = ["Sarah", "lives", "in", "New", "York,", "서울에"]
        yield case("ner", words, is_split_into_words=True, aggregation_strategy="simple")
        yield case("ner", [words, words[:2]], is_split_into_words=True, delimiter="", aggregation_strategy="first")


def question_answering() -> Iterator[dict[str, Any]]:
    for text in TEXTS.values():
        yield case("question-answering", question="Where do I live?", context=text)
        yield case(
            "question-answering", question="어디에?", context=text, align_to_words=False, top_k=3, max_answer_len=4
        )
    contexts = list(TEXTS.values())[:3]
    asked = {"question": "Where?", "context": contexts[0]}
    yield case("question-answering", question="Who is it?", context=LONG, top_k=4)
    yield case("question-answering", question="Who is it?", context=LONG, doc_stride=20, max_seq_len=48, top_k=3)
    yield case("question-answering", question="Who?", context=LONG, handle_impossible_answer=True, top_k=5)
    yield case(
        "question-answering", question="Who?", context=contexts[1], handle_impossible_answer=True, max_answer_len=1
    )
    yield case("question-answering", question=["Who?", "Where?"], context=contexts[0])
    yield case("question-answering", question=["Who?", "Where?", "What?"], context=contexts, top_k=2)
    yield case("question-answering", asked)
    yield case("question-answering", [asked])
    yield case("question-answering", [asked, asked], make={"top_k": 2})
    yield case("question-answering", "Where?", contexts[0])
    yield case("question-answering", question="Where?", context="   ")
    yield case("question-answering", [])
    yield case("question-answering", question="Where?", context=LONG, padding="max_length", topk=2)


def with_mask(value: Any, mask: str) -> Any:
    """The call with the family's own mask token."""
    if isinstance(value, str):
        return value.replace("<mask>", mask)
    return [with_mask(item, mask) for item in value] if isinstance(value, list) else value


def plain(value: Any) -> Any:
    """As JSON keeps it: scores become floats of seven decimals."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    value = value.item() if hasattr(value, "item") else value
    return round(value, 7) if isinstance(value, float) else value


def answer(asked: dict[str, Any], pipes: dict[tuple[str, str], Any]) -> Any:
    task = {"ner": "token-classification"}.get(asked["task"], asked["task"])
    folder = HERE / asked["family"]
    key = (str(folder / task), json.dumps(asked["make"]))
    if key not in pipes:
        pipes[key] = transformers.pipeline(
            asked["task"], str(folder / task), tokenizer=str(folder), dtype=torch.float32, device="cpu", **asked["make"]
        )
    pipe = pipes[key]
    asked["call"] = with_mask(asked["call"], pipe.tokenizer.mask_token)
    return plain(pipe(*asked["call"], **asked["options"]))


def main() -> None:
    transformers.logging.set_verbosity_error()
    warnings.simplefilter("ignore")
    for number, family in enumerate(LABELS):
        tokenizer = tokenizer_of(family)
        tokenizer.save_pretrained(HERE / family)
        for task in HEADS:
            make_model(family, task, tokenizer, 100 + number)
    pipes: dict[tuple[str, str], Any] = {}
    lines = []
    for asked in cases():
        output = answer(asked, pipes)
        lines.append(json.dumps({**asked, "output": output}, ensure_ascii=False))
    (HERE / "answers.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(len(lines), "answers")


if __name__ == "__main__":
    main()
