"""The benchmark: panpipe against its peers, in the same run. `python benchmarks/run.py`; see docs/benchmarks.md."""
