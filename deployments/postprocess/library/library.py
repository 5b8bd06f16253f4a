"""What is kept: clean pictures, what they were made from and how, and which request drew them.

A picture has a record under its id; the record names objects: the clean picture, an edit's source
and the overlay's images (lossless WebP, named for their bytes), and the result that answers the
same request again.
What is damaged or gone is a miss, never an error.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from deployments.handover import Tokens
from deployments.postprocess.files import facts
from deployments.postprocess.library.blobs import BlobStore
from deployments.postprocess.library.references import References, Tally, digest, record_path
from deployments.postprocess.schema import Extension, Output, OverlayReport, OverlaySpec

SWEEPS_PER_BOUND = 8
DECODED_BYTES = 64 * 2**20
Pixels = NDArray[np.uint8]


class Stored(BaseModel):
    """A file of ours, read strictly: another version's is as good as none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1

    @classmethod
    def parse(cls, data: bytes | None) -> Self | None:
        """What was stored; None for what is not there or not whole."""
        if data is None:
            return None
        try:
            return cls.model_validate_json(data)
        except ValidationError:
            return None

    def to_json(self) -> bytes:
        """What `parse` reads."""
        return self.model_dump_json().encode()


class Drawing(Stored):
    """How pictures came to be: all that is known when they leave the diffusion room.

    facts: what drew them (signboard's version, model, revision). asked: the engine's parameters
    by name. source, mask, references: of an edit, the picture it started from, what of it was to be
    repainted (white), and what was read beside the prompt, by their objects. tokens: what the model
    read and drew.
    """

    facts: dict[str, str]
    asked: dict[str, Any]
    steps_executed: int
    warnings: tuple[str, ...] = ()
    source: str | None = None
    mask: str | None = None
    references: tuple[str, ...] = ()
    tokens: Tokens = Tokens()

    @property
    def given(self) -> list[str]:
        """Names of the files that an edit started from."""
        return [name for name in (self.source, self.mask, *self.references) if name]


class Result(Stored):
    """The drawn pictures of one request, by their objects, for the next request like it."""

    drawing: Drawing
    pictures: tuple[str, ...]
    seeds: tuple[int, ...]

    @property
    def files(self) -> list[str]:
        """Names of the files it needs."""
        return [*self.pictures, *self.drawing.given]


class Record(Stored):
    """One picture. clean: its object; width, height: of the clean picture, in pixels.

    result: the key under which the request's result may be found. overlay, placement, extension,
    layout, output: how it was finished; report: what the words came to, None before that and where
    there are none. prompt_in_file: whether its files may tell how it was described.
    """

    id: str
    created: int
    drawing: Drawing
    seed: int
    width: int
    height: int
    clean: str
    result: str | None
    overlay: OverlaySpec | None
    placement: str | None
    extension: Extension = "auto"
    layout: int = 0
    output: Output
    prompt_in_file: bool = True
    report: OverlayReport | None = None
    warnings: tuple[str, ...] = ()

    @property
    def facts(self) -> dict[str, str]:
        """How the advert came to be: all that it takes to make it again."""
        how = facts.Finish(self.overlay, self.placement, self.extension, self.layout, self.output)
        drawing = self.drawing
        return facts.of_picture(drawing.facts, drawing.asked, self.id, self.seed, how)

    @property
    def file_facts(self) -> dict[str, str]:
        """What of it its file says."""
        return self.facts if self.prompt_in_file else facts.without_prompts(self.facts)

    @property
    def objects(self) -> list[str]:
        """Names of what it holds."""
        images = self.overlay.kept_images if self.overlay else []
        names = (self.clean, *self.drawing.given, self.result, *images)
        return list(dict.fromkeys(name for name in names if name))


@dataclass(frozen=True, slots=True)
class Counters(Tally):
    """What is kept, as last counted; lookups of results so far, by their outcome."""

    hits: int = 0
    misses: int = 0


