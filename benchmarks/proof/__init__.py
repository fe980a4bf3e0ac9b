"""The proof of training: the same rows, features and settings for panpipe's Trainer and for transformers'.

`python benchmarks/training.py` runs it; docs/training_proof.md has the results.
"""
