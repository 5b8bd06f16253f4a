"""What either room may refuse, said so that a client can mend it.

Every error names the request's field (`param`, None when no single field is at fault) and a stable
`code`. All arguments are positional, so that the errors pickle across processes unchanged.
"""


class RequestError(Exception):
    """A request that cannot be answered as asked; the base of all errors a client may see."""

    def __init__(self, message: str, param: str | None, code: str) -> None:
        super().__init__(message, param, code)
        self.message = message
        self.param = param
        self.code = code

    def __str__(self) -> str:
        return self.message


class InvalidValue(RequestError):
    """A value that is impossible, unsupported or contradictory."""


class NotFound(RequestError):
    """Something that is not here, or not any more."""


class TooLarge(RequestError):
    """Bytes or pixels beyond the limits."""


class UnsupportedFile(RequestError):
    """Bytes that are no picture of an accepted format."""


class Overloaded(RequestError):
    """The queue is full; `retry_after_s` says in how many seconds a place should be free."""

    def __init__(self, message: str, param: str | None, code: str, retry_after_s: float) -> None:
        super().__init__(message, param, code)
        self.args = (message, param, code, retry_after_s)
        self.retry_after_s = retry_after_s


class DeadlineMissed(RequestError):
    """The client's own deadline passed before the answer was there."""


class NotReady(RequestError):
    """The model is not ready: loading, failed or draining."""


class ReplicaDown(NotReady):
    """The replica is gone, going, or has no model: another one may answer."""


class OutOfMemory(RequestError):
    """The device cannot hold this request, even alone."""


class GenerationFailed(RequestError):
    """The model raised while drawing this picture; other requests are unharmed."""
