"""Opening a data plane from a frozen config: what is taken, and what is refused in one line."""

import json
import traceback
from pathlib import Path
from typing import Any

import msgspec
import pytest

from backplane_runtime import ConfigError, DataPlane
from backplane_runtime.config import BackplaneEntry, FrozenConfig, canonical_bytes, digest_of, to_bytes
from backplane_runtime.events import EventType
from backplane_runtime.settings import Plane

pytestmark = pytest.mark.runtime_only


def config(**changes: Any) -> FrozenConfig:
    entry = BackplaneEntry(name="main", type="inMemory", events=tuple(EventType), options={"capacity": 5})
    base = FrozenConfig(
        format="experiment-backplane/runtime",
        version=1,
        minor_version=0,
        digest="",
        document_digest="",
        data_plane=Plane(),
        backplanes=(entry,),
    )
    return msgspec.structs.replace(base, **changes)


def test_open_reads_a_frozen_config(tmp_path: Path) -> None:
    """And publishes as it says."""
    path = tmp_path / "runtime.json"
    path.write_bytes(to_bytes(config()))
    with DataPlane.open(path) as plane:
        plane.outcome("e", subject="s", metric="m")
        assert plane.flush()
        assert plane.ledger().by_backplane["main"].acknowledged == 1


def entry(kind: str, **options: Any) -> tuple[BackplaneEntry, ...]:
    return (BackplaneEntry(name="main", type=kind, events=tuple(EventType), options=options),)


@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [
        ("kafak", {}, "no backplane `kafak`; there are `inMemory`, `kafka`"),
        ("azureServiceBus", {}, "publishing to it is not part of this version yet"),
        ("inMemory", {"capacity": 0, "capacty": 1}, "capacty: unknown option"),
    ],
)
def test_open_refuses_backplanes_in_one_line(tmp_path: Path, kind: str, options: dict[str, Any], expected: str) -> None:
    """With the file, the reason and what there is instead, below one traceback: that of the program."""
    path = tmp_path / "runtime.json"
    path.write_bytes(to_bytes(config(backplanes=entry(kind, **options))))
    with pytest.raises(ConfigError) as caught:
        DataPlane.open(path)
    assert expected in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "".join(traceback.format_exception(caught.value)).count("Traceback") == 1


def test_a_config_changed_by_hand_is_refused(tmp_path: Path) -> None:
    """Its digest does not match."""
    path = tmp_path / "runtime.json"
    plain = json.loads(to_bytes(config()))
    plain["dataPlane"]["samplingRate"] = 0.5
    path.write_text(json.dumps(plain))
    with pytest.raises(ConfigError, match="was changed after it was compiled"):
        DataPlane.open(path)


def test_versions_of_the_config(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A newer major one is refused, a newer minor one is a warning."""
    path = tmp_path / "runtime.json"
    path.write_bytes(to_bytes(config(version=2)))
    with pytest.raises(ConfigError, match="version 2"):
        DataPlane.open(path)
    path.write_bytes(to_bytes(config(minor_version=9)))
    DataPlane.open(path).close()
    assert "minor version 9" in caplog.text


def test_keys_of_a_newer_minor_version_are_ignored(tmp_path: Path) -> None:
    """Wherever they stand, as the warning says; in a config of our own version they are a mistake."""
    path = tmp_path / "runtime.json"
    plain = json.loads(to_bytes(config(minor_version=9)))
    inner = (plain, plain["dataPlane"], plain["dataPlane"]["spool"], plain["backplanes"][0]["options"])
    for place in inner:
        place["newer"] = 1
    path.write_bytes(canonical_bytes(plain | {"digest": digest_of(plain)}))
    with DataPlane.open(path) as plane:
        plane.outcome("e", subject="s", metric="m")
        assert plane.flush()
    plain["minorVersion"] = 0
    path.write_bytes(canonical_bytes(plain | {"digest": digest_of(plain)}))
    with pytest.raises(ConfigError, match="newer"):
        DataPlane.open(path)


@pytest.mark.parametrize("content", [None, b"", b"\xff\x00", b"[]", b"{", b"{}"])
def test_what_is_no_config_is_refused(tmp_path: Path, content: bytes | None) -> None:
    """With one kind of error."""
    path = tmp_path / "runtime.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"runtime\.json"):
        DataPlane.open(path)


def test_a_directory_is_no_config(tmp_path: Path) -> None:
    """The same kind of error."""
    with pytest.raises(ConfigError, match="cannot be read"):
        DataPlane.open(tmp_path)
