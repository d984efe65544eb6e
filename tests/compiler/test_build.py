"""A build on disk: repeatable, interruptible, and careful with what is not ours."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import tempfile
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from backplane_compiler.build import BuildError, write_build
from backplane_compiler.render import Artifact, manifest
from backplane_compiler.render.manifest import listed_files, manifest_of

Files = dict[str, Artifact | bytes]


def build(**texts: str) -> Files:
    """Return a build of *texts* by path (`__` for `/`, `_` for `.`), with its manifest."""
    files: Files = {}
    for name, text in texts.items():
        path = name.replace("__", "/").replace("_", ".")
        files[path] = Artifact(path=path, text=text, executable=path.endswith(".sh"))
    contents = {path: file.content for path, file in files.items() if isinstance(file, Artifact)}
    files["manifest.json"] = manifest(contents, source_digest="sha256:0", compiler_version="1")
    return files


def on_disk(directory: Path) -> dict[str, bytes]:
    """Return the content of every file below *directory*."""
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


def plain(files: Mapping[str, Artifact | bytes]) -> dict[str, bytes]:
    """Return *files* as `on_disk` does."""
    return {path: file.content if isinstance(file, Artifact) else file for path, file in files.items()}


FIRST = build(a__x_sh="one\n", a__b__y_json="two\n", z_sql="three\n")
SECOND = build(a__x_sh="other\n", c__new_txt="four\n", z_sql="three\n")


def test_a_build_is_written_whole(tmp_path: Path) -> None:
    report = write_build(tmp_path / "deep" / "build", FIRST)
    assert on_disk(tmp_path / "deep" / "build") == plain(FIRST)
    assert report.written == tuple(sorted(FIRST))
    assert str(report) == "4 files written, 0 unchanged"


def test_scripts_are_executable_and_others_are_not(tmp_path: Path) -> None:
    write_build(tmp_path, FIRST)
    assert os.access(tmp_path / "a/x.sh", os.X_OK)
    assert not (tmp_path / "z.sql").stat().st_mode & 0o111
    (tmp_path / "a/x.sh").chmod(0o644)
    assert write_build(tmp_path, FIRST).written == ("a/x.sh",)
    assert os.access(tmp_path / "a/x.sh", os.X_OK)


def test_a_second_run_touches_nothing(tmp_path: Path) -> None:
    write_build(tmp_path, FIRST)
    before = {path: path.stat() for path in tmp_path.rglob("*")}
    report = write_build(tmp_path, FIRST)
    assert (report.written, report.removed, report.unchanged) == ((), (), tuple(sorted(FIRST)))
    after = {path: path.stat() for path in tmp_path.rglob("*")}
    assert {path: (one.st_mtime_ns, one.st_ino) for path, one in before.items()} == {
        path: (one.st_mtime_ns, one.st_ino) for path, one in after.items()
    }


def test_what_is_no_longer_wanted_goes_with_its_folder_and_the_rest_stays(tmp_path: Path) -> None:
    write_build(tmp_path, FIRST)
    (tmp_path / "a" / "mine.txt").write_text("mine")
    report = write_build(tmp_path, SECOND)
    assert report.removed == ("a/b/y.json",)
    assert not (tmp_path / "a" / "b").exists()
    assert on_disk(tmp_path) == plain(SECOND) | {"a/mine.txt": b"mine"}


def test_a_file_of_somebody_else_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "z.sql").write_text("mine")
    with pytest.raises(BuildError, match=r"z\.sql: is there already and not from `backplane compile`"):
        write_build(tmp_path, FIRST)
    assert on_disk(tmp_path) == {"z.sql": b"mine"}


@pytest.mark.parametrize(
    "content",
    [
        b'{"name": "My web app"}',
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b'{"format": "experiment-backplane/manifest"}',
    ],
)
def test_a_manifest_of_somebody_else_is_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(BuildError, match="is not the manifest of a build"):
        write_build(tmp_path, FIRST)
    assert on_disk(tmp_path) == {"manifest.json": content}


def test_a_manifest_cannot_make_us_remove_what_is_outside(tmp_path: Path) -> None:
    outside, directory = tmp_path / "outside", tmp_path / "build"
    (outside / "kept.txt").parent.mkdir()
    (outside / "kept.txt").write_text("kept")
    write_build(directory, FIRST)
    (directory / "link").symlink_to(outside)
    paths = ["../outside/kept.txt", str(outside / "kept.txt"), "link/kept.txt", ".", ""]
    forged = dict.fromkeys(paths, b"")
    (directory / "manifest.json").write_bytes(manifest(forged | plain(FIRST), source_digest="", compiler_version=""))
    assert write_build(directory, FIRST).removed == ()
    assert (outside / "kept.txt").read_text() == "kept"


def test_names_that_no_file_can_have_are_passed_over(tmp_path: Path) -> None:
    """A manifest that was changed by hand is repaired, whatever it lists."""
    write_build(tmp_path, FIRST)
    listed = listed_files((tmp_path / "manifest.json").read_bytes())
    forged = manifest_of(listed | {"a\0b": "", "x" * 300: "", ".": ""}, source_digest="", compiler_version="")
    (tmp_path / "manifest.json").write_bytes(forged.replace(b"x" * 300, b"\\ud800"))
    write_build(tmp_path, FIRST)
    assert on_disk(tmp_path) == plain(FIRST)


def test_a_path_out_of_the_directory_or_no_manifest_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    for files in ({"../x": b""} | FIRST, {"/x": b""} | FIRST, {"x": b""}):
        with pytest.raises(ValueError, match="a build needs"):
            write_build(tmp_path / "build", files)
    assert not (tmp_path / "build").exists()


def test_a_directory_that_is_a_file_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for directory in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(BuildError) as caught:
            write_build(directory, FIRST)
        assert "\n" not in str(caught.value)
        assert str(tmp_path / "file") in str(caught.value)


def test_a_read_only_directory_is_one_clear_line(tmp_path: Path) -> None:
    """As a user to whom permissions apply: root, who is above them, becomes nobody in a process of its own."""
    # Not below `tmp_path`, whose parents nobody else may enter.
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        write_build(directory, FIRST)
        directory.chmod(0o555)
        try:
            context = multiprocessing.get_context("fork")
            receiver, sender = context.Pipe(duplex=False)
            child = context.Process(target=_write_as_nobody, args=(directory, sender))
            child.start()
            sender.close()
            message = receiver.recv()
            child.join()
        finally:
            directory.chmod(0o755)
        assert message.endswith("cannot be written: Permission denied; choose another directory with `-o`")
        assert "\n" not in message
        assert on_disk(directory) == plain(FIRST)


def _write_as_nobody(directory: Path, sender: Connection) -> None:
    """Send what `write_build` says to a user who may not write."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    try:
        write_build(directory, SECOND)
    except BuildError as error:
        sender.send(str(error))
    else:
        sender.send("written")


