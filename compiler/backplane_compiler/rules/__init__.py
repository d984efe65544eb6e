"""Checks of the model, one a file."""
