"""What users may write: pydantic models, and their errors as diagnostics."""
