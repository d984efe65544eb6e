"""Publish experiment events to the backplanes that a frozen config names."""
