"""The peers, one module each: a process of its own in its own environment, `python -m benchmarks.peers.NAME`."""