def test_a_disk_that_refuses_leaves_nothing_staged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, mode: str) -> None:
        os.close(descriptor)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fdopen", full)
    with pytest.raises(BuildError, match="No space left on device"):
        write_build(tmp_path, FIRST)
    assert on_disk(tmp_path) == {}


class Killed(BaseException):
    """The process is gone: nothing catches it, and nothing that comes after it runs."""


def test_whatever_step_a_run_is_killed_at_the_next_one_completes_it(tmp_path: Path) -> None:
    killed = 0
    while killed_at_step(killed, tmp_path / str(killed)):
        check_after_kill(tmp_path / str(killed))
        killed += 1
    assert killed > 15, "the run has more steps than that: the test no longer sees them"
    assert on_disk(tmp_path / str(killed)) == plain(SECOND) | {"mine.txt": b"mine"}


def check_after_kill(directory: Path) -> None:
    left = on_disk(directory)
    listed = {*listed_files(left["manifest.json"]), "manifest.json", "mine.txt"}
    assert {path for path in left if not path.startswith(".backplane-")} <= listed
    whole = plain(FIRST) | plain(SECOND)
    for path, content in left.items():
        if path in whole and path != "manifest.json":
            assert content in {plain(FIRST).get(path), plain(SECOND).get(path)}
    # Another document altogether: whatever the killed run has left is known and goes.
    last = build(q="q\n")
    write_build(directory, last)
    assert on_disk(directory) == plain(last) | {"mine.txt": b"mine"}


def killed_at_step(at: int, directory: Path) -> bool:
    """Replace the first build by the second, stopped dead before its step *at* that changes the disk; say if it came so far."""
    write_build(directory, FIRST)
    (directory / "mine.txt").write_text("mine")
    steps = itertools.count()

    def stepping(owner: object, name: str) -> None:
        original = getattr(owner, name)

        def step(*args: object, **kwargs: object) -> object:
            if next(steps) >= at:
                raise Killed
            return original(*args, **kwargs)

        patch.setattr(owner, name, step)

    with pytest.MonkeyPatch.context() as patch:
        for name in ("mkdir", "unlink", "replace", "rmdir"):
            stepping(Path, name)
        for name in ("open", "fdopen"):
            stepping(os, name)
        try:
            write_build(directory, SECOND)
        except Killed:
            return True
    return False
