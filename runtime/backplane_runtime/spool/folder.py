"""One folder of the spool, as those see it who read it while it is owned by this process."""

from __future__ import annotations

from pathlib import Path

from backplane_runtime.notices import Notices
from backplane_runtime.spool.files import Files
from backplane_runtime.spool.keeping import Keeping
from backplane_runtime.spool.scan import Damage
from backplane_runtime.spool.segments import Chain, Segment


class Folder:
    """What the log and its readers share.

    Attributes:
        end: the number after the last event that readers may see.
    """

    def __init__(self, files: Files, path: Path, chain: Chain, keeping: Keeping) -> None:
        self.files = files
        self.path = path
        self.chain = chain
        self.keeping = keeping
        self.end = 1
        self._notices = Notices()

    def report(self, segment: Segment, descriptor: int, damage: Damage) -> None:
        """Count damage in an open segment, keep a copy, and say so once; an unfinished write is none."""
        if damage.is_torn:
            return
        try:
            is_news = self.keeping.quarantine(segment, descriptor, damage)
        except OSError as error:
            self.warn("quarantine", "damaged bytes could not be copied", error)
            is_news = True
        if is_news:
            size = damage.stop - damage.start
            text = f"spool {self.path}: {size} bytes of {segment.path.name} are damaged, from byte {damage.start} on"
            self._notices.warn("damage", f"{text}; see `backplane spool verify`")

    def warn(self, kind: str, text: str, error: OSError) -> None:
        """Log *text* and what the system said, at a bounded rate."""
        self._notices.warn(kind, f"spool {self.path}: {text}: {error.strerror}", error)
