"""The model frozen into what the runtime reads."""
