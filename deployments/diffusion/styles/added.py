"""Styles that are added while the application runs: a folder says which there are.

Whoever looks into it, front or engine, this process or the one after a restart, finds the same. A
style is `NAME.json`, written last and removed first; its weights are `DIGEST.safetensors`, whole
from the moment they have that name. Several machines need a folder that all of them share.
"""

import hashlib
import logging
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, BinaryIO

from filelock import FileLock, Timeout
from pydantic import Field, ValidationError

from deployments.diffusion.profile import MAX_WEIGHT
from deployments.diffusion.request import AddedStyle
from deployments.diffusion.sizes import Strict
from deployments.errors import InvalidValue, NotFound, Overloaded, TooLarge

log = logging.getLogger(__name__)

NAME = r"^[a-z0-9][a-z0-9-]{0,63}$"
AddedName = Annotated[str, Field(pattern=NAME)]
SETTINGS_CHARACTERS = 64 * 2**10
PIECE_BYTES = 2**20
HALF = ".half-"  # before the name of what is on its way
LOCK = ".lock"
LOCK_WAIT_S = 10.0


class AboutStyle(Strict):
    """What an operator says of a style. weight, trigger, licence, description: as in a profile.

    settings: the text of peft's adapter_config.json, where the file comes with one.
    """

    weight: float = Field(default=1.0, ge=-MAX_WEIGHT, le=MAX_WEIGHT)
    trigger: str | None = Field(default=None, min_length=1)
    licence: str = Field(min_length=1)
    description: str = Field(min_length=1)
    settings: str | None = Field(default=None, max_length=SETTINGS_CHARACTERS)


class StyleRecord(AboutStyle):
    """One that is added. digest: SHA-256 of its file and its settings, in hexadecimal.

    nbytes: that it takes beside the model, as the model that it was added to runs.
    """

    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    nbytes: int = Field(gt=0)

    def named(self, name: str) -> AddedStyle:
        """As requests have it that ask for it by its name."""
        return AddedStyle(name, self.digest, self.weight, self.trigger)


class StyleFolder:
    """The added styles, for any number of threads and processes at once."""

    def __init__(self, path: Path | str) -> None:
        """Makes the folder where there is none."""
        self.path = Path(path).expanduser()
        self.path.mkdir(parents=True, exist_ok=True)

    def records(self) -> dict[str, StyleRecord]:
        """All of them by name. What is no record of ours is left out, and logged."""
        paths = [one for one in sorted(self.path.glob("*.json")) if re.match(NAME, one.stem)]
        found = {path.stem: self._record(path) for path in paths}
        return {name: record for name, record in found.items() if record is not None}

    def weights(self, digest: str) -> Path:
        """Where the weights of a style lie, if it is still there."""
        return self.path / f"{digest}.safetensors"

    @contextmanager
    def incoming(
        self, file: BinaryIO | str, settings: str | None, most_bytes: int
    ) -> Iterator[tuple[Path, str]]:
        """A copy of a file in this folder, and the digest of it and its settings; gone after the
        block unless it was added.

        file: as sent; or the name of one that the operator has put here. Raises InvalidValue where
        there is none of this name, TooLarge for one that could not be held.
        """
        hashed = hashlib.sha256()
        with ExitStack() as ends:
            if isinstance(file, str):
                file = ends.enter_context(self._own(file, most_bytes).open("rb"))
            half = Path(ends.enter_context(TemporaryDirectory(dir=self.path, prefix=HALF)), "half")
            with half.open("wb") as copy:
                while piece := file.read(PIECE_BYTES):
                    hashed.update(piece)
                    copy.write(piece)
            if settings is not None:
                hashed.update(b"\0" + settings.encode())
            yield half, hashed.hexdigest()

    def add(self, name: str, record: StyleRecord, half: Path, most_bytes: int) -> None:
        """Keep what `incoming` has brought, as a style; the very same once more changes nothing.

        Raises InvalidValue for a name that is taken, TooLarge where all of them together would
        take more than `most_bytes`.
        """
        with self._alone():
            records = self.records()
            if name in records:
                if records[name] == record:
                    return
                message = f"name: there is a style {name!r} already; remove it first"
                raise InvalidValue(message, "name", "style_exists")
            held = {one.digest: one.nbytes for one in records.values()}
            before = sum(held.values())
            held[record.digest] = record.nbytes
            if sum(held.values()) > most_bytes:
                raise TooLarge(
                    f"file: {record.nbytes:,} bytes of matrices, beside the {before:,} of the "
                    f"styles that are added already, are more than the {most_bytes:,} of "
                    "engine.added_styles_bytes; remove one, or raise it in the profile",
                    "file",
                    "styles_full",
                )
            text = half.with_name("record")
            text.write_text(record.model_dump_json(), encoding="utf-8")
            half.replace(self.weights(record.digest))
            text.replace(self._at(name))

    def remove(self, name: str) -> None:
        """Remove a style, and its weights where no other has the same. Raises NotFound."""
        with self._alone():
            records = self.records()
            if name not in records:
                ours = ", ".join(records) or "none"
                message = f"name: no style {name!r} was added; those that were are {ours}"
                raise NotFound(message, "name", "style_not_found")
            gone = records.pop(name)
            self._at(name).unlink()
            if gone.digest not in {one.digest for one in records.values()}:
                self.weights(gone.digest).unlink(missing_ok=True)

    def _own(self, name: str, most_bytes: int) -> Path:
        path = self.path / name
        if Path(name).name != name or path.is_symlink() or not path.is_file():
            message = f"file: there is no file {name!r} in the folder of added styles"
            raise InvalidValue(message, "file", "file_not_found")
        require_small(path.stat().st_size, most_bytes)
        return path

    def _at(self, name: str) -> Path:
        return self.path / f"{name}.json"

    def _record(self, path: Path) -> StyleRecord | None:
        try:
            return StyleRecord.model_validate_json(path.read_bytes())
        except FileNotFoundError:  # removed since it was listed
            return None
        except ValidationError:
            log.warning("%s is no record of an added style: it is left out", path.name)
            return None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody else changes the folder meanwhile. Raises Overloaded where that is waited for."""
        try:
            with FileLock(self.path / LOCK, timeout=LOCK_WAIT_S):
                yield
        except Timeout:
            message = "Styles are being added or removed; try again later."
            raise Overloaded(message, None, "styles_busy", LOCK_WAIT_S) from None


def require_small(size: int, most_bytes: int) -> None:
    """Raise TooLarge for a file of which less than half could be held."""
    if size > 2 * most_bytes:
        raise TooLarge(
            f"file: {size:,} bytes are more than could be held: engine.added_styles_bytes is "
            f"{most_bytes:,}; raise it in the profile",
            "file",
            "styles_full",
        )
