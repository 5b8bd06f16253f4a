"""Files under one address: a folder, or whatever fsspec reaches. Each is there whole or not at all.

The only file that knows fsspec.
"""

from contextlib import suppress
from pathlib import Path, PurePosixPath

from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from deployments.postprocess.schema import new_id

HALF = "half"  # where a file of a folder stands until it is whole


def open_address(address: str) -> tuple[AbstractFileSystem, str]:
    """The file system of `address` and the path in it. Raises ValueError for what is none."""
    if "://" not in address and not Path(address).expanduser().is_absolute():
        raise ValueError(f"{address!r} is no absolute path and no URL, such as s3://bucket/folder")
    try:
        # Listings are asked for anew each time: other processes write here too.
        files, root = url_to_fs(address, use_listings_cache=False)
    except (ImportError, ValueError) as error:
        raise ValueError(f"{address!r} cannot be reached: {error}") from None
    return files, root.rstrip("/")


class BlobStore:
    """Small files by relative path; for any number of threads and processes at once.

    What the file system raises goes through, but for a file that is not there.
    """

    def __init__(self, address: str) -> None:
        self._files, self._root = open_address(address)

    def read(self, path: str) -> bytes | None:
        """What was written; None where nothing was."""
        try:
            data: bytes = self._files.cat_file(self._at(path))
        except FileNotFoundError:
            return None
        return data

    def write(self, path: str, data: bytes) -> None:
        """Write or replace a file. Cut short at any moment, nothing of it shows."""
        target = self._at(path)
        if not isinstance(self._files, LocalFileSystem):
            self._files.pipe_file(target, data)  # an object appears when its upload is complete
            return
        half = self._at(f"{HALF}/{new_id()}")
        for place in (half, target):
            self._files.makedirs(str(PurePosixPath(place).parent), exist_ok=True)
        try:
            self._files.pipe_file(half, data)
            self._files.mv(half, target)
        except BaseException:
            self.remove(f"{HALF}/{PurePosixPath(half).name}")
            raise

    def remove(self, path: str) -> None:
        """Remove a file; one that is not there is removed already."""
        with suppress(FileNotFoundError):
            self._files.rm_file(self._at(path))

    def exists(self, path: str) -> bool:
        """Whether there is such a file."""
        found: bool = self._files.exists(self._at(path))
        return found

    def names(self, folder: str) -> list[str]:
        """The names of the files in a folder, sorted; empty where there is no such folder."""
        try:
            paths = self._files.ls(self._at(folder), detail=False)
        except FileNotFoundError:
            return []
        return sorted(PurePosixPath(path).name for path in paths)

    def sizes(self, folder: str) -> dict[str, int]:
        """Bytes of every file below a folder, by its name."""
        found = self._files.find(self._at(folder), detail=True)
        return {PurePosixPath(path).name: info["size"] for path, info in found.items()}

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}"
