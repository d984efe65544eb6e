"""Compile one document into infrastructure, a plan and a frozen runtime config."""
