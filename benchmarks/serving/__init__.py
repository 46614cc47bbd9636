"""fankui's service beside others, on the same weights and the same machine: ``python -m benchmarks.serving``."""
