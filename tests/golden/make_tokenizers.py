"""Make tests/golden/tokenizers: tiny tokenizers of every family and file form, and what transformers does.

Run in the oracle's environment, from the repository's root:  python tests/golden/make_tokenizers.py [name …]
Each folder holds the tokenizer's files and golden.json: for each text, pair and setting the ids, offsets, words …
"""

from __future__ import annotations

import json
import random
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sentencepiece
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer, M2M100Tokenizer

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.tokenization.texts import CALLS, PAIRS, TEXTS, WORDS

HERE = Path(__file__).parent / "tokenizers"
VOCABULARY = 420
BERT_SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def corpus(*languages: str) -> list[str]:
    """Sentences of the words that the texts are made of, in some languages or all."""
    chance = random.Random(7)
    return [
        " ".join(chance.choices(words, k=chance.randint(3, 12))) + "."
        for words in (WORDS[language] for language in languages or WORDS)
        for _ in range(150)
    ]


def word_piece(folder: Path, specials: list[str], lowercase: bool) -> None:
    """vocab.txt."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=VOCABULARY, special_tokens=specials, show_progress=False)
    tokenizer.train_from_iterator(corpus(), trainer)
    vocab = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token, _ in vocab), encoding="utf-8")


def byte_level(folder: Path, specials: list[str]) -> None:
    """vocab.json and merges.txt."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=specials,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(), trainer)
    tokenizer.model.save(str(folder))


def sentence_piece(folder: Path, name: str, kind: str, languages: Sequence[str] = (), **options: Any) -> None:
    """A sentencepiece model; its character map is made of a few rules, so that the file is small."""
    rules = folder / "rules.tsv"
    rules.write_text("FF21\t41\nFF22\t42\nFB01\t66 69\n3000\t20\n65 301\tE9\n", encoding="utf-8")
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=iter(corpus(*languages)),
        model_prefix=str(folder / "model"),
        model_type=kind,
        vocab_size=options.pop("vocab_size", VOCABULARY),
        normalization_rule_tsv=str(rules),
        hard_vocab_limit=False,
        minloglevel=2,
        **options,
    )
    (folder / "model.model").rename(folder / name)
    for left in ("rules.tsv", "model.vocab"):
        (folder / left).unlink()


def config(folder: Path, **settings: Any) -> None:
    """tokenizer_config.json."""
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")


def resave(folder: Path, *dropped: str) -> None:
    """The same as transformers saves it, with a tokenizer.json, less some files."""
    AutoTokenizer.from_pretrained(folder).save_pretrained(folder)
    for name in dropped:
        (folder / name).unlink()


def make_bert(folder: Path) -> None:
    word_piece(folder, BERT_SPECIALS, lowercase=True)
    config(folder, tokenizer_class="BertTokenizer", model_max_length=64)


def make_bert_cased_json(folder: Path) -> None:
    word_piece(folder, BERT_SPECIALS, lowercase=False)
    config(folder, tokenizer_class="BertTokenizer", do_lower_case=False, model_max_length=64)
    resave(folder, "vocab.txt")


def make_bert_overlaid(folder: Path) -> None:
    """tokenizer.json lowercases and stores truncation and padding; tokenizer_config.json says otherwise."""
    word_piece(folder, BERT_SPECIALS, lowercase=False)
    config(folder, tokenizer_class="BertTokenizer", model_max_length=64)
    resave(folder, "vocab.txt", "special_tokens_map.json")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(10)
    tokenizer.enable_padding(length=10, direction="left")
    tokenizer.save(str(folder / "tokenizer.json"))
    config(
        folder, tokenizer_class="BertTokenizer", do_lower_case=False, strip_accents=True, tokenize_chinese_chars=False
    )


def make_distilbert(folder: Path) -> None:
    word_piece(folder, BERT_SPECIALS, lowercase=True)
    (folder / "config.json").write_text('{"model_type": "distilbert"}')


def make_electra(folder: Path) -> None:
    word_piece(folder, BERT_SPECIALS, lowercase=False)
    config(folder, tokenizer_class="ElectraTokenizer", do_lower_case=False, strip_accents=False, model_max_length=64)


def make_mpnet(folder: Path) -> None:
    word_piece(folder, ["<s>", "<pad>", "</s>", "[UNK]", "<mask>"], lowercase=True)
    config(folder, tokenizer_class="MPNetTokenizer", model_max_length=64)


