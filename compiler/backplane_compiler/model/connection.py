"""Which server a backplane's connection points to: backplanes with one label share clusters, namespaces and databases.

References stay as they are written, because nobody but the runtime knows what they stand for; one that is the whole
connection loses its default, which may hold anything.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping

from backplane_runtime.settings import AzureServiceBus, Kafka, PostgreSql, Settings, Sqlite, SqlServer

_HOST_KEYS = ("server", "data source", "address", "addr", "network address")
_DATABASE_KEYS = ("database", "initial catalog")
_REFERENCE = re.compile(r"\$\{(?:(?P<file>file:[^}]+)|(?:env:)?(?P<name>[A-Za-z_]\w*)(?::-[^}]*)?)\}", re.ASCII)
# A reference is one part, whatever characters it is written with; the user may hold an `@`, the host may not.
_PART = r"(?:\$\{[^}]*\}|[^/?#])"
_URL = re.compile(rf"[\w+.-]+://(?:{_PART}*@)?(?P<host>(?:\$\{{[^}}]*\}}|[^/?#@])*)(?P<path>(?:\$\{{[^}}]*\}}|[^?#])*)")
# A field of libpq's `host=h dbname=d`.
_LIBPQ_FIELD = re.compile(r"(?P<key>\w+)\s*=\s*(?:'(?P<quoted>(?:[^'\\]|\\.)*)'|(?P<bare>\S*))")
_DEFAULT_PORT = re.compile(r":5432\Z|[,:]1433\Z")
_NAMESPACES = "servicebus.windows.net"


def server_label(settings: Settings) -> str:
    """Return what people call the server: brokers in order, the namespace's host, `host/database`, or the file's path.

    Never a user, a password or a key. A type that is not built in has its own name as label.
    """
    match settings:
        case Kafka():
            # Brokers in any order are one cluster.
            return ",".join(sorted(set(settings.brokers)))
        case AzureServiceBus():
            return namespace_host(settings)
        case SqlServer():
            return _sql_server_label(settings.connection_string)
        case PostgreSql():
            return _url_label(settings.url) if "://" in settings.url else _libpq_label(settings.url)
        case Sqlite():
            return settings.path
        case _:
            return type(settings).__name__


def server_key(family: str, label: str) -> str:
    """Return what is equal for the labels of one server of *family*, however its address is spelled."""
    if "${" in label:
        return label  # only the runtime knows
    if family == "sqlite":
        return posixpath.normpath(label)
    if family == "kafka":
        return ",".join(sorted({broker.casefold().removesuffix(":9092") for broker in label.split(",")}))
    host, slash, database = label.partition("/")
    return _DEFAULT_PORT.sub("", host.casefold()) + slash + database


def namespace_host(settings: AzureServiceBus, namespace: str | None = None) -> str:
    """Return the host of the namespace; the one called *namespace* where the connection is a reference."""
    text = settings.connection_string or ""
    if settings.fully_qualified_namespace:
        return settings.fully_qualified_namespace.lower()
    endpoint = connection_fields(text).get("endpoint", "").partition("://")[2]
    if host := re.split(r"[/:]", endpoint, maxsplit=1)[0]:
        return host.lower()
    return f"{namespace}.{_NAMESPACES}".lower() if namespace else _reference_label(text) or "namespace"


def connection_fields(text: str) -> Mapping[str, str]:
    """Return the fields of an ADO.NET, ODBC or Service Bus connection string by lower-case key; quotes taken off."""
    pairs = (part.partition("=") for part in text.split(";"))
    return {
        key.strip().lower(): value.strip().strip("\"'{}") if "${" not in value else value.strip()
        for key, _, value in pairs
    }


def _sql_server_label(text: str) -> str:
    if "://" in text:
        return _url_label(text)
    fields = connection_fields(text)
    host = next((fields[key] for key in _HOST_KEYS if fields.get(key)), None)
    database = next((fields[key] for key in _DATABASE_KEYS if fields.get(key)), None)
    if host is None:
        return _reference_label(text) or "database"
    return _host_and_database(host.removeprefix("tcp:"), database)


def _libpq_label(text: str) -> str:
    fields = {match["key"]: match["quoted"] or match["bare"] or "" for match in _LIBPQ_FIELD.finditer(text)}
    host = fields.get("host") or fields.get("hostaddr")
    return _host_and_database(host, fields.get("dbname")) if host else _reference_label(text) or "database"


def _url_label(text: str) -> str:
    """Return `host/database` of a URL, without the user and without parameters."""
    match = None if _reference_label(text) else _URL.match(text)
    # What stands before an `@` is never shown, even where a stray `/` makes it look like a part of the path.
    return (
        (match["host"] + match["path"]).rpartition("@")[2].rstrip("/")
        if match
        else _reference_label(text) or "database"
    )


def _host_and_database(host: str, database: str | None) -> str:
    return f"{host}/{database}" if database else host


def _reference_label(text: str) -> str | None:
    """Return `${NAME}` or `${file:/path}` where *text* is one reference and nothing else."""
    match = _REFERENCE.fullmatch(text.strip())
    return f"${{{match['file'] or match['name']}}}" if match else None
