"""Sessions: an entity with them takes no message without a session id, and one without them has none to receive."""

from __future__ import annotations

from collections.abc import Iterator

from backplane_compiler.diagnostics import Diagnostic
from backplane_compiler.model.model import Model
from backplane_compiler.rules.finding import backplanes_of, error, place
from backplane_compiler.schema.provisioning import ServiceBusProvisioning
from backplane_runtime.settings import AzureServiceBus


def check(model: Model) -> Iterator[Diagnostic]:
    """Yield an error for each subscription that requires sessions while messages get no session id."""
    for backplane, settings, provisioning in backplanes_of(model, AzureServiceBus, ServiceBusProvisioning):
        for index, subscription in enumerate(provisioning.subscriptions):
            if subscription.requires_session and not settings.enable_sessions:
                message = f"the subscription `{subscription.name}` requires sessions, and messages have none"
                path = (*backplane.path, "provisioning", "subscriptions", index, "requiresSession")
                yield error(
                    "servicebus-session", message, place(model, path), hint="set `enableSessions: true` in `options`"
                )
