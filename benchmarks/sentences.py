"""Makes `sentences.txt`: 512 real sentences whose lengths are spread as in running text.

The lengths follow a log-normal distribution (median 25 tokens of MiniLM's tokenizer, mean 32, at most 193, [CLS] and
[SEP] counted); for each length the nearest unused sentence is taken. Not needed to run the benchmark.

    python benchmarks/sentences.py --tokenizer MODEL_FOLDER rows.jsonl.gz …      (rows: {"text": …, "source": …})
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import NormalDist

COUNT, MEDIAN, SPREAD, LONGEST = 512, 25, 0.7, 193
SOURCES = ("sentence_polarity", "product_reviews", "acl_abstracts")
TARGET = Path(__file__).with_name("sentences.txt")

HEADER = """\
# 512 English sentences and short paragraphs, one a line, for benchmarks/run.py; made by benchmarks/sentences.py.
# Sources, all CC BY 4.0 (creativecommons.org/licenses/by/4.0); split into sentences, otherwise unchanged:
# sentence_polarity (Pang and Lee, "Seeing stars", ACL 2005) and product_reviews (Hu and Liu, "Mining and summarizing
# customer reviews", KDD 2004), both as in NLTK's data; abstracts of papers in the ACL Anthology, from 2016 on.
"""


def main() -> None:
    """Read the rows, choose, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokenizer", type=Path, required=True, help="a folder with tokenizer.json")
    parser.add_argument("rows", type=Path, nargs="+", help="gzipped JSON lines")
    arguments = parser.parse_args()

    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(arguments.tokenizer / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    texts = sorted(set(candidates(arguments.rows)))
    random.Random(0).shuffle(texts)
    lengths = [len(encoding.ids) for encoding in tokenizer.encode_batch(texts)]
    chosen = nearest(texts, lengths, wanted_lengths())
    random.Random(1).shuffle(chosen)
    TARGET.write_text(HEADER + "".join(f"{text}\n" for text in chosen), encoding="utf-8")
    counts = sorted(len(encoding.ids) for encoding in tokenizer.encode_batch(chosen))
    print(f"mean {sum(counts) / COUNT:.1f} tokens, median {counts[COUNT // 2]}, {counts[-1]} at most")


def candidates(paths: Iterable[Path]) -> Iterator[str]:
    """The sentences of the rows, and of abstracts also their beginnings of two, three … sentences."""
    for path in paths:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for row in map(json.loads, lines):
                if row["source"] not in SOURCES:
                    continue
                text = " ".join(row["text"].split())
                if row["source"] == "acl_abstracts":
                    ends = [match.end() for match in re.finditer(r"[a-z)]\.(?= [A-Z])", text)]
                    yield from (text[:end] for end in ends[:8])
                elif not text.startswith("#"):
                    yield text


def wanted_lengths() -> list[int]:
    """The quantiles of the distribution."""
    quantile = NormalDist(0, SPREAD).inv_cdf
    lengths = [round(MEDIAN * 2.718281828 ** quantile((i + 0.5) / COUNT)) for i in range(COUNT)]
    return [min(max(length, 5), LONGEST) for length in lengths]


def nearest(texts: list[str], lengths: list[int], wanted: list[int]) -> list[str]:
    """For each wanted length the text nearest to it, each text once."""
    pool = sorted(zip(lengths, range(len(texts)), strict=True))
    chosen = []
    for length in wanted:
        place = bisect_left(pool, (length, -1))
        around = pool[max(place - 1, 0) : place + 1]
        best = min(around, key=lambda entry: abs(entry[0] - length))
        pool.remove(best)
        chosen.append(texts[best[1]])
    return chosen


if __name__ == "__main__":
    main()
