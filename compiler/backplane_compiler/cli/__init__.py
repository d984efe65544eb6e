"""Commands and their output: the only place that prints."""
