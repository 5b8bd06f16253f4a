"""The two rooms behind the routes, called through Serve handles; errors are the rooms' own."""

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from ray.exceptions import ObjectLostError, RayActorError, RayError, RayTaskError
from ray.serve.exceptions import (
    BackPressureError,
    DeploymentUnavailableError,
    RayServeException,
    ReplicaUnavailableError,
)
from ray.serve.handle import DeploymentHandle, DeploymentResponse, DeploymentResponseGenerator

from deployments.diffusion.request import Event, GenerationParams, Preview, Terms
from deployments.errors import DeadlineMissed, Overloaded, ReplicaDown, RequestError
from deployments.handover import Drawn, Given
from deployments.postprocess.schema import Delivery, FinishSpec, KeptVariant, Output

Handle = DeploymentHandle[Any]
Pending = DeploymentResponse[Any]
Telling = DeploymentResponseGenerator[Any]

BUSY_RETRY_S = 2.0
STATE_TIMEOUT_S = 3.0
FOLLOW_TIMEOUT_S = 30.0
ATTEMPTS = 3  # of a call whose replica is gone, or going: the router may not know it at once
GONE = (
    RayActorError,
    ObjectLostError,  # with the process that had made it
    DeploymentUnavailableError,
    ReplicaUnavailableError,
)
COUNTED: Mapping[str, Callable[[Iterable[int]], int]] = {
    "hits": sum,
    "misses": sum,
    "pictures": max,
    "bytes": max,
}
"""The library's counters, and what the replicas' figures make together."""


class TakenIn(NamedTuple):
    """Pictures that were taken in. pending: what hands them on from room to room."""

    pending: Pending
    given: Given


