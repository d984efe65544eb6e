"""The base install is enough to import the runtime."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.runtime_only

OPTIONAL = ("pydantic", "yaml", "jinja2", "sqlalchemy", "alembic", "click", "rich", "confluent_kafka", "psycopg")
PROBE = f"import sys, backplane_runtime; print(sorted(set(sys.modules) & {set(OPTIONAL)!r}))"


def test_importing_the_runtime_imports_no_extra() -> None:
    """A service that publishes does not pay for a compiler or a client that it does not use."""
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
