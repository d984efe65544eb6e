"""Publish two events to what build/runtime.json names; first run: backplane compile backplane.yaml -o build."""

from backplane_runtime import DataPlane

with DataPlane.open("build/runtime.json") as plane:
    plane.exposure("checkout-button", "blue", subject="user-42")
    plane.outcome("checkout-button", subject="user-42", metric="revenue", value=19.99)
    plane.flush(timeout=5.0)
    print(plane.ledger())
