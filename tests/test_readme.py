"""The README is true: its tour is executed, and what the commands print is compared with what stands there.

`BACKPLANE_UPDATE_GOLDEN=1 make test ARGS=tests/test_readme.py` writes what they print now.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
CONSOLE = re.compile(r"(?<=```console\n).*?(?=```)", re.DOTALL)
TOUR = re.compile(r"(?<=<!-- tour -->\n).*?(?=<!-- end of tour -->)", re.DOTALL)


def executed(transcript: str, folder: Path, shell_state: list[str]) -> str:
    """Run the `$ ` lines of a console block in *folder* and return the block with what they print now."""
    lines: list[str] = []
    for line in transcript.splitlines():
        if not line.startswith("$ "):
            continue
        command = line[2:]
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-c", " && ".join([*shell_state, "true"]) + f"; {command}"],
            cwd=folder,
            env={**os.environ, "PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if command.startswith("cd ") or " && cd " in command:
            shell_state.append("cd " + command.rpartition("cd ")[2])
        lines += [line, *done.stdout.splitlines()]
    return "".join(f"{line}\n" for line in lines)


def test_the_tour_does_what_it_says(tmp_path: Path) -> None:
    """Every command, in order, in an empty folder."""
    text = README.read_text(encoding="utf-8")
    tour = TOUR.search(text)
    assert tour is not None
    state: list[str] = []
    now = CONSOLE.sub(lambda block: executed(block.group(), tmp_path, state), tour.group())
    assert now.count("$ backplane") >= 6
    if os.environ.get("BACKPLANE_UPDATE_GOLDEN"):
        README.write_text(text.replace(tour.group(), now), encoding="utf-8")
    else:
        assert now == tour.group()


def test_every_file_that_the_readme_links_to_is_there() -> None:
    """A renamed file leaves no dead link."""
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", README.read_text(encoding="utf-8")):
        assert (README.parent / target).exists(), target
