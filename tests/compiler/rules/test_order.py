"""The tuple of rules: complete, and open to handlers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from backplane_compiler import rules
from backplane_compiler.diagnostics import Diagnostic, Severity
from backplane_compiler.handlers import BackplaneHandler, registered_handlers
from backplane_compiler.model.model import Model
from backplane_compiler.rules import RULES, check_rules
from backplane_runtime.settings import Logging
from tests.compiler.checking import check


def test_every_rule_is_in_the_tuple() -> None:
    """A module with a `check` runs."""
    folder = Path(rules.__file__).parent
    modules = {path.stem for path in folder.glob("*.py") if "\ndef check(model" in path.read_text(encoding="utf-8")}
    assert {rule.__module__.rpartition(".")[2] for rule in RULES} == modules


def test_a_handlers_rules_run_for_its_own_type() -> None:
    """And not where a document has no backplane of this type."""

    def never(model: Model) -> Iterator[Diagnostic]:
        yield Diagnostic("no-events", Severity.WARNING, "seen", model.span(model.backplanes[0].path))

    model = check("dataPlane:\n  backplane: { type: logging }\n").model
    assert model is not None
    own = BackplaneHandler(type="logging", settings=Logging, rules=(never,))
    other = BackplaneHandler(type="other", settings=Logging, rules=(never,))
    found = check_rules(model, {**registered_handlers(), "logging": own, "other": other})
    assert [item.message for item in found] == ["seen"]
