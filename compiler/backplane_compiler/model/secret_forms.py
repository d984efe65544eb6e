"""How a secret looks: which options hold one, and where it stands in a connection string, a URL or a piece of source."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote, unquote_plus

from backplane_compiler.source.references import Literal, Reference, parse_references

# Options and headers whose whole value is a secret.
_SECRET_KEY = re.compile(
    r"pass?w(or)?d|pwd|secret|passphrase|(private|api|access|app(lication)?|subscription|account)[-_. ]?key|token$"
    r"|authorization|[-_.]auth$|signature|cookie|user[-_.]?info|dsn$"
    r"|x-honeycomb-team|lightstep-access|jaas\.config|ssl\.key\.pem|ssl\.keystore\.key|^keyref$",
    re.IGNORECASE,
)
_NOT_SECRET_KEY = re.compile(r"endpoint|_url|\.url|file$|location$", re.IGNORECASE)
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*")
# A secret inside a connection string: `key=value`, the value bare, in quotes (ADO.NET) or in braces (ODBC).
_FIELD_KEY = (
    r"(?P<key>pass(?: ?word|wd|phrase)?|pwd|sslpassword|shared ?access ?(?:key(?: ?value)?|signature)|account ?key"
    r"|access ?token|(?:client[ _-]?)?secret|api[ _-]?key|authorization)"
)
_FIELD = re.compile(
    rf"(?:^|[;,])\s*{_FIELD_KEY}\s*=\s*"
    r"(?:\"(?P<double>(?:[^\"]|\"\")*)\"|'(?P<single>(?:[^']|'')*)'|\{(?P<brace>(?:[^}]|\}\})*)\}|(?P<bare>[^;]*))",
    re.IGNORECASE,
)
# libpq's `host=h password=secret`: fields with spaces between, a space in a value behind a backslash.
_LIBPQ = re.compile(r"\s*\w+\s*=\s*(?:'(?:[^'\\]|\\.)*'|(?:\\.|[^\s\\])*)(?:\s+\w+\s*=|\s*$)")
_LIBPQ_FIELD = re.compile(
    rf"(?:^|\s){_FIELD_KEY}\s*=\s*(?:'(?P<single>(?:[^'\\]|\\.)*)'|(?P<bare>(?!')(?:\\.|[^\s\\])+))", re.IGNORECASE
)
# `scheme://user:secret@host`, wherever it begins, and `user:secret@host/` without a scheme.
_REFERENCE = r"\$\{[^}]*\}"  # one character of a URL, whatever it is written with
_USER = re.compile(rf"//(?:{_REFERENCE}|[^/?#@:])*+:(?P<url>(?:{_REFERENCE}|[^/?#])*)@")
_BARE_USER = re.compile(r"[\w.+-]+:(?P<url>[^\s/@]+)@[\w.-]+[:/]")
# The same with a `/`, `?` or `#` that should be percent-encoded: no port, so a password.
_STRAY_USER = re.compile(rf"//(?:{_REFERENCE}|[^/?#@:])*+:(?!(?:{_REFERENCE}|\d*)(?:[/?#]|$))(?P<url>.*)@", re.DOTALL)
# `?password=secret` (libpq and SQLAlchemy take both), and the `sig` of a shared access signature.
_PARAMETER = re.compile(r"[?&](?P<key>[^=&?#]+)=(?P<parameter>[^&#]*)")
_SECRET_PARAMETER = re.compile(
    r"password|pwd|passwd|sslpassword|(access|auth|refresh)?[-_]?token|((api|access|account|subscription)[-_]?)?key"
    r"|(client[-_]?)?secret|sig",
    re.IGNORECASE,
)
# A connection string in a parameter of a URL (SQLAlchemy's `odbc_connect`), percent-encoded.
_ENCODED_FIELD = re.compile(r"(?:^|;)\s*(?:password|pwd)\s*=", re.IGNORECASE)
# Words of the header `Authorization` before the secret itself.
_SCHEME_WORD = re.compile(r"\s*(?:bearer|basic|token|apikey)?\s*", re.IGNORECASE)
# For text that is no document: `key: value`, `key=value` anywhere, and URLs. No character of a value is read twice, so
# that no text takes long.
_KEY = re.compile(r"(?<![\w.-])(?P<key>[\w.-]+)[\"']?[ \t]*:[ \t\[]*")
_VALUE = re.compile(r"\"(?:[^\"\\\n]|\\.)*|'[^'\n]*|[^\s,{}\[\]\"'][^\n,}\]]*")
_ANYWHERE = re.compile(
    rf"(?<!\w){_FIELD_KEY}\s{{0,9}}=\s{{0,9}}(?P<value>\"[^\"\n]*|'[^'\n]*|(?P<word>[^;\s\"']+)[^;\n\"']*)",
    re.IGNORECASE,
)
_PROPERTY = re.compile(r"[&*!]+")  # what looks like a YAML anchor, alias or tag may be how the secret begins
_SHORTEST_GUESS = 3  # characters; less is in every other word


@dataclass(frozen=True, slots=True)
class Found:
    """A secret: where it stands in its text, and what it is called there (`Password`)."""

    start: int
    end: int
    key: str


_Value = tuple[int, int, str]  # where a value stands, and the key that it has


def secrets_of(text: str, key: str) -> Iterator[Found]:
    """Yield the secrets that stand in clear in *text*, the value of the option *key*, in order."""
    if is_secret_key(key) or _PRIVATE_KEY.search(text):
        yield from _clear_parts(text, 0, key)
    else:
        yield from sorted(secrets_in_text(text), key=lambda found: found.start)


def is_secret_key(key: str) -> bool:
    """Say whether the whole value of the option or header *key* is a secret."""
    return bool(_SECRET_KEY.search(key)) and not _NOT_SECRET_KEY.search(key)


def _clear_parts(text: str, offset: int, key: str) -> Iterator[Found]:
    """Yield what of a secret *text* is not a reference: all of it, or what is written beside references."""
    if "${" not in text.replace("$${", ""):
        if _is_clear(text):
            yield Found(offset, offset + len(text), key)
        return
    for part in parse_references(text):
        if isinstance(part, Literal) and _is_clear(part.text) and not _SCHEME_WORD.fullmatch(part.text):
            yield Found(offset + part.start, offset + part.end, key)


def secrets_in_text(text: str) -> Iterator[Found]:
    """Yield the secrets of a connection string or a URL; other text has none of these forms."""
    taken = bytearray(len(text))
    for start, end, key in (*_field_values(text), *_url_values(text)):
        # One form may see a value where another sees a part of it: the first is right, whether it is clear or not.
        if not any(taken[start:end]):
            taken[start:end] = b"\1" * (end - start)
            yield from _clear_parts(text[start:end], start, key)


def _url_values(text: str) -> Iterator[_Value]:
    """Yield what stands in the places of a URL where secrets stand."""
    until = text.rfind("@") + 1  # also the reason why the patterns need no time: what they look for is there
    users = [*_USER.finditer(text, 0, until)] if until else []
    if until and not users:
        users = [match for match in (_STRAY_USER.search(text, 0, until) or _BARE_USER.match(text),) if match]
    for user in users:
        yield (*user.span("url"), "password")
    for parameter in _PARAMETER.finditer(text, users[-1].end() if users else 0):
        key = unquote(parameter["key"]).strip()
        if _SECRET_PARAMETER.fullmatch(key) or _ENCODED_FIELD.search(unquote_plus(parameter["parameter"])):
            yield (*parameter.span("parameter"), key)


def _field_values(text: str) -> Iterator[_Value]:
    """Yield the values of secret fields: of ADO.NET, ODBC and Service Bus, and of libpq."""
    if "=" not in text:
        return
    matches = [*_FIELD.finditer(text), *(_LIBPQ_FIELD.finditer(text) if _LIBPQ.match(text) else ())]
    for match in matches:
        yield (*match.span(match.lastgroup or "bare"), match["key"])


def _is_clear(value: str) -> bool:
    """Say whether a value is more than space, and more than dots that stand for one."""
    return value.strip(". \t\r\n…") != ""


def secrets_in_source(text: str) -> frozenset[str]:
    """Return what looks like a secret anywhere in a source *text*, for the masking of what is shown of it.

    A document that cannot be read has nothing else, and of one that can, much is not looked at: comments, other sections,
    environments that were not chosen, the second of two equal keys.
    """
    found = set(_values_of_secret_keys(text))
    for match in _ANYWHERE.finditer(text):
        found |= {match["value"], match["word"] or ""}
    for line in text.splitlines():
        found |= {line[start:end] for start, end, _ in _url_values(line)}
    found |= {match[0] for match in _PRIVATE_KEY.finditer(text)}
    return frozenset(guess for value in found for guess in _guesses(value.strip("\"' \t\r\n")))


def _values_of_secret_keys(text: str) -> Iterator[str]:
    position = 0
    while key := _KEY.search(text, position):
        value = _VALUE.match(text, key.end()) if is_secret_key(key["key"]) else None
        position = (value or key).end()
        if value:
            yield value[0]


def _guesses(value: str) -> Iterator[str]:
    """Yield what of *value* is clear, once more without a first word that may be a tag, and without its marks."""
    for part in parse_references(value):
        if isinstance(part, Reference):
            continue
        clear = value[part.start : part.end].strip()  # also a `${` that is never closed: it swallows what follows
        first, _, rest = clear.partition(" ") if _PROPERTY.match(clear) else (clear, "", "")
        for guess in (clear, first, rest.strip("\"' "), _PROPERTY.sub("", first, count=1)):
            if len(guess) >= _SHORTEST_GUESS:
                yield guess
