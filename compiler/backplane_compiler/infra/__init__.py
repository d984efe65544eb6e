"""Infrastructure as data, and lowering of the model to it."""
