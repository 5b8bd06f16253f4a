"""The added styles that one model holds: those of the folder, within a bound in bytes."""

import logging
from collections.abc import Collection
from pathlib import Path

import torch

from deployments.diffusion.request import AddedStyle, adapter_of
from deployments.diffusion.styles.adapters import Adapter, Adapters
from deployments.diffusion.styles.added import StyleFolder, StyleRecord, require_small
from deployments.diffusion.styles.layers import StyledLayers
from deployments.diffusion.styles.reading import StyleUnfit, read_adapter
from deployments.errors import InvalidValue

log = logging.getLogger(__name__)


class HeldStyles:
    """For the device thread alone, between two steps; others may call `holds` and read `by_name`.

    What is not in the folder any more is let go once no row wears it; until then it counts.
    by_name: bytes of those that are in the folder and held. leaving: digests of what was let go of
    but for the rows that wear it.
    """

    def __init__(
        self,
        folder: StyleFolder,
        layers: StyledLayers,
        adapters: Adapters,
        device: torch.device,
        dtype: torch.dtype,
        most_bytes: int,
    ) -> None:
        self.by_name: dict[str, int] = {}
        self.leaving: frozenset[str] = frozenset()
        self._folder = folder
        self._layers = layers
        self._adapters = adapters
        self._device = device
        self._dtype = dtype
        self._most_bytes = most_bytes
        self._held: dict[str, int] = {}  # bytes by digest

    @property
    def nbytes(self) -> int:
        """Of all that is held."""
        return sum(self._held.values())

    def holds(self, styles: Collection[AddedStyle]) -> bool:
        """Whether requests that ask for these can be drawn."""
        return all(style.digest in self._held for style in styles)

    def weigh(self, path: Path, settings: str | None) -> int:
        """Bytes that a file would take. Raises InvalidValue for one that cannot be worn."""
        try:
            require_small(path.stat().st_size, self._most_bytes)
            return self._read(path, settings).nbytes
        except StyleUnfit as error:
            raise InvalidValue(f"file: {error}", "file", "style_unfit") from None
        except OSError as error:
            message = f"file: the process that draws cannot read it ({error.strerror}); the folder "
            message += "of added styles must be the same for all"
            raise InvalidValue(message, "file", "style_unreadable") from None

    def follow(self, worn: Collection[str]) -> None:
        """Hold what the folder says; worn: digests that are to stay for now.

        What cannot be read, or finds no room, is left out and logged: requests for it say so.
        Raises what the device does where its memory does not suffice, with nothing half there.
        """
        records = self._folder.records()
        wanted = {record.digest: record for record in records.values()}
        gone = self._held.keys() - wanted.keys()
        self.leaving = frozenset(gone & set(worn))
        for digest in gone - set(worn):
            self._let_go(digest)
        try:
            for digest, record in wanted.items():
                if digest not in self._held:
                    self._hold(digest, record)
        finally:
            self.by_name = {
                name: self._held[record.digest]
                for name, record in records.items()
                if record.digest in self._held
            }

    def _hold(self, digest: str, record: StyleRecord) -> None:
        try:
            adapter = self._read(self._folder.weights(digest), record.settings)
        except (OSError, StyleUnfit) as error:
            log.warning("the added style %.12s cannot be held: %s", digest, error)
            return
        if self.nbytes + adapter.nbytes > self._most_bytes:
            log.warning("the added style %.12s finds no room in added_styles_bytes", digest)
            return
        self._adapters.add(adapter_of(digest), adapter.placed(self._device))
        self._held = {**self._held, digest: adapter.nbytes}

    def _let_go(self, digest: str) -> None:
        self._held = {one: size for one, size in self._held.items() if one != digest}
        self._adapters.remove(adapter_of(digest))

    def _read(self, path: Path, settings: str | None) -> Adapter:
        return read_adapter(path, lambda: settings, self._layers, self._dtype)
