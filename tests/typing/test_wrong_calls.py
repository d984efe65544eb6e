"""Each wrong call is found once, and by the code that `wrong_calls.py` names: an `ignore` alone would hide a second error."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

HERE = Path(__file__).parent
EXPECTED = re.compile(r" +# type: ignore\[([a-z-]+)\]")
ERROR = re.compile(r"wrong_calls\.py:(\d+): error: .*\[([a-z-]+)\]$", re.MULTILINE)


def test_each_wrong_call_has_exactly_one_error(tmp_path: Path) -> None:
    """And no other line has any."""
    pytest.importorskip("mypy", reason="mypy is not installed; `make lint` installs it")
    text = (HERE / "wrong_calls.py").read_text(encoding="utf-8")
    marked = [(number, EXPECTED.search(line)) for number, line in enumerate(text.splitlines(), 1)]
    expected = Counter((number, match[1]) for number, match in marked if match)
    assert len(expected) > 60
    unmarked = tmp_path / "wrong_calls.py"
    unmarked.write_text(EXPECTED.sub("", text), encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--hide-error-context", "--no-pretty", str(unmarked)]
    done = subprocess.run(command, cwd=HERE.parents[1], capture_output=True, text=True, check=False)
    assert Counter((int(line), code) for line, code in ERROR.findall(done.stdout)) == expected, (
        done.stdout + done.stderr
    )
