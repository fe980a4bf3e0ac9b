"""Make tests/golden/tokenizers: tiny tokenizers of every family and file form, and what transformers does.

Run in the oracle's environment, from the repository's root:  python tests/golden/make_tokenizers.py
Each folder holds the tokenizer's files and golden.json: for each text, pair and setting the ids, offsets, words …
"""

from __future__ import annotations

import json
import random
import shutil
import sys
from pathlib import Path
from typing import Any

import sentencepiece
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.tokenization.texts import CALLS, PAIRS, TEXTS, WORDS

HERE = Path(__file__).parent / "tokenizers"
VOCABULARY = 420
BERT_SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def corpus() -> list[str]:
    """Sentences of the words that the texts are made of."""
    chance = random.Random(7)
    return [
        " ".join(chance.choices(words, k=chance.randint(3, 12))) + "." for words in WORDS.values() for _ in range(150)
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


def sentence_piece(folder: Path, name: str, kind: str, **options: Any) -> None:
    """A sentencepiece model; its character map is made of a few rules, so that the file is small."""
    rules = folder / "rules.tsv"
    rules.write_text("FF21\t41\nFF22\t42\nFB01\t66 69\n3000\t20\n65 301\tE9\n", encoding="utf-8")
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=iter(corpus()),
        model_prefix=str(folder / "model"),
        model_type=kind,
        vocab_size=VOCABULARY,
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


def golden(folder: Path) -> dict[str, Any]:
    """What transformers does."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.is_fast
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
    texts = []
    for text in TEXTS:
        row = tokenizer(text, return_offsets_mapping=True, verbose=False)
        ids = row["input_ids"]
        decoded = [tokenizer.decode(ids), tokenizer.decode(ids, skip_special_tokens=True)]
        texts.append([ids, [n for span in row["offset_mapping"] for n in span], row.word_ids(), *decoded])
    calls = []
    for arguments in CALLS:
        try:
            result = tokenizer(*PAIRS[arguments["pairs"]], verbose=False, **arguments["options"])
        except BaseException as error:  # the Rust library's panics are no Exception
            if isinstance(error, KeyboardInterrupt):
                raise
            calls.append({"error": type(error).__name__})
            continue
        calls.append(dict(result))
    return {"facts": facts, "texts": texts, "calls": calls}


def main() -> None:
    """Make every folder anew."""
    makers = {name.removeprefix("make_"): value for name, value in globals().items() if name.startswith("make_")}
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
