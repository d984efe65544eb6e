"""The spool: events on local disk that no backplane has acknowledged yet (README.md of this folder)."""

from backplane_runtime.spool.adoption import Stranded, adopt, adoptable, stranded, take_over
from backplane_runtime.spool.inspection import usage
from backplane_runtime.spool.layout import Destination, SpoolFormatError, SpoolOptions, default_root
from backplane_runtime.spool.log import SpoolLog
from backplane_runtime.spool.reader import SpoolReader

__all__ = [
    "Destination",
    "SpoolFormatError",
    "SpoolLog",
    "SpoolOptions",
    "SpoolReader",
    "Stranded",
    "adopt",
    "adoptable",
    "default_root",
    "stranded",
    "take_over",
    "usage",
]
