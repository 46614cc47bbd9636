"""Servers of other projects, run in their own environments; see `benchmarks.serving.peers`."""
