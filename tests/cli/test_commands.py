"""Every command on a good day, on the embedded default."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from tests.cli.conftest import Backplane

COMMANDS = ("init", "check", "compile", "plan", "apply", "drift", "explain", "publish", "health", "schema")


def tree(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file with its content and the time of its last change."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_help_names_every_command(backplane: Backplane) -> None:
    """The first thing that a new user sees."""
    ran = backplane("--help")
    assert ran.code == 0
    assert all(f"  {name} " in ran.out for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help_with_an_example(backplane: Backplane, name: str) -> None:
    """One can copy the example."""
    ran = backplane(name, "--help")
    assert ran.code == 0
    assert f"backplane {name}" in ran.out.split("Example:")[1]
    assert {"--color", "--quiet", "--verbose"} <= set(ran.out.split())


def test_a_bare_backplane_shows_the_help_and_is_an_error(backplane: Backplane) -> None:
    """A script whose variable was empty must not go on; a person sees what there is."""
    ran = backplane()
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("Usage: backplane ")


def test_init_says_what_is_next_in_words_that_can_be_pasted(backplane: Backplane) -> None:
    """No `cd .`, and a name with a space is quoted."""
    assert "next: backplane check backplane.yaml && " in backplane("init").err
    assert "next: cd 'my shop' && backplane check " in backplane("init", "my shop").err
    assert backplane("init", "quiet", "--quiet").err == ""


def test_init_takes_a_kind_in_any_case_and_offers_the_nearest(backplane: Backplane) -> None:
    """The kinds are shown as a document spells them."""
    assert backplane("init", "bus", "--kind", "azureservicebus").code == 0
    ran = backplane("init", "shop", "--kind", "kafak")
    assert ran.code == 1
    assert "azureServiceBus" in ran.err
    assert "did you mean `kafka`?" in ran.err


@pytest.mark.parametrize("kind", ["sqlite", "kafka", "azureServiceBus", "sqlServer", "postgresql"])
def test_init_writes_a_document_that_compiles_without_a_word(backplane: Backplane, kind: str) -> None:
    """A starter must not begin with a warning."""
    assert backplane("init", "shop", "--kind", kind).code == 0
    ran = backplane("check", "shop/backplane.yaml")
    assert (ran.code, ran.err) == (0, "shop/backplane.yaml: ok\n")


def test_init_never_overwrites(backplane: Backplane, tmp_path: Path) -> None:
    """What is there stays as it is, and nothing is added beside it."""
    (tmp_path / "backplane.yaml").write_text("mine", encoding="utf-8")
    ran = backplane("init")
    assert ran.code == 1
    assert "already there" in ran.err
    assert (tmp_path / "backplane.yaml").read_text(encoding="utf-8") == "mine"
    assert not (tmp_path / "publish.py").exists()


def test_compile_twice_changes_no_byte(backplane: Backplane, sqlite_document: str, tmp_path: Path) -> None:
    """Not even the time of a file."""
    assert backplane("compile", sqlite_document, "-o", "build").code == 0
    first = tree(tmp_path / "build")
    again = backplane("compile", sqlite_document, "-o", "build")
    assert again.code == 0
    assert "no file changed" in again.err
    assert tree(tmp_path / "build") == first


def test_plan_apply_plan(backplane: Backplane, sqlite_document: str) -> None:
    """Changes needed, made, and not needed any more."""
    assert backplane("plan", sqlite_document).code == 2
    assert backplane("drift", sqlite_document).code == 2
    applied = backplane("apply", sqlite_document, "--yes")
    assert (applied.code, applied.out.splitlines()[-1]) == (0, "4 done")
    after = backplane("plan", sqlite_document)
    assert (after.code, after.out.splitlines()[-1]) == (0, "nothing to change")
    assert backplane("drift", sqlite_document).code == 0
    assert backplane("apply", sqlite_document, "--yes").code == 0


def test_apply_asks_where_it_cannot(backplane: Backplane, sqlite_document: str, tmp_path: Path) -> None:
    """Without a terminal and without --yes nothing happens."""
    ran = backplane("apply", sqlite_document)
    assert ran.code == 1
    assert "add --yes" in ran.err
    assert not (tmp_path / "events.db").exists()


def test_apply_as_json_ends_with_one_line_also_where_nothing_is_to_do(
    backplane: Backplane, sqlite_document: str
) -> None:
    """Whoever reads the lines waits for the last one."""
    first, second = (backplane("apply", sqlite_document, "--yes", "-f", "json") for _ in range(2))
    ends = [json.loads(ran.out.splitlines()[-1]) for ran in (first, second)]
    assert ends == [{"event": "end", "interrupted": False, "done": done, "failed": 0, "notDone": 0} for done in (4, 0)]


@pytest.mark.parametrize("form", ["json", "sarif", "github"])
def test_diagnostics_for_machines_stay_apart_from_the_data_of_a_command(
    backplane: Backplane, tmp_path: Path, form: str
) -> None:
    """Two JSON texts in one stream are none: `plan` writes its plan to standard output, so they go to standard error."""
    (tmp_path / "doc.yaml").write_text(
        "dataPlane: {backplane: {type: sqlite, options: {path: e.db}, provisioning: {indexes: default}}}\n", "utf-8"
    )
    ran = backplane("plan", "doc.yaml", "-f", "json", "--format", form)
    assert (ran.code, json.loads(ran.out)["format"]) == (2, "experiment-backplane/plan")
    assert ran.err == backplane("check", "doc.yaml", "--format", form).out


def test_a_saved_plan_takes_no_environment(backplane: Backplane, sqlite_document: str) -> None:
    """It was chosen when the plan was made; to ignore it now would apply something else than what was asked for."""
    assert backplane("plan", sqlite_document, "-o", "plan.json").code == 2
    ran = backplane("apply", "plan.json", "--yes", "--env", "prod")
    assert (ran.code, ran.out) == (1, "")
    assert "is a saved plan" in ran.err


def test_a_saved_plan_is_executed_exactly_and_once(backplane: Backplane, sqlite_document: str) -> None:
    """`explain` reads the same file."""
    saved = backplane("plan", sqlite_document, "-o", "my plan.json")
    assert (saved.code, saved.err) == (
        2,
        "saved my plan.json; `backplane apply 'my plan.json'` executes exactly this plan\n",
    )
    assert backplane("plan", sqlite_document, "-o", "plan.json").code == 2
    assert "ExperimentEvents" in backplane("explain", "plan.json").out
    assert backplane("apply", "plan.json", "--yes").code == 0
    assert backplane("plan", sqlite_document).code == 0


def test_apply_refuses_a_saved_plan_whose_world_has_moved(
    backplane: Backplane, sqlite_document: str, tmp_path: Path
) -> None:
    """It says what moved, and touches nothing."""
    assert backplane("plan", sqlite_document, "-o", "plan.json").code == 2
    with sqlite3.connect(tmp_path / "events.db") as database:
        database.execute('CREATE TABLE "ExperimentEvents" ("Other" TEXT)')
    ran = backplane("apply", "plan.json", "--yes")
    assert ran.code == 1
    assert "sqlite.table.ExperimentEvents" in ran.err
    with sqlite3.connect(tmp_path / "events.db") as database:
        assert database.execute("SELECT COUNT(*) FROM sqlite_master WHERE type = 'index'").fetchone() == (0,)


def test_what_cannot_be_applied_is_shown_as_blocked(backplane: Backplane, sqlite_document: str, tmp_path: Path) -> None:
    """A missing column is seen, named with the reason, and nothing is done."""
    with sqlite3.connect(tmp_path / "events.db") as database:
        database.execute('CREATE TABLE "ExperimentEvents" ("Id" INTEGER PRIMARY KEY AUTOINCREMENT)')
    ran = backplane("plan", sqlite_document)
    assert ran.code == 3
    assert "  ! sqlite.table.ExperimentEvents" in ran.out
    assert "column EventId" in ran.out
    saved = backplane("plan", sqlite_document, "-o", "plan.json").err
    assert saved == "saved plan.json; `backplane explain plan.json` says what to do about the blocked steps\n"
    assert backplane("apply", sqlite_document, "--yes").code == 3
    lines = [json.loads(line) for line in backplane("apply", sqlite_document, "--yes", "-f", "json").out.splitlines()]
    assert {line["event"] for line in lines} == {"blocked"}
    assert all(line["reason"] and line["address"] == "sqlite.table.ExperimentEvents" for line in lines)


def test_publish_reads_json_lines_and_prints_the_ledger(
    backplane: Backplane, sqlite_document: str, tmp_path: Path
) -> None:
    """A line that is not an event is reported with its number, and the others go on."""
    backplane("apply", sqlite_document, "--yes")
    backplane("compile", sqlite_document, "-o", "build")
    lines = [
        '{"eventType": "exposure", "experimentName": "e", "variantKey": "a", "subjectId": "u"}',
        "not json",
        '{"eventType": "outcom", "experimentName": "e", "subjectId": "u", "metric": "m"}',
        '{"eventType": "Outcome", "experimentName": "e", "subjectId": "u", "metric": "m", "value": 1.5}',
        '{"eventType": "Outcome", "experimentName": "e", "subjectId": "u", "metric": "m", "valeu": 1.5}',
        '{"eventType": "Outcome", "attributes": ' + "[" * 5000 + "]" * 5000 + "}",
        '{"eventType": "Outcome", "\\u001b[2J": 1}',
    ]
    lines.append(lines[3])
    ran = backplane("publish", "build/runtime.json", stdin="\n".join(lines))
    assert ran.code == 1
    assert "standard input:2:" in ran.err
    assert "standard input:3: `eventType` must be one of exposure" in ran.err
    assert "standard input:5: `outcome` has no field `valeu`; did you mean `value`?" in ran.err
    assert "standard input:6: is nested too deep" in ran.err
    assert "standard input:7: `outcome` has no field `\\x1b[2J`" in ran.err
    assert "hint: `backplane schema events` has the fields" in ran.err
    ledger = json.loads(ran.out)
    assert ledger["total"]["acknowledged"] == 3
    assert ledger["byBackplane"]["sqlite"] == {
        "taken": 3, "inFlight": 0, "acknowledged": 3, "duplicates": 0, "dropped": 0, "setAside": 0,
    }  # fmt: skip
    with sqlite3.connect(tmp_path / "events.db") as database:
        assert database.execute('SELECT COUNT(*) FROM "ExperimentEvents"').fetchone() == (3,)


def test_publish_repeats_what_the_server_said(backplane: Backplane, tmp_path: Path) -> None:
    """A table that is there and refuses events is well for `health`, and yet the reason why nothing was delivered."""
    (tmp_path / "doc.yaml").write_text(
        "dataPlane: {backplane: {type: sqlite, options: {path: events.db}}}\n", encoding="utf-8"
    )
    backplane("compile", "doc.yaml", "-o", "build")
    with sqlite3.connect(tmp_path / "events.db") as database:
        database.execute('CREATE TABLE "ExperimentEvents" ("Other" TEXT)')
    line = '{"eventType": "outcome", "experimentName": "e", "subjectId": "u", "metric": "m"}'
    ran = backplane("publish", "build/runtime.json", "--timeout", "0.3", stdin=line)
    assert ran.code == 1
    last = ran.err.splitlines()[-1]
    assert last.startswith("error: not every event was delivered: sqlite: ")
    assert "EventId" in last


def test_publish_gives_every_reason(backplane: Backplane, tmp_path: Path) -> None:
    """That the server takes nothing does not explain why an event never reached it."""
    (tmp_path / "doc.yaml").write_text(
        "dataPlane: {backplane: {type: sqlite, options: {path: no/events.db}}}\n", encoding="utf-8"
    )
    backplane("compile", "doc.yaml", "-o", "build")
    fields = '"experimentName": "e", "subjectId": "u", "metric": "m"'
    lines = [f'{{"eventType": "outcome", {fields}{more}}}' for more in ("", ', "timestamp": "yesterday"')]
    ran = backplane("publish", "build/runtime.json", "--timeout", "0.3", stdin="\n".join(lines))
    assert ran.code == 1
    assert "standard input:2: was dropped" in ran.err
    assert "timestamp: it is no moment" in ran.err
    assert "publish.py" not in ran.err
    assert ran.err.splitlines()[-1].startswith("error: not every event was delivered: sqlite: ")


def test_publish_prints_no_ledger_where_there_is_nothing_to_read(backplane: Backplane, sqlite_document: str) -> None:
    """The error stands alone, not below 60 lines of noughts."""
    backplane("compile", sqlite_document, "-o", "build")
    ran = backplane("publish", "build/runtime.json", "-f", "evnets.jsonl")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == "error: evnets.jsonl: cannot be read: No such file or directory\n"


def test_events_for_a_logger_are_lines_on_standard_error(backplane: Backplane, tmp_path: Path) -> None:
    """In `publish` nobody else could give the logger a handler."""
    (tmp_path / "doc.yaml").write_text("dataPlane: {backplane: {type: logging}}\n", encoding="utf-8")
    backplane("compile", "doc.yaml", "-o", "build")
    line = '{"eventType": "outcome", "experimentName": "e", "subjectId": "u", "metric": "m"}'
    ran = backplane("publish", "build/runtime.json", stdin=line)
    assert (ran.code, json.loads(ran.out)["total"]["acknowledged"]) == (0, 1)
    assert json.loads(ran.err)["eventType"] == "Outcome"
    assert backplane("health", "build/runtime.json").code == 0


def test_health_says_what_is_missing(backplane: Backplane, sqlite_document: str) -> None:
    """First there is no table, then all is well."""
    backplane("compile", sqlite_document, "-o", "build")
    assert backplane("health", "build/runtime.json").code == 1
    backplane("apply", sqlite_document, "--yes")
    ran = backplane("health", "build/runtime.json")
    assert (ran.code, ran.out.split()[0]) == (0, "ok")
    assert "events.db\n" in backplane("health", "build/runtime.json", "--verbose").out.partition("path: ")[2]


def test_schema_prints_json(backplane: Backplane) -> None:
    """Each is a JSON Schema of 2020-12."""
    for what in ("document", "runtime"):
        ran = backplane("schema", what)
        assert json.loads(ran.out)["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert "Exposure" in backplane("schema", "events").out


def test_explain_knows_codes_and_their_neighbours(backplane: Backplane) -> None:
    """A typing error gets the nearest code."""
    assert backplane("explain", "unknown-key").code == 0
    ran = backplane("explain", "unknown-kye")
    assert ran.code == 1
    assert "did you mean `unknown-key`?" in ran.err