def make_roberta(folder: Path) -> None:
    byte_level(folder, ["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    config(folder, tokenizer_class="RobertaTokenizer", model_max_length=64)


def make_roberta_json(folder: Path) -> None:
    byte_level(folder, ["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    config(folder, tokenizer_class="RobertaTokenizer", model_max_length=64, add_prefix_space=True)
    resave(folder, "vocab.json", "merges.txt")


def make_gpt2(folder: Path) -> None:
    byte_level(folder, ["<|endoftext|>"])
    config(folder, tokenizer_class="GPT2Tokenizer", pad_token="<|endoftext|>", model_max_length=64)


def make_bart(folder: Path) -> None:
    byte_level(folder, ["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    (folder / "config.json").write_text('{"model_type": "bart"}')
    (folder / "special_tokens_map.json").write_text(
        json.dumps(
            {
                "mask_token": {
                    "content": "<mask>",
                    "lstrip": True,
                    "normalized": False,
                    "rstrip": False,
                    "single_word": False,
                }
            }
        )
    )


def make_xlm_roberta(folder: Path) -> None:
    sentence_piece(folder, "sentencepiece.bpe.model", "unigram", user_defined_symbols=["<sep>"])
    config(folder, tokenizer_class="XLMRobertaTokenizer", model_max_length=64)


def make_xlm_roberta_bpe(folder: Path) -> None:
    sentence_piece(folder, "sentencepiece.bpe.model", "bpe")
    (folder / "config.json").write_text('{"model_type": "xlm-roberta"}')


def make_xlm_roberta_json(folder: Path) -> None:
    sentence_piece(folder, "sentencepiece.bpe.model", "unigram")
    config(folder, tokenizer_class="XLMRobertaTokenizer", model_max_length=64)
    resave(folder, "sentencepiece.bpe.model")


def make_camembert(folder: Path) -> None:
    sentence_piece(folder, "sentencepiece.bpe.model", "unigram")
    config(folder, tokenizer_class="CamembertTokenizer", model_max_length=64)


def make_albert(folder: Path) -> None:
    specials = {"pad_id": 0, "unk_id": 1, "bos_id": -1, "eos_id": -1, "control_symbols": ["[CLS]", "[SEP]"]}
    sentence_piece(folder, "spiece.model", "unigram", user_defined_symbols=["[MASK]"], **specials)
    config(folder, tokenizer_class="AlbertTokenizer", model_max_length=64)


def make_t5(folder: Path) -> None:
    sentence_piece(folder, "spiece.model", "unigram", pad_id=0, eos_id=1, unk_id=2, bos_id=-1)
    config(folder, tokenizer_class="T5Tokenizer", extra_ids=5, model_max_length=64)


def make_openai_gpt(folder: Path) -> None:
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=["<unk>"], end_of_word_suffix="</w>", show_progress=False
    )
    tokenizer.train_from_iterator(corpus(), trainer)
    tokenizer.model.save(str(folder))
    (folder / "config.json").write_text('{"model_type": "openai-gpt"}')


def make_qwen2(folder: Path) -> None:
    byte_level(folder, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    config(
        folder,
        tokenizer_class="Qwen2Tokenizer",
        eos_token="<|im_end|>",
        additional_special_tokens=["<|im_start|>", "<|im_end|>"],
        model_max_length=64,
        chat_template=CHATML,
    )


def make_smollm(folder: Path) -> None:
    """SmolLM2's form: a tokenizer.json, digits one by one, no class of its own."""
    byte_level(folder, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    tokenizer = Tokenizer(models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt")))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    for name in ("vocab.json", "merges.txt"):
        (folder / name).unlink()
    specials = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<|im_end|>"}
    config(folder, tokenizer_class="PreTrainedTokenizerFast", model_max_length=64, **specials)
    (folder / "chat_template.jinja").write_text(CHATML, encoding="utf-8")


def llama(folder: Path, kind: str = "bpe") -> None:
    sentence_piece(folder, "tokenizer.model", kind, byte_fallback=True, vocab_size=700)


def make_llama(folder: Path) -> None:
    llama(folder)
    config(folder, tokenizer_class="LlamaTokenizer", pad_token="<unk>", model_max_length=64)


def make_llama_new(folder: Path) -> None:
    llama(folder)
    config(folder, tokenizer_class="LlamaTokenizer", legacy=False, add_eos_token=True, model_max_length=64)


def make_llama_json(folder: Path) -> None:
    llama(folder)
    config(folder, tokenizer_class="LlamaTokenizer", legacy=False, model_max_length=64)
    resave(folder, "tokenizer.model")


def make_gemma(folder: Path) -> None:
    specials = {"pad_id": 0, "eos_id": 1, "bos_id": 2, "unk_id": 3}
    user = ["<start_of_turn>", "<end_of_turn>", "\t"]
    sentence_piece(
        folder, "tokenizer.model", "bpe", byte_fallback=True, vocab_size=700, user_defined_symbols=user, **specials
    )
    config(folder, tokenizer_class="GemmaTokenizer", model_max_length=64)


def make_pegasus(folder: Path) -> None:
    sentence_piece(folder, "spiece.model", "unigram", pad_id=0, eos_id=1, unk_id=2, bos_id=-1)
    config(folder, tokenizer_class="PegasusTokenizer", model_max_length=64)


def make_mbart(folder: Path) -> None:
    sentence_piece(folder, "sentencepiece.bpe.model", "unigram")
    config(folder, tokenizer_class="MBartTokenizer", model_max_length=64)


def make_mbart50(folder: Path) -> None:
    sentence_piece(folder, "sentencepiece.bpe.model", "unigram")
    config(folder, tokenizer_class="MBart50Tokenizer", src_lang="ko_KR", tgt_lang="en_XX", model_max_length=64)


def make_nllb(folder: Path) -> None:
    sentence_piece(folder, "sentencepiece.bpe.model", "bpe")
    config(folder, tokenizer_class="NllbTokenizer", model_max_length=64)


def make_nllb_json(folder: Path) -> None:
    sentence_piece(folder, "sentencepiece.bpe.model", "bpe")
    """The older way around a text; languages of its own."""
    codes = ["eng_Latn", "kor_Hang", "deu_Latn", "xyz_Latn"]
    specials = {"additional_special_tokens": codes, "src_lang": "kor_Hang", "legacy_behaviour": True}
    config(folder, tokenizer_class="NllbTokenizer", model_max_length=64, **specials)
    resave(folder, "sentencepiece.bpe.model")


def pieces_of(path: Path) -> list[str]:
    """The pieces of a sentencepiece model."""
    model = sentencepiece.SentencePieceProcessor(model_file=str(path))
    return [model.id_to_piece(index) for index in range(model.get_piece_size())]


def write_vocabulary(folder: Path, tokens: list[str], name: str = "vocab.json") -> None:
    """Token → id."""
    numbers = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    (folder / name).write_text(json.dumps(numbers, ensure_ascii=False), encoding="utf-8")


def make_m2m100(folder: Path) -> None:
    """A few pieces have no id, and a few ids no piece."""
    sentence_piece(folder, "sentencepiece.bpe.model", "bpe")
    pieces = pieces_of(folder / "sentencepiece.bpe.model")[3:]
    write_vocabulary(folder, ["<s>", "<pad>", "</s>", "<unk>", "東", *pieces[:-9], "no piece"])
    codes = M2M100Tokenizer.__init__.__globals__["FAIRSEQ_LANGUAGE_CODES"]["m2m100"]
    (folder / "special_tokens_map.json").write_text(
        json.dumps({"additional_special_tokens": [f"__{code}__" for code in codes]})
    )
    config(folder, tokenizer_class="M2M100Tokenizer", model_max_length=64)


def make_marian(folder: Path) -> None:
    """Into several languages; one vocabulary for both sides; a few pieces have no id."""
    sentence_piece(folder, "source.spm", "unigram", ("en", "fr"), vocab_size=250)
    sentence_piece(folder, "target.spm", "unigram", ("ko", "zh", "ar"), vocab_size=250)
    pieces = pieces_of(folder / "target.spm")[3:] + pieces_of(folder / "source.spm")[3:-9]
    write_vocabulary(folder, ["</s>", "<unk>", ">>kor<<", ">>ara<<", *pieces, "<pad>"])
    config(folder, tokenizer_class="MarianTokenizer", source_lang="eng", target_lang="kor", model_max_length=64)


def make_marian_separate(folder: Path) -> None:
    """A vocabulary for each side."""
    sentence_piece(folder, "source.spm", "unigram", ("ko", "en"), vocab_size=250)
    sentence_piece(folder, "target.spm", "unigram", ("fr", "en"), vocab_size=200)
    write_vocabulary(folder, ["</s>", "<unk>", *pieces_of(folder / "source.spm")[3:], "<pad>"])
    write_vocabulary(folder, ["</s>", "<unk>", *pieces_of(folder / "target.spm")[3:], "<pad>"], "target_vocab.json")
    (folder / "config.json").write_text('{"model_type": "marian"}')
    config(folder, separate_vocabs=True)


CHATML = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\n당신은 도우미입니다.<|im_end|>\n' }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def golden(folder: Path) -> dict[str, Any]:
    """What transformers does."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    facts = {
        "vocab_size": tokenizer.vocab_size,
        "length": len(tokenizer),
        "model_max_length": tokenizer.model_max_length,
        "padding_side": tokenizer.padding_side,
        "model_input_names": tokenizer.model_input_names,
        "special_tokens_map": tokenizer.special_tokens_map,
        "all_special_ids": tokenizer.all_special_ids,
        "added_tokens": dict(tokenizer.get_added_vocab()),
        "special_in_pair": tokenizer.num_special_tokens_to_add(pair=True),
        "clean_up": tokenizer.clean_up_tokenization_spaces,
    }
    texts = [text_row(tokenizer, text) for text in TEXTS]
    calls = []
    for arguments in CALLS:
        if not tokenizer.is_fast and not arguments["options"].keys() <= PLAIN_OPTIONS:
            calls.append(None)
            continue
        try:
            result = tokenizer(*PAIRS[arguments["pairs"]], verbose=False, **arguments["options"])
        except BaseException as error:  # the Rust library's panics are no Exception
            if isinstance(error, KeyboardInterrupt):
                raise
            calls.append({"error": type(error).__name__})
            continue
        calls.append(dict(result))
    return {"facts": facts, "texts": texts, "calls": calls, **translation(tokenizer)}


PLAIN_OPTIONS = {"truncation", "max_length", "padding", "add_special_tokens", "pad_to_multiple_of", "padding_side"}
# what the tokenizers that are written in Python have as well


def text_row(tokenizer: Any, text: str) -> list[Any]:
    """Ids, offsets and words where they are known, and decoded texts."""
    offsets = words = None
    if tokenizer.is_fast:
        row = tokenizer(text, return_offsets_mapping=True, verbose=False)
        offsets, words = [n for span in row["offset_mapping"] for n in span], row.word_ids()
    ids = tokenizer(text, verbose=False)["input_ids"]
    return [ids, offsets, words, tokenizer.decode(ids), tokenizer.decode(ids, skip_special_tokens=True)]


def translation(tokenizer: Any) -> dict[str, Any]:
    """What tokenizers of translation models do besides: languages, targets, and languages named in the text."""
    name = type(tokenizer).__name__
    if name not in LANGUAGES:
        return {}
    rows = [[text, tokenizer(text)["input_ids"]] for text in PREFIXED]
    return {
        "languages": [in_language(tokenizer, code, FORMS.get(name, "{}")) for code in LANGUAGES[name]],
        "prefixed": [[text, ids, tokenizer.decode(ids)] for text, ids in rows],
    }


def in_language(tokenizer: Any, code: str | None, form: str) -> dict[str, Any]:
    """Texts and targets in one language."""
    if code is not None:
        tokenizer.src_lang = tokenizer.tgt_lang = code
    targets = [tokenizer(text_target=text, verbose=False)["input_ids"] for text in TEXTS]
    return {
        "code": code,
        "id": None if code is None else tokenizer.convert_tokens_to_ids(form.format(code)),
        "source": tokenizer(TEXTS[4])["input_ids"],
        "targets": targets,
        "decoded": [tokenizer.decode(ids, skip_special_tokens=skip) for ids in targets for skip in (False, True)],
        "pair": dict(tokenizer("a cat", text_target="서울에", verbose=False)),
    }


PREFIXED = [
    ">>kor<< the cat",
    ">>kor<<cat",
    ">>zzz<< 김",
    " >>kor<< cat",
    "a >>kor<< cat",
    ">>kor<<",
    ">>",
    "</s>a<pad> b",
    "__ko__ the __en__cat",
]
LANGUAGES = {
    "MBartTokenizerFast": ["en_XX", "ko_KR"],
    "MBart50TokenizerFast": ["en_XX", "ko_KR", "sl_SI"],
    "NllbTokenizerFast": ["eng_Latn", "kor_Hang"],
    "M2M100Tokenizer": ["en", "ko"],
    "MarianTokenizer": [None],
}
FORMS = {"M2M100Tokenizer": "__{}__"}


def main() -> None:
    """Make every folder anew."""
    makers = {name.removeprefix("make_"): value for name, value in globals().items() if name.startswith("make_")}
    makers = {name: make for name, make in makers.items() if not sys.argv[1:] or name in sys.argv[1:]}
    for name, make in makers.items():
        folder = HERE / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        make(folder)
        text = json.dumps(golden(folder), ensure_ascii=False, separators=(",", ":"))
        (folder / "golden.json").write_text(text.replace('],"', '],\n"') + "\n", encoding="utf-8")
        print(name, sum(path.stat().st_size for path in folder.iterdir()))


if __name__ == "__main__":
    main()
