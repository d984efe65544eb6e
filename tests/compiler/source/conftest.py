"""Hypothesis without a deadline: a busy machine is not a failure."""

from hypothesis import settings

settings.register_profile("backplane", deadline=None)
settings.load_profile("backplane")
