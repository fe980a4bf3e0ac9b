"""The model card of the embedded sentiment model: data, licences, settings and measured accuracy."""

from __future__ import annotations

import argparse

SOURCES = {
    "goemotions": ("GoEmotions, Demszky et al. 2020 (Reddit comments)", "Apache-2.0 (data CC BY 4.0)"),
    "movie_reviews": ("Movie reviews, Pang & Lee 2004", "CC BY 4.0"),
    "product_reviews": ("Product review sentences, Hu & Liu 2004", "CC BY 4.0"),
    "pros_cons": ("Pros and cons, Ganapathibhotla & Liu 2008", "CC BY 4.0"),
    "sentence_polarity": ("Sentence polarity, Pang & Lee 2005; split as SST-2", "CC BY 4.0"),
    "uci_sentences": ("Sentiment labelled sentences, Kotzias et al. 2015", "CC BY 4.0"),
}

HEAD = """---
license: apache-2.0
language: en
library_name: panpipe
pipeline_tag: text-classification
base_model: sentence-transformers/all-MiniLM-L6-v2
tags: [sentiment-analysis]
widget:
  - text: I've been waiting for a HuggingFace course my whole life.
  - text: I hate this so much!
---

# English sentiment, small

POSITIVE or NEGATIVE for an English sentence or short text. panpipe's embedded default for `sentiment-analysis`:
22.7 million parameters, stored in float16. Trained by `recipes/sentiment_en.py` from
[all-MiniLM-L6-v2](https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2) (Apache-2.0).

There is no neutral label: a text without sentiment gets one of the two all the same. It knows English only, and reviews
and comments better than news. It says nothing about people, and must not be used to judge them.
"""


def card(
    test: dict[str, float],
    validation: dict[str, float],
    counts: dict[str, dict[str, int]],
    options: argparse.Namespace,
    seconds: float,
) -> str:
    """The README.md of the checkpoint."""
    table = "\n".join(
        f"| {SOURCES[source][0]} | {SOURCES[source][1]} | {counts['train'][source]:,} | {counts['test'][source]:,} "
        f"| {validation[source]:.3f} | {test[source]:.3f} |"
        for source in sorted(SOURCES)
    )
    totals = {split: sum(rows.values()) for split, rows in counts.items()}
    return f"""{HEAD}
## Data and accuracy

Rows labelled positive or negative; neutral ones are left out. Accuracy on the validation split (it chose the epoch)
and on the test split (read once, at the end), with the weights as stored. A multinomial naive Bayes reaches 0.831.

| data | licence | train rows | test rows | validation | test |
|---|---|---|---|---|---|
{table}
| **all** | | {totals["train"]:,} | {totals["test"]:,} | {validation["all"]:.3f} | **{test["all"]:.3f}** |

## Training

{options.epochs} epochs, AdamW (weight decay 0.01), learning rate {options.learning_rate:g} with linear warm-up and
decay, batches of {options.tokens} tokens without padding, texts cut at {options.max_length} tokens, dropout
{options.dropout:g}, bfloat16 matrix products, seed {options.seed}; {seconds / 60:.0f} minutes on two CPU cores that had
other work to do.
"""
