"""Live systems: the only place, beside the command line, that asks or changes them."""
