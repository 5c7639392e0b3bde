"""Benchmarks: each prints a ratio against its rival in the same run. `python -m benchmarks [NAME …]`."""
