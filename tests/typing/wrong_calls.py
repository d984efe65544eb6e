"""Calls that must not type-check.

Nobody runs them: mypy wants each `type: ignore` here to be needed, and `test_wrong_calls.py` that each of these lines has
exactly one error, of the code that it names.
"""

from collections.abc import Iterator

from backplane_runtime import BoundPlane, DataPlane, Exposure, Outcome, Status, context
from backplane_runtime.settings import Composite, InMemory, Kafka, Member, PiiRedaction, Plane
from backplane_runtime.testing import CapturedEvents, capture_events


def constructors() -> None:
    Exposure("e", "v")  # type: ignore[call-arg]
    Exposure("e", "v", "s")  # type: ignore[call-arg]
    Exposure("e", "v", subject=42)  # type: ignore[arg-type]
    Exposure("e", "v", subject="s", policy="sticky")  # type: ignore[arg-type]
    Exposure("e", "v", subject="s", tennant="acme")  # type: ignore[call-arg]
    Outcome("e", subject="s")  # type: ignore[call-arg]
    Outcome("e", subject="s", metric="m", value="1")  # type: ignore[arg-type]
    Exposure("e", "v", subject="s").variant = "w"  # type: ignore[misc]


def shorthands(plane: DataPlane) -> None:
    plane.exposure("e", subject="s")  # type: ignore[call-arg]
    plane.exposure("e", "v", subject=None)  # type: ignore[arg-type]
    plane.exposure("e", "v", subject="s", timestamp=5)  # type: ignore[arg-type]
    plane.assignment("e", "old", subject="s")  # type: ignore[call-arg]
    plane.outcome("e", "s", metric="m")  # type: ignore[call-arg]
    plane.signal("e", "mismatch", "m")  # type: ignore[arg-type]
    plane.signal("e", "custom", "m", severity="fatal")  # type: ignore[arg-type]
    plane.signal("e", "custom", "m", subject="s")  # type: ignore[call-arg]
    plane.error("e", "t")  # type: ignore[call-arg]


def publish(plane: DataPlane, bound: BoundPlane) -> None:
    plane.publish()  # type: ignore[call-overload]
    plane.publish({"experimentName": "e"})  # type: ignore[call-overload]
    plane.publish(Outcome("e", subject="s", metric="m"), "r-1")  # type: ignore[call-overload]
    plane.publish(Outcome("e", subject="s", metric="m"), correlation=5)  # type: ignore[call-overload]
    plane.publish(Outcome("e", subject="s", metric="m"), metadata="text")  # type: ignore[call-overload]
    bound.publish("no event")  # type: ignore[call-overload]
    bound.publish(Outcome("e", subject="s", metric="m"), metadata=[("a", 1)])  # type: ignore[call-overload]
    _: str | None = plane.flush()  # type: ignore[assignment]
    plane.health("soon")  # type: ignore[arg-type]
    DataPlane.open(None)  # type: ignore[arg-type]


def bind(plane: DataPlane) -> None:
    plane.bind("acme")  # type: ignore[call-overload]
    plane.bind(tenant=5)  # type: ignore[call-overload]
    plane.bind(tennant="acme")  # type: ignore[call-overload]
    plane.bind(correlation=["r"])  # type: ignore[call-overload]
    plane.bind(tenant="acme").exposure("e", "v")  # type: ignore[call-arg]
    plane.bind(tenant="acme").outcome("e", subject="s")  # type: ignore[call-arg]
    plane.bind(subject="s").exposure("e")  # type: ignore[call-arg]
    plane.bind(subject="s").exposure("e", "v", subject=42)  # type: ignore[arg-type]
    plane.bind(subject="s").exposure("e", "v", tennant="acme")  # type: ignore[call-arg]
    plane.bind(subject="s").outcome("e")  # type: ignore[call-arg]
    plane.bind(subject="s").assignment("e", "old", "new", policy="sticky")  # type: ignore[arg-type]
    plane.bind(subject="s").flush()  # type: ignore[attr-defined]


def contexts() -> None:
    context("acme")  # type: ignore[call-arg]
    context(tenant=5)  # type: ignore[arg-type]
    context(subject="s")  # type: ignore[call-arg]
    context(correlation=lambda: "r")  # type: ignore[arg-type]


def decorators(plane: DataPlane) -> None:
    plane.exposes("e")  # type: ignore[call-overload]
    plane.exposes("e", subject=42)  # type: ignore[call-overload]
    plane.exposes("e", subject="user_id", reason=5)  # type: ignore[call-overload]
    plane.exposes("e", subject="user_id", variant=True)  # type: ignore[call-overload]

    @plane.exposes("e", subject="user_id")  # type: ignore[type-var]
    def number(user_id: str) -> int:
        return len(user_id)

    @plane.exposes("e", subject="user_id")  # type: ignore[type-var]
    def generator(user_id: str) -> Iterator[str]:
        yield user_id

    @plane.exposes("e", subject="user_id")
    def choose(user_id: str) -> str:
        return user_id

    choose(5)  # type: ignore[arg-type]
    choose()  # type: ignore[call-arg]
    _: int = choose("s")  # type: ignore[assignment]


def settings() -> None:
    Kafka()  # type: ignore[call-arg]
    Kafka(brokers=5)  # type: ignore[arg-type]
    Kafka(brokers=["localhost:9092"], acks="some")  # type: ignore[arg-type]
    Plane(sampling_rate="half")  # type: ignore[arg-type]
    Plane(durability="disk")  # type: ignore[arg-type]
    Plane(durabilty="host")  # type: ignore[call-arg]
    PiiRedaction(mode="hide")  # type: ignore[arg-type]
    Composite(backplanes=[InMemory()])  # type: ignore[list-item]
    Member(name="a")  # type: ignore[call-arg]
    DataPlane()  # type: ignore[call-arg]
    DataPlane("build/runtime.json")  # type: ignore[arg-type]
    DataPlane(InMemory(), Plane())  # type: ignore[call-arg]


def testers(captured: CapturedEvents) -> None:
    captured.select(Exposure, value="v")  # type: ignore[call-arg]
    captured.select("Exposure")  # type: ignore[arg-type]
    __: Status = captured.single(Exposure)  # type: ignore[assignment]
    _ = captured.single(Exposure).metric  # type: ignore[attr-defined]
    capture_events(instead_of=InMemory())  # type: ignore[arg-type]
