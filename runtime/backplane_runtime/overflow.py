"""What is dropped when there is no room: by subject, never by the time of arrival.

Who drops what comes last drops more of a variant whose subjects come later, or whose pages fail more, and a comparison of
variants is then one of losses. So from three quarters full on, ever fewer *subjects* are kept: those whose hash lies below
the share that is left. All events of one subject share one fate, whatever their variant, and the hash is neither the one
that samples nor any that assigns variants.
"""

from __future__ import annotations

PRESSED_FROM = 0.75


def is_kept(subject: str | None, fill: float) -> bool:
    """Say whether an event about *subject* is kept where *fill* (0 to 1) of the room is taken; at 1, none is."""
    if fill <= PRESSED_FROM:
        return True
    if fill >= 1:
        return False
    return subject is None or _hash(subject) < (1 - fill) / (1 - PRESSED_FROM)


def _hash(subject: str) -> float:
    import hashlib  # noqa: PLC0415 - costs 5 ms, and only a crowded process needs it

    digest = hashlib.blake2b(subject.encode("utf-8", "surrogatepass"), digest_size=7, person=b"backplane-drop").digest()
    return int.from_bytes(digest, "big") / 2**56
