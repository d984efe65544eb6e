"""From a frozen config, or from settings in a program, to what a data plane is made of."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from backplane_runtime.admission import enabled_types
from backplane_runtime.backplanes.api import BackplaneError
from backplane_runtime.backplanes.registry import kind_of, load_maker, registered
from backplane_runtime.config import BackplaneEntry, ConfigError, Experiment, FrozenConfig
from backplane_runtime.events import EventType
from backplane_runtime.lane import LaneOptions
from backplane_runtime.references import UnresolvedReferenceError
from backplane_runtime.settings import Composite, Member, Plane, Settings, SettingsError, from_wire, known_part

if TYPE_CHECKING:
    from backplane_runtime.redaction import Redactor


class Assembly(msgspec.Struct, frozen=True, kw_only=True):
    """All parts of a data plane; nothing of it is open."""

    plane: Plane
    lanes: tuple[LaneOptions, ...]
    redactor: Redactor | None
    catalog: tuple[Experiment, ...] = ()

    @property
    def taken(self) -> frozenset[EventType]:
        """Return the event types that some backplane takes."""
        return frozenset().union(*(lane.events for lane in self.lanes))


def assemble(config: FrozenConfig) -> Assembly:
    """Return the parts for *config*.

    Raises:
        ConfigError: if a backplane is unknown, not installed, or refuses its options, or the redaction cannot be done.
    """
    try:
        lanes = tuple(_lane_of_entry(entry, config) for entry in config.backplanes)
        redactor = _redactor(config.data_plane)
        return Assembly(plane=config.data_plane, lanes=lanes, redactor=redactor, catalog=config.catalog)
    except (BackplaneError, SettingsError, UnresolvedReferenceError) as error:
        raise ConfigError(str(error)) from None  # the text says all; the chain would be three tracebacks of ours


def assembly_of(settings: Settings | Composite, plane: Plane) -> Assembly:
    """Return the parts for *settings* given in a program.

    Raises:
        ConfigError: as `assemble`.
    """
    members = settings.backplanes if isinstance(settings, Composite) else None
    try:
        if members is None:
            members = (Member(name=kind_of(settings), settings=settings),)  # type: ignore[arg-type]  # not a Composite
        lanes = tuple(_lane(member, kind_of(member.settings), plane) for member in members)
        return Assembly(plane=plane, lanes=lanes, redactor=_redactor(plane))
    except (BackplaneError, UnresolvedReferenceError, SettingsError) as error:
        raise ConfigError(str(error)) from None


def _lane_of_entry(entry: BackplaneEntry, config: FrozenConfig) -> LaneOptions:
    settings_type = registered(entry.type).settings_type
    settings: Any = entry.options
    if settings_type is not None:
        try:
            settings = from_wire(settings_type, known_part(settings_type, settings) if config.is_newer else settings)
        except SettingsError as error:
            raise BackplaneError(f"backplane `{entry.name}`: {error}") from error
    return _lane(Member(name=entry.name, settings=settings, events=entry.events), entry.type, config.data_plane)


def _lane(member: Member, kind: str, plane: Plane) -> LaneOptions:
    events = frozenset(member.events)
    more = {"events": events & enabled_types(plane)} if registered(kind).wants_events else {}
    settings: Any = member.settings  # an extension without settings of its own takes the options as they are
    if isinstance(settings, Settings):
        settings = settings.located()
    return LaneOptions(
        name=member.name,
        kind=kind,
        target=target_of(kind, settings),
        make=partial(load_maker(kind), settings, **more),
        events=events,
        batch_size=getattr(member.settings, "batch_size", plane.batch_size),
        interval=plane.flush_interval_ms / 1000,
    )


def target_of(kind: str, settings: Any) -> str:
    """Return, as a hash, where a backplane of type *kind* with *settings* sends to: it may hold what is secret."""
    import hashlib  # noqa: PLC0415 - 2 ms

    place = settings.place() if isinstance(settings, Settings) else settings
    return hashlib.blake2b(msgspec.json.encode([kind, place], order="sorted"), digest_size=8).hexdigest()


def _redactor(plane: Plane) -> Redactor | None:
    if plane.pii_redaction is None:
        return None
    from backplane_runtime.redaction import Redactor  # noqa: PLC0415 - brings `hashlib`, 5 ms, and few need it

    return Redactor(plane.pii_redaction)
