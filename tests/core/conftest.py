"""Hypothesis with fixed seeds and no deadline: a loaded machine is no failure."""

from hypothesis import settings

settings.register_profile("fixed", derandomize=True, deadline=None)
settings.load_profile("fixed")
