"""The page about the format is true: the script in it, which uses none of our code, reads what we write."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import backplane_runtime.spool
from backplane_runtime.spool import SpoolLog, SpoolOptions, SpoolReader
from backplane_runtime.spool.frame import BODY_LIMIT, HEADER_SIZE, MAGIC, encode_frames
from backplane_runtime.spool.layout import SEGMENT_BYTES
from tests.runtime.spool.spools import KAFKA, SQL, adopted, die, lines, put, read_all, segments

pytestmark = pytest.mark.runtime_only

PAGE = (Path(backplane_runtime.spool.__file__).parent / "README.md").read_text(encoding="utf-8")
EXAMPLE, SCRIPT = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def printed(folder: Path, destination: str) -> bytes:
    """Run the script as it stands in the page, in a Python that cannot import ours."""
    command = [sys.executable, "-I", "-S", "-c", SCRIPT, str(folder), destination]
    return subprocess.run(command, capture_output=True, check=True, timeout=60).stdout


def joined(reader: SpoolReader) -> bytes:
    return b"".join(line + b"\n" for _, line in read_all(reader))


def test_the_script_is_short() -> None:
    """One can type it."""
    assert len(SCRIPT.splitlines()) <= 30
    assert "backplane_runtime" not in SCRIPT


@pytest.fixture
def dead(tmp_path: Path) -> Path:
    """A folder with all that may be in one: segments, released ones, two cursors, damage, stale copies, a torn end."""
    log = SpoolLog.create(tmp_path, SpoolOptions(destinations=(KAFKA, SQL), segment_bytes=600))
    for _ in range(20):
        put(log, 7, pad=20)
    for name, settled in (("kafka", 100), ("sql", 40)):
        read_all(log.reader(name), count=9)
        log.reader(name).settle(settled)
    log.release()
    log.append(lines(log.appended, 3))
    path = die(log)
    (first, second, *_, last) = segments(path)
    assert int(first.stem) > 1
    # What a write that did not come to its end leaves in front of a new segment.
    first.write_bytes(first.read_bytes() + b"".join(encode_frames(int(second.stem), [b'"stale"'] * 4)))
    spoiled = bytearray(second.read_bytes())
    spoiled[spoiled.index(MAGIC, 1) + 50] ^= 1
    second.write_bytes(spoiled)
    last.write_bytes(last.read_bytes() + MAGIC + b"\x01\0")
    return path


@pytest.mark.parametrize("destination", ["kafka", "sql"])
def test_the_script_reads_what_we_read(dead: Path, destination: str) -> None:
    """Byte for byte, over damage and all."""
    script = printed(dead, destination)
    log = adopted(dead.parent, KAFKA, SQL)
    assert script == joined(log.reader(destination))
    assert script.count(b"\n") > 40
    assert (log.reader(destination).skipped > 0) is (destination == "sql")
    log.forget()


def test_the_script_reads_a_live_folder(tmp_path: Path) -> None:
    """It needs no lock."""
    log = SpoolLog.create(tmp_path, SpoolOptions(destinations=(KAFKA,)))
    put(log, 5)
    assert printed(log.path, "kafka") == b"".join(line + b"\n" for line in lines(1, 5))
    log.close()


def test_the_example_runs(tmp_path: Path) -> None:
    """As it stands there."""
    done = subprocess.run(
        [sys.executable, "-c", f"{EXAMPLE}\nprint(batch, left)"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == """[(1, b'{"eventId":"1"}'), (2, b'{"eventId":"2"}')] []\n"""
    assert list((tmp_path / "spool").iterdir()) == []


def test_the_page_names_the_numbers_that_hold() -> None:
    """Those that a reader of the format may rely on."""
    fields = re.findall(r"^\| (\d+) \| ", PAGE, re.MULTILINE)
    assert sum(map(int, fields)) == HEADER_SIZE
    assert f"larger than {BODY_LIMIT >> 10} KiB" in PAGE
    assert f"reached {SEGMENT_BYTES >> 20} MiB" in PAGE
    assert f"`{MAGIC.hex(' ').upper()}`" in PAGE
