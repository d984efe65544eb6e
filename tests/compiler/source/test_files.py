"""Every way in which a file can fail to be a document ends in one diagnostic."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest

from backplane_compiler.source import limits, load_source, parse_source, to_plain


def fault(path: Path) -> tuple[str, str, str | None]:
    file, (diagnostic,) = load_source(path)
    assert file is None
    return diagnostic.code, diagnostic.message.replace(str(path), "FILE"), diagnostic.hint


def test_a_missing_file_suggests_a_near_one(tmp_path: Path) -> None:
    (tmp_path / "kafka.yaml").write_text("a: 1")
    near = tmp_path / "kafak.yaml"
    assert fault(near) == ("no-such-file", "there is no file `FILE`", f"did you mean `{tmp_path / 'kafka.yaml'}`?")
    assert fault(tmp_path / "none" / "x.yaml")[2] == f"there is no directory `{tmp_path / 'none'}` either"
    assert fault(tmp_path / "kafka.yaml" / "x.yaml")[0] == "no-such-file"
    assert fault(tmp_path / "other.json")[2] == "check the spelling, and the directory that you are in"


def test_a_directory(tmp_path: Path) -> None:
    assert fault(tmp_path)[:2] == ("not-a-file", "`FILE` is a directory")


def test_a_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretended, because root may read everything."""

    def refuse(*_: object) -> NoReturn:
        raise PermissionError

    monkeypatch.setattr(Path, "open", refuse)
    assert fault(tmp_path / "doc.yaml")[:2] == ("unreadable-file", "no permission to read `FILE`")


def test_a_name_that_no_file_can_have(tmp_path: Path) -> None:
    assert fault(tmp_path / "a\0b")[0] == "unreadable-file"
    assert fault(tmp_path / ("x" * 300))[:2] == ("unreadable-file", "cannot read `FILE`: file name too long")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty-document"),
        (b"a\0b", "binary-file"),
        ("a: 1".encode("utf-16"), "not-utf8"),
        (b"a: 1\nb: \xe9", "not-utf8"),
    ],
)
def test_bytes_that_are_no_document(tmp_path: Path, data: bytes, code: str) -> None:
    path = tmp_path / "doc.yaml"
    path.write_bytes(data)
    assert fault(path)[0] == code


def test_the_first_byte_that_is_not_utf8_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "doc.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: \xc3\xa9\r\n\xc3\xa9: \xe9\xff")
    _, (diagnostic,) = load_source(path)
    assert diagnostic.message.endswith("is not UTF-8: byte 0xe9 at line 2, column 4")
    assert diagnostic.span is not None
    assert diagnostic.span.start[:2] == (2, 4)


def test_a_file_beyond_the_limit_is_not_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_BYTES", 4)
    path = tmp_path / "doc.yaml"
    path.write_bytes(b"a: 10")
    assert fault(path)[0] == "too-large"


def test_the_suffix_decides_the_reader(tmp_path: Path) -> None:
    for name, text in (("doc.json", '{"a": 1}'), ("doc.JSON", '{"a": 1}'), ("doc.yml", "a: 1"), ("doc", "a: 1")):
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + text.encode())
        file, _ = load_source(tmp_path / name)
        assert file is not None
        node, diagnostics = parse_source(file)
        assert diagnostics == ()
        assert node is not None
        assert to_plain(node) == {"a": 1}
