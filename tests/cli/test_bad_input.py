"""Bad input, as a user gives it: one clear message, exit code 1, no traceback (the fixture insists on that)."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cli.conftest import Backplane

GOOD = b"dataPlane: {backplane: {type: sqlite}}\n"

BOMB = b"a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"a%d: &a%d [%s]\n" % (level, level, b",".join([b"*a%d" % (level - 1)] * 10)) for level in range(1, 10)
)

CASES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "error[empty-document]"),
    "comments only": (b"# nothing\n", "error[empty-document]"),
    "binary": (b"\x00\x01\x02" + GOOD, "error[binary-file]"),
    "not UTF-8": (b"dataPlane: {backplane: {type: sqlit\xe9}}\n", "error[not-utf8]"),
    "broken YAML": (b"dataPlane: {backplane: {type: sqlite}\n", "error[yaml-syntax]"),
    "two documents": (GOOD + b"---\n" + GOOD, "error[several-documents]"),
    "a list": (b"- a\n- b\n", "error["),
    "wrong type": (b"dataPlane: {batchSize: many, backplane: {type: sqlite}}\n", "`dataPlane.batchSize`"),
    "unknown key": (b"dataPlane: {bachSize: 5, backplane: {type: sqlite}}\n", "did you mean `batchSize`?"),
    "duplicate key": (b"dataPlane: {backplane: {type: sqlite}}\ndataPlane: {}\n", "error[duplicate-key]"),
    "unknown type": (b"dataPlane: {backplane: {type: kafak}}\n", "did you mean `kafka`?"),
    "no backplane": (b"dataPlane: {}\n", "`dataPlane.backplane` is required"),
    "alias bomb": (BOMB, "error["),
    "deep nesting": (b"[" * 5000, "error["),
}


@pytest.mark.parametrize("name", CASES)
def test_a_bad_document_is_told_by_code_and_place(backplane: Backplane, tmp_path: Path, name: str) -> None:
    """`check`, `compile`, `plan`, `apply` and `drift` all say the same and write nothing."""
    content, expected = CASES[name]
    (tmp_path / "doc.yaml").write_bytes(content)
    for arguments in (("check", "doc.yaml"), ("compile", "doc.yaml", "-o", "build"), ("apply", "doc.yaml", "--yes")):
        ran = backplane(*arguments)
        assert ran.code == 1, arguments
        assert expected in ran.err, ran.err
    assert not (tmp_path / "build").exists()


def test_no_file_and_a_folder(backplane: Backplane, tmp_path: Path) -> None:
    """A near name is offered."""
    (tmp_path / "backplane.yaml").write_bytes(GOOD)
    ran = backplane("check", "backplan.yaml")
    assert ran.code == 1
    assert "backplane.yaml" in ran.err
    assert backplane("check", str(tmp_path)).code == 1


def test_usage_errors_exit_with_1(backplane: Backplane) -> None:
    """2 means that changes are needed, so it is not for a mistyped command line."""
    for arguments in (("chekc",), ("plan",), ("plan", "--bogus", "x"), ("compile", "doc.yaml"), ("schema", "nothing")):
        ran = backplane(*arguments)
        assert ran.code == 1, arguments
        assert ran.err.startswith("error: ")
    assert "did you mean `check`?" in backplane("chekc").err


def test_usage_errors_read_as_the_others_do(backplane: Backplane) -> None:
    """Lower case, no final stop."""
    assert backplane("check").err == "error: missing argument 'DOC...'\nhint: see `backplane check --help`\n"


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("build/runtime.json", "`backplane publish`"),
        ("plan.json", "`backplane apply`"),
        ("build/infra.json", "the document"),
        ("build/manifest.json", "the document"),
    ],
)
def test_a_file_that_we_wrote_is_not_taken_for_a_document(
    backplane: Backplane, sqlite_document: str, file: str, expected: str
) -> None:
    """Two lines say which command takes it, instead of an error for each of its keys."""
    backplane("compile", sqlite_document, "-o", "build")
    backplane("plan", sqlite_document, "-o", "plan.json")
    for command in ("check", "plan"):
        ran = backplane(command, file)
        assert (ran.code, len(ran.err.splitlines())) == (1, 2)
        assert expected in ran.err.splitlines()[1]


def test_a_document_is_not_taken_for_a_runtime_config(backplane: Backplane, sqlite_document: str) -> None:
    """The hint is the command that makes one of the other."""
    for command in ("publish", "health"):
        assert (
            "hint: a document is compiled first: backplane compile doc.yaml" in backplane(command, sqlite_document).err
        )


def test_a_document_is_not_taken_for_a_plan(backplane: Backplane, sqlite_document: str) -> None:
    """The same for `explain`."""
    ran = backplane("explain", sqlite_document)
    assert (ran.code, len(ran.err.splitlines())) == (1, 2)
    assert "backplane plan doc.yaml -o plan.json" in ran.err


def test_an_output_that_is_a_file(backplane: Backplane, tmp_path: Path) -> None:
    """The folder cannot be made, and that is said in one line."""
    (tmp_path / "doc.yaml").write_bytes(GOOD)
    (tmp_path / "build").write_text("a file", encoding="utf-8")
    ran = backplane("compile", "doc.yaml", "-o", "build")
    assert (ran.code, len(ran.err.splitlines())) == (1, 1)
    assert (tmp_path / "build").read_text(encoding="utf-8") == "a file"


def test_a_read_only_output_folder(backplane: Backplane, tmp_path: Path) -> None:
    """Even root cannot make a folder in /proc."""
    (tmp_path / "doc.yaml").write_bytes(GOOD)
    ran = backplane("compile", "doc.yaml", "-o", "/proc/backplane-build")
    assert (ran.code, len(ran.err.splitlines())) == (1, 1)
    assert "cannot be written" in ran.err


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda config: config["dataPlane"].update(batchSize=1), "was changed after it was compiled"),
        (lambda config: config.update(version=2), "of version 2"),
        (lambda config: config.update(format="other"), "is not a frozen config"),
    ],
)
def test_a_runtime_config_that_is_not_what_was_compiled(
    backplane: Backplane, tmp_path: Path, change: Callable[[dict[str, object]], None], expected: str
) -> None:
    """Nothing is published with it."""
    (tmp_path / "doc.yaml").write_bytes(GOOD)
    backplane("compile", "doc.yaml", "-o", "build")
    path = tmp_path / "build" / "runtime.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    change(config)
    path.write_text(json.dumps(config), encoding="utf-8")
    for command in ("publish", "health"):
        ran = backplane(command, "build/runtime.json")
        assert ran.code == 1
        assert expected in ran.err


def test_secrets_in_clear_reach_no_output(backplane: Backplane, tmp_path: Path) -> None:
    """Not the diagnostics, not a file, not the plan; a reference stands in their place."""
    secret = "hunter2-planted"
    (tmp_path / "doc.yaml").write_text(
        "dataPlane: {backplane: {type: postgresql, options: "
        f"{{url: 'postgresql://me:{secret}@127.0.0.1:1/db', tableNam: x}}}}}}\n",
        encoding="utf-8",
    )
    good = (tmp_path / "doc.yaml").read_text(encoding="utf-8").replace(", tableNam: x", "")
    (tmp_path / "good.yaml").write_text(good, encoding="utf-8")
    shown = [
        backplane("check", "doc.yaml", "--format", form) for form in ("text", "concise", "json", "sarif", "github")
    ]
    shown += [backplane("compile", "good.yaml", "-o", "build"), backplane("plan", "good.yaml", "-o", "plan.json")]
    assert shown[0].code == 1
    assert shown[5].code == 0
    for ran in shown:
        assert secret not in ran.out + ran.err
    for path in tmp_path.rglob("*"):
        if path.is_file() and path.suffix != ".yaml":
            assert secret.encode() not in path.read_bytes(), path


def test_two_publishers_on_one_sqlite_file(backplane: Backplane, sqlite_document: str, tmp_path: Path) -> None:
    """Both are heard in full."""
    backplane("apply", sqlite_document, "--yes")
    backplane("compile", sqlite_document, "-o", "build")
    line = '{"eventType": "outcome", "experimentName": "e", "subjectId": "u", "metric": "m"}\n'
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(lambda _: backplane("publish", "build/runtime.json", stdin=line * 5_000), range(2)))
    assert [ran.code for ran in runs] == [0, 0]
    with sqlite3.connect(tmp_path / "events.db") as database:
        assert database.execute('SELECT COUNT(*) FROM "ExperimentEvents"').fetchone() == (10_000,)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, which Linux has")
@pytest.mark.parametrize("arguments", [("schema", "document"), ("--help",), ("plan", "{document}")])
def test_a_full_disk_behind_standard_output(sqlite_document: str, arguments: tuple[str, ...], tmp_path: Path) -> None:
    """One line, also where the text is short and was only to be written when the program ends."""
    words = [word.format(document=sqlite_document) for word in arguments]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "backplane_compiler", *words],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.stderr == "error: standard output cannot be written: No space left on device\n"
    assert done.returncode == 1


def test_publish_without_standard_input(backplane: Backplane, sqlite_document: str, tmp_path: Path) -> None:
    """As a service manager starts it: there is nothing to read, and that is said."""
    assert backplane("compile", sqlite_document, "-o", "build").code == 0
    command = f'"{sys.executable}" -m backplane_compiler publish build/runtime.json <&-'
    done = subprocess.run(["/bin/sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "standard input is closed" in done.stderr


def test_a_time_limit_without_end(backplane: Backplane, sqlite_document: str) -> None:
    """Is one, for whoever wants to wait."""
    assert backplane("compile", sqlite_document, "-o", "build").code == 0
    assert backplane("apply", sqlite_document, "--yes").code == 0
    line = '{"eventType": "outcome", "experimentName": "c", "subjectId": "u", "metric": "m"}'
    assert backplane("publish", "build/runtime.json", "--timeout", "inf", stdin=line).code == 0
    assert backplane("health", "build/runtime.json", "--timeout", "inf").code == 0