class Library:
    """Pictures under one address, within `max_bytes`: the oldest go first. For any thread.

    Each process looks at the whole after every eighth of the bound that it has written, so
    several of them at one address may exceed it by an eighth each. What the file system raises
    goes through. decoded: pixels of the clean pictures that were used last.
    """

    def __init__(self, store: BlobStore, max_bytes: int) -> None:
        self._store = store
        self._references = References(store)
        self._max_bytes = max_bytes
        self.decoded = Recent(DECODED_BYTES)
        self._lock = threading.Lock()  # of all below; held while a sweep goes on
        self._tally = Tally()
        self._unswept = max_bytes  # bytes written since the last sweep; as if full before the first
        self._hits = 0
        self._misses = 0

    def keep(self, records: Sequence[Record], objects: Mapping[str, bytes]) -> None:
        """Keep pictures of one request; `objects` are what their records name, by their names.

        Raises ValueError where all of it is more than the library may hold.
        """
        files = [record.to_json() for record in records]
        self._make_room(sum(map(len, (*objects.values(), *files))))
        written = 0
        for record, file in zip(records, files, strict=True):
            for name in record.objects:
                renew = name == record.result
                written += self._references.hold(record.id, name, objects[name], replace=renew)
            self._store.write(record_path(record.id), file)
            written += len(file)
        self._count(len(records), written)

    def renew(self, old: Record, new: Record) -> None:
        """Write a kept picture's record anew, unless the picture has been removed meanwhile."""
        if self._store.exists(record_path(old.id)):
            self._store.write(record_path(old.id), new.to_json())
            self._count(0, len(new.to_json()) - len(old.to_json()))

    def record(self, picture_id: str) -> Record | None:
        """A picture's record; None where there is none, or a damaged one."""
        return Record.parse(self._store.read(record_path(picture_id)))

    def file(self, name: str) -> bytes | None:
        """A kept picture's file as it was written, or None."""
        return self._references.read_blob(name)

    def image(self, name: str) -> bytes | None:
        """The same for a name that a client gave: what is not named for its bytes stays."""
        data = self._references.read(name)
        return data if data is not None and digest(data) == name else None

    def page(self, before: str | None, limit: int) -> tuple[list[Record], bool]:
        """The newest records, those older than `before` alone; and whether there are more."""
        ids = [one for one in self._store.names("pictures") if before is None or one < before]
        records: list[Record] = []
        while ids and len(records) < limit:
            if record := self.record(ids.pop()):
                records.append(record)
        return records, bool(ids)

    def remove(self, picture_id: str) -> bool:
        """Remove a picture and what no other holds; whether there was one."""
        record = self.record(picture_id)
        if record is None:
            return False
        freed = self._references.remove(picture_id, record.objects)
        self._count(-1, -freed - len(record.to_json()))
        return True

    def recall(self, key: str) -> tuple[Result, dict[str, bytes]] | None:
        """A request's result and the files that it names, by their names; None if one is gone."""
        found = self._recall(key)
        with self._lock:
            self._hits += found is not None
            self._misses += found is None
        return found

    def counters(self) -> Counters:
        """What is kept and how lookups ended, as this process knows it."""
        with self._lock:
            return Counters(self._tally.pictures, self._tally.bytes, self._hits, self._misses)

    def sweep(self) -> None:
        """Count what is kept, clear what was left behind, and remove what is too much."""
        with self._lock:
            self._sweep(0)

    def _recall(self, key: str) -> tuple[Result, dict[str, bytes]] | None:
        result = Result.parse(self._references.read(key))
        if result is None:
            return None
        files: dict[str, bytes] = {}
        for name in result.files:
            data = self.file(name)
            if data is None:
                self._references.discard(key)
                return None
            files[name] = data
        return result, files

    def _count(self, pictures: int, size: int) -> None:
        with self._lock:
            self._unswept += max(0, size)
            self._tally = Tally(self._tally.pictures + pictures, self._tally.bytes + size)

    def _make_room(self, size: int) -> None:
        if size > self._max_bytes:
            raise ValueError(f"{size} bytes are more than the library's {self._max_bytes}")
        with self._lock:
            if self._unswept + size > self._max_bytes // SWEEPS_PER_BOUND:
                self._sweep(size)

    def _sweep(self, size: int) -> None:
        room = max(size, self._max_bytes // SWEEPS_PER_BOUND)
        self._tally = self._references.sweep(self._max_bytes - room)
        self._unswept = 0


class Recent:
    """Pixels by name, the ones used longest ago dropped beyond `max_bytes`. For any thread.

    A name stands for the same pixels always. They are read-only.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._lock = threading.Lock()  # of both below
        self._pixels: OrderedDict[str, Pixels] = OrderedDict()
        self._bytes = 0

    def get(self, name: str, make: Callable[[], Pixels]) -> Pixels:
        """The pixels called `name`; made where they are not at hand. Two may make them at once."""
        with self._lock:
            if name in self._pixels:
                self._pixels.move_to_end(name)
                return self._pixels[name]
        pixels = make()
        pixels.setflags(write=False)
        with self._lock:
            if name not in self._pixels:
                self._pixels[name] = pixels
                self._bytes += pixels.nbytes
            while self._bytes > self._max_bytes:
                self._bytes -= self._pixels.popitem(last=False)[1].nbytes
        return pixels
