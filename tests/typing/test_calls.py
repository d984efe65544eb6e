"""Calls that must type-check as they stand; mypy is the test, running them is the other half."""

from typing import assert_type

import pytest

from backplane_runtime import DataPlane, Exposure, Health, LedgerView, Outcome, Status
from backplane_runtime.settings import InMemory, Kafka

pytestmark = pytest.mark.runtime_only


def test_the_interface_has_types() -> None:
    """The shorthands have the parameters of their events."""
    with DataPlane(InMemory()) as plane:
        assert_type(plane.exposure("checkout-button", "blue", subject="user-42", tenant="acme"), Status)
        assert_type(plane.outcome("checkout-button", subject="user-42", metric="revenue", value=19.99), Status)
        assert_type(plane.publish(Outcome("checkout-button", subject="user-42", metric="purchase")), Status)
        assert_type(plane.flush(timeout=5.0), bool)
        assert_type(plane.health(), Health)
        assert_type(plane.ledger(), LedgerView)


def test_mistakes_are_found() -> None:
    """By mypy, which would warn of an unused ignore, and by Python."""
    with DataPlane(InMemory()) as plane:
        with pytest.raises(TypeError):
            plane.exposure("checkout-button", subject="user-42")  # type: ignore[call-arg]
        with pytest.raises(TypeError):
            plane.outcome("checkout-button", "user-42", metric="m")  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        Exposure("checkout-button", "blue", "user-42")  # type: ignore[call-arg]


def test_brokers_may_be_a_list() -> None:
    """As the interface page writes it."""
    settings = Kafka(brokers=["localhost:9092"], partition_by="subjectId", linger_ms=100)
    assert settings.brokers == ("localhost:9092",)
