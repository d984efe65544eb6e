"""Secrets in clear: found, named, replaced, and in nothing that is written."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backplane_compiler.diagnostics import SourceFile, has_errors
from backplane_compiler.diagnostics.concise import render_concise
from backplane_compiler.diagnostics.github import render_github
from backplane_compiler.diagnostics.sarif import render_sarif
from backplane_compiler.diagnostics.text import render_text
from backplane_compiler.model.secrets import Hidden, hide_secrets
from backplane_compiler.pipeline import compile_file
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
        ("postgresql://u:a/b?c#d@h/d", f"postgresql://u:${{env:{_N}_PASSWORD}}@h/d", "a/b?c#d"),
        ("postgresql://h/d?pass%77ord=x", f"postgresql://h/d?pass%77ord=${{env:{_N}_PASSWORD}}", "x"),
        (
            "mssql+pyodbc:///?odbc_connect=Server%3Ds%3BPWD%3Dhunter2",
            f"mssql+pyodbc:///?odbc_connect=${{env:{_N}_ODBC_CONNECT}}",
            "Server%3Ds%3BPWD%3Dhunter2",
        ),
        ("https://h:4317/v1?api_key=k", f"https://h:4317/v1?api_key=${{env:{_N}_API_KEY}}", "k"),
        ("host=h password=x dbname=d", f"host=h password=${{env:{_N}_PASSWORD}} dbname=d", "x"),
        ("password = 'a b' host=h", f"password = '${{env:{_N}_PASSWORD}}' host=h", "a b"),
        ("host=h password=a\\ b dbname=d", f"host=h password=${{env:{_N}_PASSWORD}} dbname=d", "a\\ b"),
        ("host=h password=a;b user=u", f"host=h password=${{env:{_N}_PASSWORD}} user=u", "a;b"),
        ("Server=s; Password=a b;Encrypt=yes", f"Server=s; Password=${{env:{_N}_PASSWORD}};Encrypt=yes", "a b"),
        ("Server=s;Passwd=x", f"Server=s;Passwd=${{env:{_N}_PASSWD}}", "x"),
        ("Server=s;Client Secret=x", f"Server=s;Client Secret=${{env:{_N}_CLIENT_SECRET}}", "x"),
        ("Server=s,Password=x", f"Server=s,Password=${{env:{_N}_PASSWORD}}", "x"),
        (
            "jdbc:postgresql://h/d?user=u&password=x",
            f"jdbc:postgresql://h/d?user=u&password=${{env:{_N}_PASSWORD}}",
            "x",
        ),
        ("jdbc:sqlserver://h;user=u;password=x", f"jdbc:sqlserver://h;user=u;password=${{env:{_N}_PASSWORD}}", "x"),
        (" postgresql://u:x@h/d", f" postgresql://u:${{env:{_N}_PASSWORD}}@h/d", "x"),
        ("a:1,SASL_SSL://u:x@b:1", f"a:1,SASL_SSL://u:${{env:{_N}_PASSWORD}}@b:1", "x"),
        ("u:x@h:5432/d", f"u:${{env:{_N}_PASSWORD}}@h:5432/d", "x"),
        ("Endpoint=sb://n:x@h/;Y=1", f"Endpoint=sb://n:${{env:{_N}_PASSWORD}}@h/;Y=1", "x"),
        ("SharedAccessSignature sr=h&sig=x&se=1", f"SharedAccessSignature sr=h&sig=${{env:{_N}_SIG}}&se=1", "x"),
        ("authorization=Bearer x", f"authorization=${{env:{_N}_AUTHORIZATION}}", "Bearer x"),
        ("Server=s;Password=a${env:B}", f"Server=s;Password=${{env:{_N}_PASSWORD}}${{env:B}}", "a"),
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
        ("connectionString", "Server=s; Password=${env:PW};Encrypt=yes"),
        ("url", "host=h; password=${env:PW};x user=u"),
        ("url", "postgresql://u:${PW}@h/d"),
        ("url", "postgresql://u@h:5432/d"),
        ("tokenEndpoint", "https://idp/token"),
        ("keyFile", "/etc/key.pem"),
        ("password", "${file:/run/secret}"),
        ("endpoint", "https://otel:4318/v1"),
        ("endpoint", "https://otel:4318/v1@2"),
        ("authorization", "Bearer ${env:TOKEN}"),
        ("url", "host=h dbname=d"),
        ("brokers", "${env:BROKERS:-localhost:9092}"),
        ("url", "postgresql://${env:U:-joe}:${env:PW}@${env:HOST:-h}/d"),
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


@pytest.mark.parametrize(
    ("key", "value", "safe", "secret"),
    [
        ("password", "${env:PW:-hunter2}", "${env:PW}", "hunter2"),
        ("keyRef", "${PW:-hunter2}", "${env:PW}", "hunter2"),
        ("url", "postgresql://u:${env:PW:-hunter2}@h/d", "postgresql://u:${env:PW}@h/d", "hunter2"),
        ("connectionString", "Server=s;Password=${env:PW:-hunter2}", "Server=s;Password=${env:PW}", "hunter2"),
        ("connectionString", "${env:PW:-Server=s;Password=hunter2}", "${env:PW}", "Server=s;Password=hunter2"),
        ("authorization", "Bearer ${env:PW:-hunter2}", "Bearer ${env:PW}", "hunter2"),
    ],
)
def test_a_default_that_is_a_secret_is_one_in_clear(key: str, value: str, safe: str, secret: str) -> None:
    """It is kept under the variable's own name, and the reference stands without it."""
    hidden = _hidden(key, value)
    assert _value(hidden, key) == safe
    assert hidden.secrets == {"PW": secret}
    assert secret in hidden.texts
    assert [found.code for found in hidden.diagnostics] == ["secret-in-clear"]


