"""Why a model cannot be loaded: told to strangers by its part, to the log by file and key."""

from pathlib import Path


class ModelUnavailable(Exception):
    """The weights cannot be loaded now; the message says what is missing and how to mend it.

    Strangers may read it, so it names no path; the error that caused it does, for the log.
    """

    @property
    def in_full(self) -> str:
        """For whoever runs this: with what caused it, which names the file."""
        return str(self) if self.__cause__ is None else f"{self} [{self.__cause__}]"


class ModelRefused(ModelUnavailable):
    """What is there can never be served: whoever tries again finds the same."""


class Fault(Exception):
    """What is wrong with one file of a checkpoint, for the log: `told` is for strangers.

    part: of the checkpoint, such as "vae" or "model_index.json". what: as "is missing", to be read
    after the part's name. key: of the file, where one is at fault. detail: what a library said.
    """

    refusal: type[ModelUnavailable] = ModelUnavailable

    def __init__(
        self, part: str, what: str, fix: str, file: Path, key: str = "", detail: object = ""
    ) -> None:
        named = [str(one) for one in (file, key, what, detail) if str(one)]
        super().__init__(f"{': '.join(named)}; {fix}")
        self._said = f"its {part} {what} (the log names the file); {fix}"

    def told(self, title: str) -> ModelUnavailable:
        """The same of the model with this title, without paths."""
        return self.refusal(f"model.source: {title!r}: {self._said}")


class Wrong(Fault):
    """A fault that no waiting mends: the file is whole, and not what can be served."""

    refusal = ModelRefused


def without_paths(error: Exception) -> str:
    """What an error says, unless it is the system's or a hub's: those name files in full."""
    if isinstance(error, OSError):
        return error.strerror or f"{type(error).__name__}; the log says more"
    return str(error)
