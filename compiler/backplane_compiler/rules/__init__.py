"""What a document asks for against what servers allow: one check a file, their order in one tuple."""

from backplane_compiler.rules.order import RULES, check_rules

__all__ = ["RULES", "check_rules"]
