"""What a compiled document does to live systems: the two calls behind `backplane plan` and `backplane apply`.

The interface page calls them `plan(...)` and `apply(...)`. They have longer names here, because the package's parts `plan/` and
`apply.py` own the short ones: which of the two an import gave would depend on what had been imported before.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from backplane_compiler import apply
from backplane_compiler.apply import ApplyOptions
from backplane_compiler.apply_report import ApplyReport
from backplane_compiler.infra.tables import KINDS
from backplane_compiler.pipeline import Compilation
from backplane_compiler.plan.build import PlanOptions
from backplane_compiler.plan.plan import Acknowledgement, Plan
from backplane_compiler.providers.observe import observe_and_plan, open_target

Environment = Mapping[str, str]
NOTHING: Environment = MappingProxyType({})


def make_plan(
    compilation: Compilation,
    *,
    allow: Iterable[tuple[Acknowledgement, str]] = (),
    environment: Environment | None = None,
) -> Plan:
    """Return the plan that brings the live systems to what *compilation* wants; changes nothing.

    References are resolved from *environment* (default: the process's), then from what stood in clear in the document.

    Raises:
        ValueError: if the document did not compile.
        ProviderError: if a system cannot be asked.
    """
    if compilation.frozen is None or compilation.model is None:
        raise ValueError("the document did not compile, so there is nothing to plan")
    options = PlanOptions(kinds=KINDS, document_digest=compilation.frozen.document_digest, allowed=frozenset(allow))
    known = {**compilation.model.secrets, **(os.environ if environment is None else environment)}
    return observe_and_plan(compilation.infra, known, options)


def apply_plan(
    plan: Plan,
    *,
    environment: Environment | None = None,
    secrets: Environment = NOTHING,
    options: ApplyOptions | None = None,
) -> ApplyReport:
    """Execute *plan* exactly, and return what became of each step; see `apply.apply_plan` for what it refuses.

    A plan holds no secret: references are resolved from *environment* (default: the process's), then from *secrets*, what
    stood in clear in the document.
    """
    known = {**secrets, **(os.environ if environment is None else environment)}
    return apply.apply_plan(plan, lambda target: open_target(target, known), options)
