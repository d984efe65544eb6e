"""Redaction: what is taken out of an event before it reaches a queue, a log or a disk.

It fails closed. The key of `pseudonymize` is resolved when the data plane is opened, and a key that is not there is an
error there, so an event never leaves with an id that should have been hidden. What each mode does to a field:

- `mask` writes the placeholder, `pseudonymize` 32 hex digits of keyed BLAKE2b: equal values stay equal, and only who has
  the key can tell which they were. A value that is not text is hashed in its JSON form.
- `drop` removes the field; one that consumers rely on (`subjectId` of an exposure) is masked instead.
- A field that cannot hold text (`value`) is removed in every mode.
- What says what an event is and when it happened cannot be redacted: `PiiRedaction` refuses such paths.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from backplane_runtime.events import EVENTS, Event, EventType
from backplane_runtime.references import resolve_text
from backplane_runtime.settings import PiiRedaction, Refusal, SettingsError

_NOT_TEXT = frozenset({"value", "isRepeatExposure", "assignmentPolicy"})
_KEY_LIMIT = 64  # bytes; BLAKE2b's own limit

Replace = Callable[[Any], str]


class Redactor:
    """Applies one `PiiRedaction` to events.

    Raises:
        SettingsError: if the key is empty.
        UnresolvedReferenceError: if the key is not there.
    """

    def __init__(self, settings: PiiRedaction) -> None:
        paths = [tuple(path.split(".")) for path in settings.redact_fields]
        if settings.redact_subject_ids:
            paths.append(("subjectId",))
        if settings.redact_tenant_ids:
            paths.append(("tenantId",))
        self._removes = settings.mode == "drop"
        hide = None if settings.mode != "pseudonymize" else _keyed_hash(settings)
        self._replace = _pseudonyms(hide) if hide else lambda _: settings.placeholder
        self._paths = {kind: [path for path in paths if path[0] in _fields(kind)] for kind in EventType}
        self._required = {kind: _required(kind) for kind in EventType}
        self.hides_subjects = ("subjectId",) in paths and settings.mode != "pseudonymize"
        self.pseudonymize_subject = hide if paths == [("subjectId",)] else None
        """What becomes of a subject's id, in UTF-8, where that is all there is to do."""

    def __call__(self, event: Event) -> dict[str, Any]:
        """Return the payload of *event* as plain data, redacted; the event itself stays as it is."""
        kind = event.event_type
        payload: dict[str, Any] = msgspec.to_builtins(event, str_keys=True)
        for path in self._paths[kind]:
            if path in self._required[kind] and not payload[path[0]]:
                continue  # an event without a subject stays one, to be refused
            payload = _redacted(payload, path, None if self._is_removed(kind, path) else self._replace)
        return payload

    def _is_removed(self, kind: EventType, path: tuple[str, ...]) -> bool:
        if self._removes:
            return path not in self._required[kind]
        return len(path) == 1 and path[0] in _NOT_TEXT


def _redacted(plain: Any, path: tuple[str, ...], replace: Replace | None) -> Any:
    """Return *plain* with what *path* leads to replaced, or removed where there is no *replace*; lists are entered.

    A name may hold dots itself, so `attributes.user.email` also means the attribute `user.email`.
    """
    if isinstance(plain, (list, tuple)):
        return [_redacted(item, path, replace) for item in plain]
    if not isinstance(plain, Mapping):
        return plain
    changed = dict(plain)
    for length in range(1, len(path) + 1):
        key, rest = ".".join(path[:length]), path[length:]
        if key not in plain:
            continue
        if rest:
            changed[key] = _redacted(plain[key], rest, replace)
        elif replace is None:
            del changed[key]
        else:
            changed[key] = replace(plain[key])
    return changed


def _keyed_hash(settings: PiiRedaction) -> Callable[[bytes], str]:
    secret = resolve_text(settings.key_ref or "").encode()
    if not secret:
        raise SettingsError("PiiRedaction", (Refusal("keyRef", "the key is empty", "redaction-key-missing"),))
    key = secret if len(secret) <= _KEY_LIMIT else hashlib.blake2b(secret).digest()
    start = hashlib.blake2b(key=key, digest_size=16).copy  # half the cost of a new one

    def hide(value: bytes) -> str:
        found = start()
        found.update(value)
        return found.hexdigest()

    return hide


def _pseudonyms(hide: Callable[[bytes], str]) -> Replace:
    return lambda value: hide(value.encode() if isinstance(value, str) else msgspec.json.encode(value, order="sorted"))


def _fields(kind: EventType) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(EVENTS[kind])}


def _required(kind: EventType) -> frozenset[tuple[str, ...]]:
    # A field with a plain default is left out of the wire when it is unset; the others are always there.
    no_default = msgspec.NODEFAULT
    fields = msgspec.structs.fields(EVENTS[kind])
    return frozenset((field.encode_name,) for field in fields if field.default is no_default)
