"""What a change puts at risk or cannot do: one rule a file, over the capability tables; danger is an analysis, not an `if`."""

from backplane_compiler.plan.risks.analysis import RULES, Kinds, obstacles
from backplane_compiler.plan.risks.direction import Direction, direction

__all__ = ["RULES", "Direction", "Kinds", "direction", "obstacles"]
