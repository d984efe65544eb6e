"""Connectors, one file each, behind one protocol; loaded when a data plane names them."""