_EVERYWHERE = """
settings: { pw: &pw hunter2 }
dataPlane:
  backplane:
    type: composite
    options:
      backplanes:
        - name: a
          type: kafka
          options:
            brokers: [h]
            additionalConfig:
              SASL.Password: *pw
              ssl.key.pem: "BEGIN\\nhunter2"
              ssl.ca.pem: "-----BEGIN PRIVATE KEY-----\\nhunter2\\n-----END PRIVATE KEY-----"
              basic.auth.user.info: u:hunter2
            security:
              protocol: saslSsl
              mechanism: PLAIN
              username: u
              password: |
                hunter2
                hunter2
        - { name: b, type: postgresql, options: { url: "postgresql://u:%(x)s%%68unter2hunter2@h/d" } }
        - { name: c, type: azureServiceBus, options: { connectionString: "Endpoint=sb://abcdef.servicebus.windows.net/;SharedAccessKey=hunter2=" } }
        - { name: d, type: openTelemetry, options: { endpoint: "http://u:hunter2@h", headers: { X-API-Key: hunter2, X-Auth: hunter2, DD-APPLICATION-KEY: hunter2 } } }
        - { name: e, type: sqlServer, options: { connectionString: "${env:CS:-Server=s;Password=hunter2}" } }
""".replace("%(x)s%%68", "%68")


def test_no_file_holds_a_secret_wherever_it_stood() -> None:
    """Anchors, blocks, keys in any case, escapes, every family: no file, no message, no repr has it."""
    checked = check(_EVERYWHERE)
    assert checked.frozen is not None, checked.out
    assert checked.codes.count("secret-in-clear") == 12
    for output in (*checked.outputs, checked.out, repr(checked.model), repr(checked.diagnostics)):
        assert "hunter2" not in output


@pytest.mark.parametrize(
    "option",
    [
        "password: [geheim77]",
        "password: { a: geheim77 }",
        "mechanism: { password: geheim77 }",
        "protocol: postgresql://u:geheim77@h",
        "password: !!int geheim77",
        "password: geheim77, password: geheim77",
        "password: 'geheim77",
        "url: postgresql://u:geheim77@h, url: a",
        "cs: Server=s;Password=geheim77, cs: a",
        "password: *geheim77",
        "password: &geheim77 x, zz: 1",
        "password: !geheim77 x",
        "password: [geheim77",
        'password: "a\\"geheim77',
        "password: '${env:A:-geheim77'",
        "password: '${file:/a:-geheim77}'",
        "headers: authorization=Bearer geheim77",
    ],
)
def test_no_diagnostic_shows_a_secret_of_the_wrong_form(option: str, tmp_path: Path) -> None:
    """Errors quote the source, also where it could not be read; what is a secret there is masked."""
    path = tmp_path / "d.yaml"
    text = f"dataPlane: {{ backplane: {{ type: kafka, options: {{ brokers: [a], security: {{ {option} }} }} }} }}\n"
    path.write_text(text, encoding="utf-8")
    found = compile_file(path)
    assert has_errors(found.diagnostics)
    for render in (render_text, render_concise, render_sarif, render_github):
        assert "geheim77" not in render(found.diagnostics, secrets=found.secrets)
    assert "geheim77" not in repr(found)


