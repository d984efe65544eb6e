"""Filters of subscriptions that name an experiment or a variant which the catalog does not have."""

from __future__ import annotations

from collections.abc import Iterator

from backplane_compiler.diagnostics import Diagnostic, nearest
from backplane_compiler.model.model import Model
from backplane_compiler.rules.finding import backplanes_of, is_open, place, warning
from backplane_compiler.schema.provisioning import ServiceBusProvisioning, SubscriptionFilter
from backplane_compiler.source import Path
from backplane_runtime.settings import AzureServiceBus


def check(model: Model) -> Iterator[Diagnostic]:
    """Yield a warning for each unknown name; a document without a catalog knows all names."""
    if not model.experiments:
        return
    for backplane, _, provisioning in backplanes_of(model, AzureServiceBus, ServiceBusProvisioning):
        for index, subscription in enumerate(provisioning.subscriptions):
            if subscription.filter is not None:
                path: Path = (*backplane.path, "provisioning", "subscriptions", index, "filter")
                yield from _check(model, subscription.filter, path)


def _check(model: Model, wanted: SubscriptionFilter, path: Path) -> Iterator[Diagnostic]:
    experiments = {experiment.name: experiment for experiment in model.experiments}
    if wanted.experiment is not None and wanted.experiment not in experiments:
        yield from _unknown(model, wanted.experiment, (*path, "experiment"), tuple(experiments))
        return
    chosen = (experiments[wanted.experiment],) if wanted.experiment else model.experiments
    variants = tuple(variant.key for experiment in chosen for variant in experiment.variants)
    if wanted.variant is not None and variants and wanted.variant not in variants:
        yield from _unknown(model, wanted.variant, (*path, "variant"), variants)


def _unknown(model: Model, word: str, path: Path, known: tuple[str, ...]) -> Iterator[Diagnostic]:
    if is_open(word):
        return
    what = path[-1]
    near = nearest(word, known)
    hint = f"did you mean `{near[0]}`?" if near else f"name one of the catalog, or remove the {what}"
    yield warning(
        "unknown-experiment", f"the catalog of this document has no {what} `{word}`", place(model, path), hint=hint
    )
