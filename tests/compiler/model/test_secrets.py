"""Secrets in clear: found, named, replaced, and in nothing that is written."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backplane_compiler.diagnostics import SourceFile
from backplane_compiler.model.secrets import Hidden, hide_secrets
from backplane_compiler.source import lookup, parse_source, to_plain
from tests.compiler.checking import check

_GOLDEN = Path(__file__).parents[2] / "golden" / "err"


def _hidden(key: str, value: str) -> Hidden:
    text = value.replace("'", "''")
    tree, found = parse_source(SourceFile("d.yaml", f"dataPlane: {{ type: sqlServer, {key}: '{text}' }}\n"))
    assert tree is not None, found
    return hide_secrets(tree)


def _value(hidden: Hidden, key: str) -> object:
    node = lookup(hidden.tree, ("dataPlane", key))
    assert node is not None
    return to_plain(node)


_N = "BACKPLANE_SQL_SERVER"


@pytest.mark.parametrize(
    ("value", "safe", "secret"),
    [
        ("Server=s;Password=a b;X=1", f"Server=s;Password=${{env:{_N}_PASSWORD}};X=1", "a b"),
        ("Server=s; pwd = x", f"Server=s; pwd = ${{env:{_N}_PWD}}", "x"),
        ('Server=s;Password="a;b"', f'Server=s;Password="${{env:{_N}_PASSWORD}}"', "a;b"),
        ("Server=s;PWD={a;b}", f"Server=s;PWD={{${{env:{_N}_PWD}}}}", "a;b"),
        (
            "Endpoint=sb://h/;SharedAccessKeyName=n;SharedAccessKey=k=",
            f"Endpoint=sb://h/;SharedAccessKeyName=n;SharedAccessKey=${{env:{_N}_SHARED_ACCESS_KEY}}",
            "k=",
        ),
        ("postgresql+psycopg://u:p%40w@h/d", f"postgresql+psycopg://u:${{env:{_N}_PASSWORD}}@h/d", "p%40w"),
        ("postgresql://h/d?user=u&password=p&x=1", "postgresql://h/d?user=u&password=p&x=1", None),
    ],
)
def test_every_form_of_connection(value: str, safe: str, secret: str | None) -> None:
    """Only the secret itself is replaced; quotes and braces stay."""
    hidden = _hidden("connectionString", value)
    if secret is None:
        safe, secret = value.replace("password=p", f"password=${{env:{_N}_PASSWORD}}"), "p"
    assert _value(hidden, "connectionString") == safe
    assert list(hidden.secrets.values()) == [secret]
    assert hidden.texts == {secret}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("connectionString", "Server=s;Password=${env:PW};Encrypt=yes"),
        ("connectionString", "Server=s;Integrated Security=true"),
        ("connectionString", "Endpoint=sb://h/;SharedAccessKey=..."),
        ("url", "postgresql://u:${PW}@h/d"),
        ("url", "postgresql://u@h:5432/d"),
        ("tokenEndpoint", "https://idp/token"),
        ("keyFile", "/etc/key.pem"),
        ("password", "${file:/run/secret}"),
        ("endpoint", "https://otel:4318/v1"),
    ],
)
def test_no_false_alarm(key: str, value: str) -> None:
    """References, hosts with ports, and files are no secrets."""
    hidden = _hidden(key, value)
    assert not hidden.diagnostics
    assert _value(hidden, key) == value


def test_two_secrets_in_one_string() -> None:
    """Each gets its own variable, and the rest of the string stays where it is."""
    hidden = _hidden("url", "postgresql://u:longer-than-its-variable-would-be-by-far@h/d?sslpassword=b&x=1")
    safe = f"postgresql://u:${{env:{_N}_PASSWORD}}@h/d?sslpassword=${{env:{_N}_SSLPASSWORD}}&x=1"
    assert _value(hidden, "url") == safe


def test_two_secrets_of_one_name_get_two_variables() -> None:
    """And one secret twice gets one."""
    text = "dataPlane: { a: { password: x }, b: { password: y }, c: { password: x } }\n"
    tree, _ = parse_source(SourceFile("d.yaml", text))
    assert tree is not None
    assert hide_secrets(tree).secrets == {"BACKPLANE_PASSWORD": "x", "BACKPLANE_PASSWORD_2": "y"}


@pytest.mark.parametrize("path", sorted(_GOLDEN.glob("secret-*.yaml")), ids=lambda path: path.stem)
def test_no_output_holds_a_secret(path: Path) -> None:
    """Neither the diagnostics nor the frozen config."""
    checked = check(path.read_text(encoding="utf-8"))
    for output in (
        checked.out,
        (checked.frozen or b"").decode(),
        repr(checked.model),
        repr(checked.diagnostics[0].message),
    ):
        assert "hunter2" not in output


@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=";\"'{}$"), min_size=6, max_size=20)
)
def test_no_password_survives(password: str) -> None:
    """Whatever a password is made of."""
    if not password.strip("."):
        return
    hidden = _hidden("connectionString", f"Server=s;Password={password};Encrypt=yes")
    assert hidden.texts == {password}
    assert password not in str(_value(hidden, "connectionString")).replace(f"{_N}_PASSWORD", "")