class Rooms:
    """Calls into the rooms. A client that leaves cancels its calls wherever they are.

    A call whose replica dies under it, or does not serve, is made again, on another one where there
    is one, else on the next that is ready. Each picture has its seed before it is first asked for,
    so what is drawn again is the same.
    """

    def __init__(self, diffusion: Handle, postprocess: Handle, timeout_s: float) -> None:
        self.diffusion = diffusion
        self.postprocess = postprocess
        self.timeout_s = timeout_s

    async def intake(
        self,
        image: bytes,
        mask: bytes | None,
        size: tuple[int, int] | None,
        fit: str,
        keep: str | None,
    ) -> TakenIn:
        """An upload, fitted. Raises InvalidValue, TooLarge or UnsupportedFile."""
        return await self._given(
            lambda: _call(self.postprocess.intake, image, mask, size, fit, keep)
        )

    async def intake_kept(
        self,
        kept: KeptVariant,
        size: tuple[int, int] | None,
        fit: str,
        keep: str | None,
    ) -> TakenIn:
        """The same of a kept picture. Raises NotFound, or what `intake` raises."""
        return await self._given(lambda: _call(self.postprocess.intake_kept, kept, size, fit, keep))

    async def refer(
        self, taken: TakenIn | None, pictures: Sequence[bytes | KeptVariant], max_pixels: int
    ) -> TakenIn:
        """What was taken in, if anything, and references beside it. Raises NotFound, or what
        `intake` raises."""
        before = taken and taken.pending
        return await self._given(
            lambda: _call(self.postprocess.refer, before, pictures, max_pixels)
        )

    async def _given(self, begin: Callable[[], Pending]) -> TakenIn:
        begun: list[Pending] = []

        def once() -> tuple[Pending]:
            begun.append(begin())
            return (begun[-1],)

        given = cast(Given, await self._answer(once))
        return TakenIn(begun[-1], given)

    async def deliver(
        self, params: GenerationParams, terms: Terms, given: Pending | None, spec: FinishSpec
    ) -> Delivery:
        """Draw, then finish; the pictures go from room to room without passing through here."""

        def begin() -> tuple[Pending, Pending]:
            drawn = _call(self.diffusion.generate, spec.id, params, given, terms)
            return drawn, _call(self.postprocess.finish, drawn, spec, given)

        return cast(Delivery, await self._answer(begin))

    async def deliver_told(
        self, params: GenerationParams, terms: Terms, given: Pending | None, spec: FinishSpec
    ) -> AsyncGenerator[Event | Delivery, None]:
        """The same within the same time, telling of the way: events as they happen, then the
        delivery. The pictures do pass through here, since one call tells and draws. Drawn anew, it
        tells its progress from the start, and each preview once.
        """
        ends = self._ends()
        seen: set[tuple[int, int]] = set()
        drawn: Drawn | None = None
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with aclosing(self._draw_told(params, terms, given, spec.id, ends)) as events:
                    async for event in events:
                        if isinstance(event, Drawn):
                            drawn = event
                        elif not isinstance(event, Preview):
                            yield event
                        elif (place := (event.picture, event.index)) not in seen:
                            seen.add(place)
                            yield event
                break
            except ReplicaDown:
                if attempt == ATTEMPTS:
                    raise
        finish = partial(_call, self.postprocess.finish, drawn, spec, given)
        yield cast(Delivery, await self._answer(lambda: (finish(),), ends))

    async def _draw_told(
        self,
        params: GenerationParams,
        terms: Terms,
        given: Pending | None,
        job: str,
        ends: float,
    ) -> AsyncGenerator[Event | Drawn, None]:
        generate = self.diffusion.options(stream=True).generate_stream
        told = cast(Telling, generate.remote(job, params, given, terms))
        try:
            while (event := await self._next(told, ends)) is not None:
                yield event
        finally:
            told.cancel()  # a listener that leaves takes its request along

    async def adopt(self, spec: FinishSpec) -> FinishSpec:
        """`spec` with its overlay's images as files, checked. Raises what names the layer."""
        if spec.overlay is None or not (spec.overlay.image_layers or spec.overlay.brand):
            return spec
        return cast(FinishSpec, await self.ask("adopt", spec))

    async def recall(self, spec: FinishSpec) -> Delivery | None:
        """The pictures of an earlier request like this one, finished; None if none are kept."""
        return cast(Delivery | None, await self.ask("recall", spec))

    async def ask(self, method: str, *arguments: object) -> object:
        """What a method of PostProcessDeployment answers."""
        return await self._answer(lambda: (_call(getattr(self.postprocess, method), *arguments),))

    async def preview(
        self, pixels: NDArray[np.uint8], size: tuple[int, int], output: Output
    ) -> bytes:
        """A preview as a file of `size`."""
        return cast(bytes, await self.ask("preview", pixels, size, output))

    async def weigh_style(self, path: Path, settings: str | None) -> int:
        """Bytes that a file, which all processes reach, would take as a style. Raises InvalidValue
        for one that cannot be worn."""
        weigh = partial(_call, self.diffusion.weigh_style, str(path), settings)
        return cast(int, await self._answer(lambda: (weigh(),)))

    async def follow_styles(self) -> None:
        """Have all replicas hold the added styles that the folder says now. One that does not hear
        of it, or that is still being started, looks when it is asked for a style."""
        with suppress(TimeoutError, DeploymentUnavailableError):
            await self.diffusion.broadcast("follow_styles").results_async(
                timeout_s=FOLLOW_TIMEOUT_S, return_exceptions=True
            )

    async def state(self) -> dict[str, Any]:
        """The engine's state; {"phase": "starting"} while there is none to ask."""
        response = _call(self.diffusion.state)
        try:
            async with asyncio.timeout(STATE_TIMEOUT_S):
                return cast(dict[str, Any], await response)
        except TimeoutError:
            response.cancel()
        except GONE:
            pass  # being started, or started anew
        return {"phase": "starting", "reason": None}

    async def library(self) -> dict[str, int]:
        """The library's counters, lookups of all replicas together; empty while none answers."""
        try:
            replies = await self.postprocess.broadcast("library_counters").results_async(
                timeout_s=STATE_TIMEOUT_S, return_exceptions=True
            )
        except (TimeoutError, DeploymentUnavailableError):
            return {}
        told = [reply for reply in replies if isinstance(reply, dict) and reply]
        return {name: COUNTED[name](reply[name] for reply in told) for name in COUNTED if told}

    async def weights(self) -> dict[str, int]:
        """`held_bytes` of weights, and `held_twice_bytes` of them."""
        twice = cast(int, await self._answer(lambda: (_call(self.diffusion.held_twice_bytes),)))
        return {"held_bytes": (await self.state()).get("held_bytes", 0), "held_twice_bytes": twice}

    async def _answer(
        self, begin: Callable[[], tuple[Pending, ...]], ends: float | None = None
    ) -> object:
        """The last response of the chain of calls that `begin` makes, made anew while its replica
        is gone. Raises DeadlineMissed after `timeout_s`, or at `ends`, and what the rooms raise.
        """
        async with self._in_time(self._ends() if ends is None else ends):
            for _ in range(ATTEMPTS - 1):
                with suppress(ReplicaDown):
                    return await _last(begin())
            return await _last(begin())

    async def _next(self, told: Telling, ends: float) -> Event | Drawn | None:
        """What is told next; None at the end."""
        async with self._in_time(ends):
            with rooms_errors():
                return cast(Event | Drawn | None, await anext(told, None))

    def _ends(self) -> float:
        """When a request that begins now is given up, by the event loop's clock."""
        return asyncio.get_running_loop().time() + self.timeout_s

    @asynccontextmanager
    async def _in_time(self, ends: float) -> AsyncIterator[None]:
        """Raises DeadlineMissed when it ends; a TimeoutError of a room's own stays what it is."""
        try:
            async with asyncio.timeout_at(ends) as limit:
                yield
        except TimeoutError:
            if not limit.expired():
                raise
            message = f"The request took longer than {self.timeout_s:g} s."
            raise DeadlineMissed(message, None, "timeout") from None


async def _last(chain: tuple[Pending, ...]) -> object:
    """The last answer of a chain of calls. However it ends, none of them goes on without it."""
    try:
        with rooms_errors():
            return await chain[-1]
    except BaseException:
        for response in chain:
            response.cancel()
        raise


@contextmanager
def rooms_errors() -> Iterator[None]:
    """What goes wrong in a call, as the RequestError that it means to a client."""
    try:
        yield
    except BackPressureError:
        raise Overloaded(
            "The server is busy; try again later.", None, "queue_full", BUSY_RETRY_S
        ) from None
    except (RayError, RayServeException) as error:
        # A call's own error is wrapped; so is that of a call whose answer it was to take.
        cause = error.cause if isinstance(error, RayTaskError) else error.__cause__
        if isinstance(cause, RequestError):
            raise cause from None
        if isinstance(error, GONE) or isinstance(cause, GONE):
            raise ReplicaDown(
                "The process that worked on this is not there any more; try again later.",
                None,
                "unavailable",
            ) from None
        raise


def _call(method: Handle, *arguments: object) -> Pending:
    """Begin a call that answers once."""
    return cast(Pending, method.remote(*arguments))
