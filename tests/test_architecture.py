"""The direction of imports, and who may touch the outside world (README, "Architecture")."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
COMPILER = ROOT / "compiler" / "backplane_compiler"
RUNTIME = ROOT / "runtime" / "backplane_runtime"

# A part may import parts of a lower level, and itself. `pipeline` and `build` stand below the providers on purpose.
LEVELS = {
    "diagnostics": 0,
    "source": 1,
    "schema": 2,
    "model": 3,
    "rules": 4,
    "infra": 5,
    "frozen": 5,
    "plan": 6,
    "render": 6,
    "handlers": 7,
    "pipeline": 8,
    "build": 9,
    "providers": 9,
    "interruption": 9,
    "apply_report": 9,
    "apply": 10,
    "live": 11,
    "__init__": 12,
    "cli": 13,
    "__main__": 14,
}
# All that the compiler knows of the runtime: the frozen config with its types, the events, and what both lower to.
CONTACT = {"config", "settings", "events", "references", "event_table"}
# The command line publishes and asks for health, so it alone uses the runtime itself.
WHOLE_RUNTIME = {"cli"}
PACKAGES = {"backplane_compiler", "backplane_runtime"}
PURE = ("diagnostics", "source", "schema", "model", "rules", "infra", "frozen", "plan", "render")
READERS = {"source/files.py", "diagnostics/codes.py"}  # of documents, and of the pages that are part of the package
OUTSIDE_WORLD = {
    "os",
    "socket",
    "subprocess",
    "time",
    "random",
    "tempfile",
    "shutil",
    "urllib.request",
    "http",
    "sqlite3",
    "confluent_kafka",
    "psycopg",
    "azure",
}
# What reads a file, or the clock, without an import that would tell.
TOUCHING = {"open", "read_text", "read_bytes", "write_text", "write_bytes", "now", "utcnow", "today"}


def modules(package: Path) -> Iterator[Path]:
    """Every Python file of a package, which is not empty."""
    found = sorted(package.rglob("*.py"))
    assert found, f"{package} holds no module"
    yield from found


def imported(path: Path) -> Iterator[str]:
    """Dotted names that a module imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the direction"
            module = node.module or ""
            yield from ([f"{module}.{alias.name}" for alias in node.names] if module in PACKAGES else [module])


def called(path: Path) -> Iterator[str]:
    """Last names of what a module calls."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield node.func.attr
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id


def part_of(path: Path) -> str:
    """The part of the compiler that a module belongs to."""
    first = path.relative_to(COMPILER).parts[0]
    return first.removesuffix(".py")


def test_every_part_of_the_compiler_has_a_level() -> None:
    """A new folder or module is placed by a person, not by accident."""
    assert {part_of(path) for path in modules(COMPILER)} <= set(LEVELS)


def test_the_compiler_imports_downwards_only() -> None:
    """From diagnostics <- source <- schema <- model <- rules <- infra, frozen <- plan, render <- providers <- apply <- cli."""
    wrong = []
    for path in modules(COMPILER):
        own = part_of(path)
        for name in imported(path):
            package, _, rest = name.partition(".")
            part = rest.partition(".")[0] or "__init__"
            if package == "backplane_compiler" and part != own and LEVELS[part] >= LEVELS[own]:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert wrong == []


def test_the_compiler_touches_the_runtime_only_at_the_contact_modules() -> None:
    """The frozen config's types and the event types are all that the two share."""
    wrong = []
    for path in modules(COMPILER):
        if part_of(path) in WHOLE_RUNTIME:
            continue
        for name in imported(path):
            package, _, rest = name.partition(".")
            if package == "backplane_runtime" and rest.partition(".")[0] not in CONTACT:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert wrong == []


def test_the_runtime_outside_its_backplanes_needs_three_small_libraries() -> None:
    """A service that publishes inherits nothing else, and never the compiler."""
    allowed = set(sys.stdlib_module_names) | {"msgspec", "uuid_utils", "xxhash", "backplane_runtime"}
    wrong = []
    for path in modules(RUNTIME):
        if path.relative_to(RUNTIME).parts[0] == "backplanes":
            continue
        more = {"pytest"} if path.name == "pytest_plugin.py" else set()  # pytest itself imports it, and nobody else
        names = [name for name in imported(path) if name.partition(".")[0] not in allowed | more]
        wrong += [f"{path.name} imports {name}" for name in names]
        wrong += [f"{path.name} imports {name}" for name in imported(path) if name.endswith("pytest_plugin")]
    assert wrong == []


def test_the_runtime_never_imports_the_compiler() -> None:
    """Never back."""
    wrong = [path for path in modules(RUNTIME) if any(name.startswith("backplane_compiler") for name in imported(path))]
    assert wrong == []


def test_the_pure_parts_ask_no_clock_no_environment_and_no_network() -> None:
    """Same input, same bytes out."""
    wrong = []
    for part in PURE:
        for path in modules(COMPILER / part):
            wrong += [
                f"{path.name} imports {name}"
                for name in imported(path)
                if name in OUTSIDE_WORLD or name.partition(".")[0] in OUTSIDE_WORLD
            ]
            if path.relative_to(COMPILER).as_posix() not in READERS:
                wrong += [f"{path.name} calls {name}" for name in called(path) if name in TOUCHING]
    assert wrong == []


def test_only_the_command_line_prints() -> None:
    """Everything else returns values."""
    wrong = []
    for package in (COMPILER, RUNTIME):
        wrong += [path.name for path in modules(package) if "cli" not in path.parts and "print" in called(path)]
    assert wrong == []
