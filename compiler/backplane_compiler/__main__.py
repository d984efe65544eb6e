"""The console entry: it must answer in one line even where the compiler's own packages are missing."""

from __future__ import annotations

import sys

_HINT = "backplane: the command line needs {}: pip install 'experiment-backplane[compiler]'"


def main() -> None:
    """Run `backplane` and exit with its code; a missing package ends in one line with the command that installs it."""
    try:
        from backplane_compiler.cli.app import run  # noqa: PLC0415  inside, so that what is missing can be said
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("backplane_"):
            raise
        sys.exit(_HINT.format(error.name))
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
