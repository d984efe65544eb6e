"""A package of somebody else, installed beside ours, from its document to its events."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Backplane

_PACKAGE = '''
from typing import Annotated
from msgspec import Meta
from backplane_runtime.backplanes.api import BackplaneHealth, Verdict
from backplane_runtime.settings import Settings

class ParcelSettings(Settings, frozen=True, kw_only=True):
    """Events by post."""
    address: Annotated[str, Meta(min_length=1, description="Where to.")]

class ParcelBackplane:
    settings_type = ParcelSettings
    def __init__(self, settings): pass
    def start(self): pass
    def send(self, batch): return [Verdict.ACKNOWLEDGED] * len(batch)
    def health(self, timeout): return BackplaneHealth(healthy=True, message="on its way")
    def close(self, timeout): pass

def handler():
    from backplane_compiler.handlers import BackplaneHandler
    return BackplaneHandler(type="parcel", settings=ParcelSettings)
'''
_ENTRY_POINTS = """
[backplane.handlers]
parcel = parcel:handler
[backplane.backplanes]
parcel = parcel:ParcelBackplane
"""


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
    """The package as pip would leave it; returns the environment in which it is seen."""
    site = tmp_path / "site"
    metadata = site / "parcel-1.0.dist-info"
    metadata.mkdir(parents=True)
    (site / "parcel.py").write_text(_PACKAGE, encoding="utf-8")
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: parcel\nVersion: 1.0\n", encoding="utf-8")
    (metadata / "entry_points.txt").write_text(_ENTRY_POINTS, encoding="utf-8")
    return {"PYTHONPATH": str(site)}


def test_both_halves_come_by_their_entry_points(
    backplane: Backplane, installed: dict[str, str], tmp_path: Path
) -> None:
    """Options are checked, the schema knows the type, events reach it; there is nothing to provision."""
    (tmp_path / "bad.yaml").write_text("dataPlane: {backplane: {type: parcel, options: {adress: x}}}\n", "utf-8")
    (tmp_path / "doc.yaml").write_text("dataPlane: {backplane: {type: Parcel, options: {address: x}}}\n", "utf-8")
    assert "did you mean `address`?" in backplane("check", "bad.yaml", env=installed).err
    assert backplane("compile", "doc.yaml", "-o", "build", env=installed).code == 0
    line = '{"eventType": "outcome", "experimentName": "e", "subjectId": "u", "metric": "m"}'
    ran = backplane("publish", "build/runtime.json", stdin=line, env=installed)
    assert json.loads(ran.out)["byBackplane"]["parcel"]["acknowledged"] == 1
    assert backplane("plan", "doc.yaml", env=installed).code == 0
    assert '"parcel"' in backplane("schema", "document", env=installed).out
    assert "there is no backplane type `Parcel`" in backplane("check", "doc.yaml").err
