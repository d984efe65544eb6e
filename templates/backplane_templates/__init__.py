"""Jinja2 templates of the artifacts, one per artifact kind; no code."""
