"""Benchmarks name parts of renderctl by text: all of them are there."""

import functools
import importlib

import pytest

from benchmarks.traced_render import AT_ITS_END


@pytest.mark.parametrize(("module", "path"), [(module, path) for module, paths in AT_ITS_END.items() for path in paths])
def test_what_a_benchmark_times_exists(module: str, path: str) -> None:
    assert callable(functools.reduce(getattr, path.split("."), importlib.import_module(module)))
