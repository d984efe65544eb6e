"""Comparison of desired and observed state, risks, and the plan as data."""
