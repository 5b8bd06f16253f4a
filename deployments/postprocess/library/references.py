"""What pictures hold: objects by the hash they are named for, each there while a picture holds it.

Layout: `pictures/<id>` is a picture's record; `objects/<xx>/<name>` an object, <xx> the first two
digits of its name; `holds/<xx>/<name>.<id>`, an empty file, says that the picture <id> holds it.
No lock is shared between processes; two orders make up for it. A holder says so before it looks
whether the object is there. Who removes an object that nobody holds looks again afterwards, and
puts it back if somebody does. What a killed process leaves behind is swept up an hour later.
"""

import hashlib
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from deployments.postprocess.library.blobs import HALF, BlobStore
from deployments.postprocess.schema import created_s, is_id

ABANDONED_S = 3600.0  # no request takes as long


@dataclass(frozen=True, slots=True)
class Tally:
    """What is kept: pictures, and bytes of files in all."""

    pictures: int = 0
    bytes: int = 0


def digest(data: bytes) -> str:
    """The name of an object that is named for its bytes."""
    return hashlib.sha256(data).hexdigest()


def record_path(picture_id: str) -> str:
    """Where a picture's record lies."""
    return f"pictures/{picture_id}"


class References:
    """Objects and who holds them; for any number of threads and processes at once."""

    def __init__(self, store: BlobStore) -> None:
        self._store = store

    def read(self, name: str) -> bytes | None:
        """An object as it was written; None where there is none."""
        return self._store.read(_object(name))

    def read_blob(self, name: str) -> bytes | None:
        """An object that is named for its bytes; a damaged one is removed, to be written anew."""
        data = self.read(name)
        if data is None or digest(data) == name:
            return data
        self.discard(name)
        return None

    def hold(self, picture_id: str, name: str, data: bytes, *, replace: bool = False) -> int:
        """Hold an object, writing it where it is not there yet; the bytes written."""
        self._store.write(_hold(name, picture_id), b"")
        if self._store.exists(_object(name)) and not replace:
            return 0
        self._store.write(_object(name), data)
        return len(data)

    def release(self, picture_id: str, name: str) -> int:
        """Hold an object no longer; the last holder takes it along. The bytes removed."""
        self._store.remove(_hold(name, picture_id))
        return self._drop_unheld(name)

    def discard(self, name: str) -> None:
        """Remove an object, whoever holds it."""
        self._store.remove(_object(name))

    def sweep(self, max_bytes: int) -> Tally:
        """Clear what was left behind, then remove the oldest pictures until the rest fits."""
        objects = self._store.sizes("objects")  # before the holds: whoever writes one holds it
        records = {name: n for name, n in self._store.sizes("pictures").items() if is_id(name)}
        holders, held = defaultdict(set), defaultdict(set)
        for file in self._store.sizes("holds"):
            name, _, picture_id = file.partition(".")
            if picture_id not in records and _abandoned(picture_id):
                self._store.remove(_hold(name, picture_id))
            else:
                holders[name].add(picture_id)
                held[picture_id].add(name)
        for half in self._store.names(HALF):
            if _abandoned(half):
                self._store.remove(f"{HALF}/{half}")
        for name in objects.keys() - holders.keys():
            self._drop_unheld(name)
            del objects[name]
        total = sum(objects.values()) + sum(records.values())
        for picture_id in sorted(records):
            if total <= max_bytes:
                break
            self.remove(picture_id, held[picture_id])
            total -= records.pop(picture_id)
            for name in held[picture_id]:
                holders[name].discard(picture_id)
                total -= 0 if holders[name] else objects.pop(name, 0)
        return Tally(len(records), total)

    def remove(self, picture_id: str, names: Iterable[str]) -> int:
        """Remove a picture: its record first, so that nothing points at what is gone.

        The bytes of objects removed with it.
        """
        self._store.remove(record_path(picture_id))
        return sum(self.release(picture_id, name) for name in names)

    def _drop_unheld(self, name: str) -> int:
        if self._holders(name):
            return 0
        data = self.read(name)
        self.discard(name)
        if data is None:
            return 0
        if self._holders(name):
            self._store.write(_object(name), data)
            return 0
        return len(data)

    def _holders(self, name: str) -> list[str]:
        return [file for file in self._store.names(f"holds/{name[:2]}") if file.startswith(name)]


def _object(name: str) -> str:
    return f"objects/{name[:2]}/{name}"


def _hold(name: str, picture_id: str) -> str:
    return f"holds/{name[:2]}/{name}.{picture_id}"


def _abandoned(picture_id: str) -> bool:
    """Whether an id is an old one; files of others than us are left alone."""
    return is_id(picture_id) and time.time() - created_s(picture_id) > ABANDONED_S
