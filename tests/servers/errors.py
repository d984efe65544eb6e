"""The two ways in which a test server is not there."""


class ServerUnavailableError(Exception):
    """Raised when this machine lacks what a server needs; the text is one line that says what to install."""


class ServerFailedError(Exception):
    """Raised when a server that should run does not start, answer or stop; the text ends in the end of its log."""


class PortTakenError(ServerFailedError):
    """Raised when another program took a server's port between choosing it and starting; worth another try."""
