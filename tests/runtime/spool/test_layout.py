"""Where spools are, and what is in a description."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from backplane_runtime.spool import Destination, SpoolLog, SpoolOptions, default_root
from backplane_runtime.spool.layout import cursor_names, is_folder_name, new_folder_name, segment_name, segment_number

pytestmark = pytest.mark.runtime_only


def test_the_default_root_follows_the_specification(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An absolute `XDG_STATE_HOME`, or `~/.local/state`."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for given in ("", "relative/path"):
        monkeypatch.setenv("XDG_STATE_HOME", given)
        assert default_root() == tmp_path / ".local" / "state" / "experiment-backplane" / "spool"
    monkeypatch.setenv("XDG_STATE_HOME", "/var/state")
    assert default_root() == Path("/var/state/experiment-backplane/spool")


NOBODY = "import os; os.setuid(54321); from backplane_runtime.spool.layout import _home; print(_home())"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user whom no file names")
def test_a_user_without_a_home_has_a_spool_too() -> None:
    """As in a container that runs as a number."""
    environment = {name: value for name, value in os.environ.items() if name not in {"HOME", "XDG_STATE_HOME"}}
    program = f"import backplane_runtime.spool\n{NOBODY}"  # imported while it may read
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, cwd="/", capture_output=True, text=True, check=True
    )
    assert done.stdout == "/\n"


def test_names_of_cursors_are_safe_and_differ() -> None:
    """Free text, in any alphabet, of any length; case does not count on some disks."""
    given = ["kafka", "Kafka", "kafka~2", "a/b", "..", "ü" * 200, "ü" * 201, "", "%", "\ud800", "nul\0"]
    names = cursor_names(given)
    assert names[:2] == ["kafka.cursor", "Kafka~2.cursor"]
    assert len({name.casefold() for name in names}) == len(given)
    assert all(name.isascii() and "/" not in name and "." not in name.removesuffix(".cursor") for name in names)
    assert max(map(len, names)) < 100


def test_names_of_folders_sort_by_time_and_are_known_again() -> None:
    """Also within one microsecond there are no two."""
    names = [new_folder_name() for _ in range(100)]
    assert len(set(names)) == 100
    assert [name[:23] for name in names] == sorted(name[:23] for name in names)
    assert all(is_folder_name(name) for name in names)
    assert not is_folder_name("notes")


def test_names_of_segments_are_numbers() -> None:
    """Twenty digits, so that names sort as numbers do."""
    assert segment_name(21) == "00000000000000000021.seg"
    assert segment_number("00000000000000000021.seg") == 21
    assert [
        segment_number(name) for name in ("21.seg", "0000000000000000002x.seg", "00000000000000000021.seg.tmp")
    ] == [
        None,
        None,
        None,
    ]


def test_a_description_says_who_and_where_to(tmp_path: Path) -> None:
    """As the page of the format has it."""
    destination = Destination(name="my kafka", type="kafka", target="4c1f", events=("exposure",))
    log = SpoolLog.create(tmp_path, SpoolOptions(destinations=(destination,), program="shop"))
    meta = json.loads((log.path / "spool.json").read_text())
    assert meta.pop("started").endswith("Z")
    assert meta.pop("host")
    assert meta == {
        "format": "experiment-backplane/spool",
        "version": 1,
        "pid": os.getpid(),
        "program": "shop",
        "destinations": [
            {
                "name": "my kafka",
                "type": "kafka",
                "target": "4c1f",
                "events": ["exposure"],
                "cursor": "my%20kafka.cursor",
            }
        ],
    }
    log.close()
