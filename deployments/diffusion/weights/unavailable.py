"""Why a model cannot be loaded."""


class ModelUnavailable(Exception):
    """The weights cannot be loaded; the message says what is missing and how to mend it.

    Strangers may read it, so it names no path; the error that caused it does, for the log.
    """


def without_paths(error: Exception) -> str:
    """What an error says, unless it is the system's or a hub's: those name files in full."""
    if isinstance(error, OSError):
        return error.strerror or f"{type(error).__name__}; the log says more"
    return str(error)
