"""Comparison of desired and observed state, risks, and the plan as data."""

from backplane_compiler.plan.build import NotObserved, Observation, PlanOptions, build_plan
from backplane_compiler.plan.change import Change, Create, Delete, PropertyChange, Update
from backplane_compiler.plan.codec import PlanFormatError, is_plan, plan_from_bytes, plan_to_bytes
from backplane_compiler.plan.diff import Unmanaged, apply_changes, diff
from backplane_compiler.plan.drift import drift_lines
from backplane_compiler.plan.explain import explain_plan
from backplane_compiler.plan.order import DependencyCycleError
from backplane_compiler.plan.plan import Acknowledgement, Obstacle, Plan, Step, TargetPlan, parse_acknowledgement
from backplane_compiler.plan.text import plan_text, summary

__all__ = [
    "Acknowledgement",
    "Change",
    "Create",
    "Delete",
    "DependencyCycleError",
    "NotObserved",
    "Observation",
    "Obstacle",
    "Plan",
    "PlanFormatError",
    "PlanOptions",
    "PropertyChange",
    "Step",
    "TargetPlan",
    "Unmanaged",
    "Update",
    "apply_changes",
    "build_plan",
    "diff",
    "drift_lines",
    "explain_plan",
    "is_plan",
    "parse_acknowledgement",
    "plan_from_bytes",
    "plan_text",
    "plan_to_bytes",
    "summary",
]
