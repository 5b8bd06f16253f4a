"""The post-process room as a Ray Serve deployment: CPU work off the event loop, nothing more."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from ray import serve

from deployments.errors import NotFound, NotReady
from deployments.handover import Drawn, Given
from deployments.postprocess import keep_first, kept_pictures
from deployments.postprocess.adopt_images import adopt
from deployments.postprocess.canvas import enlarge
from deployments.postprocess.design import Brand
from deployments.postprocess.files import CredentialFiles, Signatory, encode, sign_all, sign_one
from deployments.postprocess.finish import NO_BRANDS
from deployments.postprocess.intake import (
    IntakeLimits,
    SegmentationModel,
    Segmenter,
    add_references,
    fit_upload,
)
from deployments.postprocess.job import Job
from deployments.postprocess.library import BlobStore, Library
from deployments.postprocess.schema import (
    Delivery,
    File,
    Finished,
    FinishSpec,
    KeptVariant,
    Output,
)
from deployments.postprocess.typesetting import fonts
from deployments.postprocess.worker_pool import WorkerPool

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")


@serve.deployment
class PostProcessDeployment:
    """Intake of uploads, words, placements, file formats, and the library of what was made.

    sizes: (width, height) that an upload of no stated size is fitted to. library: its address, or
    None to keep nothing. credentials: what files are signed with, None to sign none. brands: the
    kits that an overlay may name. own_fonts: a folder of the user's, or None. segmentation_model:
    what cuts subjects out, None for OpenCV's own ways. threads: pictures worked on at once, words
    in as many processes; Serve's `max_ongoing_requests` bounds what waits for them.
    """

    def __init__(
        self,
        sizes: Sequence[tuple[int, int]],
        limits: IntakeLimits,
        library: str | None,
        library_bytes: int,
        credentials: CredentialFiles | None = None,
        brands: Mapping[str, Brand] = NO_BRANDS,
        own_fonts: str | None = None,
        segmentation_model: SegmentationModel | None = None,
        threads: int = 2,
    ) -> None:
        self._brands = brands
        self._sizes = sizes
        self._limits = limits
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="postprocess")
        self._library = Library(BlobStore(library), library_bytes) if library is not None else None
        self._signatory = Signatory(credentials) if credentials is not None else None
        self._segmenter = Segmenter(segmentation_model) if segmentation_model is not None else None
        if self._library is not None:
            self._pool.submit(keep_first.tidy, self._library)
        fonts.use_folder(own_fonts)
        self._workers = WorkerPool(threads, own_fonts)

    async def intake(
        self,
        image: bytes,
        mask: bytes | None,
        size: tuple[int, int] | None,
        fit: Literal["crop", "pad"],
        keep: Literal["subject"] | None = None,
    ) -> Given:
        """An upload as the diffusion room takes it; raises what `fit_upload` raises."""
        width, height = size or (None, None)
        return await self._work(
            lambda: fit_upload(
                image, mask, width, height, fit, self._sizes, self._limits, keep, self._segmenter
            )
        )

    async def adopt(self, spec: FinishSpec) -> FinishSpec:
        """`spec` with its overlay's images as files; raises what `adopt` raises."""
        return await self._reach(
            lambda: adopt(spec, self._library, self._limits, self._brands, self._segmenter)
        )

    async def intake_kept(
        self,
        kept: KeptVariant,
        size: tuple[int, int] | None,
        fit: Literal["crop", "pad"],
        keep: Literal["subject"] | None = None,
    ) -> Given:
        """The same of a kept picture; raises what `fit_kept` raises."""
        width, height = size or (None, None)
        return await self._look(
            lambda library: kept_pictures.fit_kept(
                kept, width, height, fit, self._sizes, library, keep, self._segmenter
            )
        )

    async def refer(
        self, given: Given | None, pictures: Sequence[bytes | KeptVariant], max_pixels: int
    ) -> Given:
        """What is given, and references beside it, uploads or kept pictures; raises NotFound, and
        what `add_references` raises."""

        def files(library: Library | None) -> list[bytes]:
            return [
                one if isinstance(one, bytes) else kept_pictures.file_of(one, library)
                for one in pictures
            ]

        return await self._reach(
            lambda: add_references(given, files(self._library), max_pixels, self._limits)
        )

    async def finish(self, drawn: Drawn, spec: FinishSpec, given: Given | None = None) -> Delivery:
        """Every drawn picture, kept and finished as `spec` says; raises as `finish_picture`."""
        library = self._library
        job = await self._work(lambda: keep_first.begin(drawn, spec, given, library))
        return await self._conclude(job)

    async def recall(self, spec: FinishSpec) -> Delivery | None:
        """The same without a drawing, if one with the key of `spec` is kept."""
        library = self._library
        if library is None:
            return None
        job = await self._work(lambda: keep_first.recall(spec, library))
        return None if job is None else await self._conclude(job)

    async def finish_kept(self, picture_id: str, spec: FinishSpec) -> Delivery:
        """A kept picture, finished as `spec` says; raises NotFound, or as `finish_picture`."""
        job = await self._look(lambda library: kept_pictures.take_up(picture_id, spec, library))
        return await self._conclude(job)

    async def file(self, picture_id: str, variant: Literal["clean", "final"]) -> File:
        """A kept picture as a file. Raises NotFound."""

        def read(library: Library) -> File:
            if variant == "clean":
                return kept_pictures.clean_file(picture_id, library)
            return kept_pictures.final_file(picture_id, library, self._brands, self._workers.finish)

        return await self._look(lambda library: sign_one(read(library), self._signatory))

    async def record(self, picture_id: str) -> dict[str, Any]:
        """A kept picture's record, by the names of Record's fields. Raises NotFound."""
        record = await self._look(lambda library: kept_pictures.find(picture_id, library))
        return record.model_dump(mode="json")

    async def records(self, before: str | None, limit: int) -> tuple[list[dict[str, Any]], bool]:
        """The newest records older than `before`, and whether there are more."""
        records, more = await self._look(lambda library: library.page(before, limit))
        return [record.model_dump(mode="json") for record in records], more

    async def forget(self, picture_id: str) -> None:
        """Remove a kept picture. Raises NotFound."""
        await self._look(lambda library: kept_pictures.forget(picture_id, library))

    async def library_counters(self) -> dict[str, int]:
        """What is kept and how lookups ended, as this replica knows it; empty without a library."""
        library = self._library
        return {} if library is None else asdict(await self._work(library.counters))

    async def preview(
        self, pixels: NDArray[np.uint8], size: tuple[int, int], output: Output
    ) -> bytes:
        """A preview, uint8 (h, w, 3), enlarged to (width, height), as a file."""
        return await self._work(lambda: encode(enlarge(pixels, *size), output, {}))

    async def inspect(self, data: bytes) -> dict[str, Any]:
        """What a file says, by the names of Inspection's fields; and as `kept`, whether its picture
        is kept here, so that an edit can be repeated. A kept picture's facts are all there.

        Raises what `inspect` raises.
        """
        return await self._work(lambda: kept_pictures.inspect_file(data, self._library))

    async def _conclude(self, job: Job) -> Delivery:
        """All files of a job, made side by side, but no more at once than there are workers, so
        that a large request leaves room for others. Of several failures the first part's counts.
        """
        turns = asyncio.Semaphore(self._threads)

        async def make(task: Callable[[], Finished | None]) -> Finished | None:
            async with turns:
                return await self._work(task)

        tasks = job.tasks(self._brands, self._workers.finish)
        results = await asyncio.gather(*map(make, tasks), return_exceptions=True)
        made: list[Finished | None] = []
        for result in results:
            if isinstance(result, BaseException):
                raise result
            made.append(result)
        return await self._work(lambda: sign_all(keep_first.conclude(job, made), self._signatory))

    async def _look(self, task: Callable[[Library], Answer]) -> Answer:
        """What `task` finds in the library; NotFound without one, NotReady out of its reach."""
        library = self._library
        if library is None:
            raise NotFound("Nothing is kept here: there is no library.", None, "library_off")
        return await self._reach(lambda: task(library))

    async def _reach(self, task: Callable[[], Answer]) -> Answer:
        """What `task` finds; NotReady where the library is out of its reach."""
        try:
            return await self._work(task)
        except OSError as error:
            log.exception("the library failed")
            message = "The library cannot be reached; try again later."
            raise NotReady(message, None, "library_unavailable") from error

    async def _work(self, task: Callable[[], Answer]) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._pool, task)
