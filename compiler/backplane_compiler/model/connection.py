"""Which server a backplane's connection points to: backplanes with one label share clusters, namespaces and databases."""

from __future__ import annotations

import re
from collections.abc import Mapping

from backplane_runtime.settings import AzureServiceBus, Kafka, PostgreSql, Settings, Sqlite, SqlServer

_HOST_KEYS = ("server", "data source", "address", "addr", "network address")
_DATABASE_KEYS = ("database", "initial catalog")
_REFERENCE = re.compile(r"\$\{[^}]*\}")
# A reference is one part, whatever characters it is written with; the user may hold an `@`, the host may not.
_PART = r"(?:\$\{[^}]*\}|[^/?#])"
_URL = re.compile(rf"[\w+.-]+://(?:{_PART}*@)?(?P<host>(?:\$\{{[^}}]*\}}|[^/?#@])*)(?P<path>(?:\$\{{[^}}]*\}}|[^?#])*)")


def server_label(settings: Settings) -> str:
    """Return what people call the server: brokers, the namespace's host, `host/database`, or the file's path.

    References stay as they are written (`${env:NAME}`), because nobody but the runtime knows what they stand for.
    A type that is not built in has its own name as label.
    """
    match settings:
        case Kafka():
            return ",".join(settings.brokers)
        case AzureServiceBus():
            return settings.fully_qualified_namespace or _namespace_host(settings.connection_string or "")
        case SqlServer():
            return _sql_server_label(settings.connection_string)
        case PostgreSql():
            return _url_label(settings.url)
        case Sqlite():
            return settings.path
        case _:
            return type(settings).__name__


def connection_fields(text: str) -> Mapping[str, str]:
    """Return the fields of an ADO.NET, ODBC or Service Bus connection string by lower-case key; quotes taken off."""
    pairs = (part.partition("=") for part in text.split(";"))
    return {
        key.strip().lower(): value.strip().strip("\"'{}") if "${" not in value else value.strip()
        for key, _, value in pairs
    }


def _namespace_host(text: str) -> str:
    endpoint = connection_fields(text).get("endpoint", "")
    return endpoint.split("://", 1)[-1].strip("/") or text


def _sql_server_label(text: str) -> str:
    if "://" in text:
        return _url_label(text)
    fields = connection_fields(text)
    host = next((fields[key] for key in _HOST_KEYS if key in fields), None)
    database = next((fields[key] for key in _DATABASE_KEYS if key in fields), None)
    if host is None:
        return text if _REFERENCE.fullmatch(text) else "sqlserver"
    return f"{host.removeprefix('tcp:')}/{database}" if database else host.removeprefix("tcp:")


def _url_label(text: str) -> str:
    """Return `host/database` of a URL, without the user and without parameters."""
    if _REFERENCE.fullmatch(text):
        return text
    match = _URL.match(text)
    return (match["host"] or "") + (match["path"] or "") if match else text
