"""Record batches as a broker keeps them on disk, and their forgery: to write under the number of another producer.

The layout: https://kafka.apache.org/documentation/#recordbatch
"""

import struct
from pathlib import Path

_SIZE_AT, _CRC_AT, _CHECKED_AT, _DELTA_AT, _SEQUENCE_AT = 8, 17, 21, 23, 53
_HEAD = 12  # bytes before those that the size counts
_POLYNOMIAL = 0x82F63B78  # CRC-32C, reflected


def last_batch(segment: Path) -> bytes:
    """Return the last batch in a segment file."""
    data, at, found = segment.read_bytes(), 0, b""
    while at < len(data):
        size = _HEAD + int(struct.unpack_from(">i", data, at + _SIZE_AT)[0])
        found, at = data[at : at + size], at + size
    return found


def continued(batch: bytes) -> bytes:
    """Return *batch* once more with the sequence numbers that come next: its producer's own next batch is then out of order."""
    forged = bytearray(batch)
    (delta,) = struct.unpack_from(">i", forged, _DELTA_AT)
    (sequence,) = struct.unpack_from(">i", forged, _SEQUENCE_AT)
    struct.pack_into(">i", forged, _SEQUENCE_AT, sequence + delta + 1)
    struct.pack_into(">q", forged, 0, 0)
    struct.pack_into(">I", forged, _CRC_AT, _crc32c(forged[_CHECKED_AT:]))
    return bytes(forged)


def _crc32c(data: bytes | bytearray) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (_POLYNOMIAL if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