@pytest.mark.parametrize("password", ["password", "secret", "e"])
def test_the_warning_itself_has_no_gaps(password: str, tmp_path: Path) -> None:
    """A secret that is a word of the warning is masked in the quoted source alone: a gap would be unreadable, and tell it."""
    path = tmp_path / "d.yaml"
    url = f"postgresql://u:{password}@h/d"
    path.write_text(
        f"dataPlane: {{ backplane: {{ type: postgresql, options: {{ url: '{url}' }} }} }}\n", encoding="utf-8"
    )
    found = compile_file(path)
    shown = render_text(found.diagnostics, secrets=found.secrets)
    assert "`password` in `dataPlane.backplane.options.url` holds a secret in clear" in shown
    assert "where the events are published" in shown
    assert f"u:{password}@" not in shown


@pytest.mark.parametrize(
    "text",
    [
        "kafka: { password: geheim77 }",
        "dataplane: { backplane: { options: { password: geheim77 } } }",
        "- password: geheim77",
        "postgresql://u:geheim77@h/d",
        "dataPlane: { x: 1 } # once postgresql://u:geheim77@h/d",
        "{ environments: { prod: { dataPlane: { url: 'postgresql://u:geheim77@h/d' } } }, dataPlane: { x: 1 } }",
        "experimentFramework: { settings: { apiKey: geheim77 }, dataPlane: { x: 1 } }",
        "dataPlane: { backplane: { options: { 'postgresql://u:geheim77@h/d': 1 } } }",
    ],
)
def test_no_diagnostic_shows_what_else_is_on_its_line(text: str, tmp_path: Path) -> None:
    """A document of one line has everything on it: other sections, comments, environments that were not chosen."""
    path = tmp_path / "d.yaml"
    path.write_text(f"{text}\n", encoding="utf-8")
    found = compile_file(path)
    assert has_errors(found.diagnostics)
    for render in (render_text, render_concise, render_sarif, render_github):
        assert "geheim77" not in render(found.diagnostics, secrets=found.secrets)


@pytest.mark.parametrize(
    "text",
    [
        "x: 'Server=s;Password={}', y: [\n",
        "x: Server=s;Password={}, y: [\n",
        "x: Server=s;Password='{}', y: [\n",
        "token: {}, y: [\n",
        "token: '{}', y: [\n",
        'token: "{}", y: [\n',
        "other: {{ token: {} }}\n",
    ],
)
def test_a_long_secret_is_masked_to_its_end(text: str, tmp_path: Path) -> None:
    """A signed token has thousands of characters."""
    secret = "".join(f"{number:04d}" for number in range(2000))
    path = tmp_path / "d.yaml"
    path.write_text(text.format(secret), encoding="utf-8")
    found = compile_file(path)
    assert has_errors(found.diagnostics)
    for render in (render_text, render_concise, render_sarif, render_github):
        shown = render(found.diagnostics, secrets=found.secrets)
        assert not any(f"{number:04d}{number + 1:04d}" in shown for number in range(1999))
    assert any(secret in one for one in found.secrets)


@pytest.mark.parametrize(
    "stuff",
    ["x", "QUJD", "password: ", "token: 'a', ", "xx ", "x: ", "password={", "//a:b", "a=", "&a:", "${a", "password=x "],
)
@pytest.mark.parametrize("frame", ["a: {}\n b: [\n", "dataPlane: { backplane: '{}' }\n"])
def test_looking_for_secrets_takes_no_time(stuff: str, frame: str, tmp_path: Path) -> None:
    """Nor does a long line in a document that cannot be read: it was searched from each of its characters anew."""
    path = tmp_path / "d.yaml"
    path.write_text(frame.replace("{}", stuff * (60_000 // len(stuff))), encoding="utf-8")
    start = time.process_time()
    compile_file(path)
    assert time.process_time() - start < 2  # seconds; some of these took half a minute
