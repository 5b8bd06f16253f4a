"""The two rooms behind the routes, called through Serve handles; errors are the rooms' own."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from ray.exceptions import RayActorError, RayTaskError
from ray.serve.exceptions import (
    BackPressureError,
    DeploymentUnavailableError,
    ReplicaUnavailableError,
)
from ray.serve.handle import DeploymentHandle, DeploymentResponse, DeploymentResponseGenerator

from deployments.diffusion.request import Event, GenerationParams, Terms
from deployments.errors import DeadlineMissed, NotReady, Overloaded, RequestError
from deployments.handover import Drawn, Fitted
from deployments.postprocess.schema import Delivery, FinishSpec, Output

Handle = DeploymentHandle[Any]
Pending = DeploymentResponse[Any]
Telling = DeploymentResponseGenerator[Any]

BUSY_RETRY_S = 2.0
STATE_TIMEOUT_S = 3.0
COUNTED: Mapping[str, Callable[[Iterable[int]], int]] = {
    "hits": sum,
    "misses": sum,
    "pictures": max,
    "bytes": max,
}
"""The library's counters, and what the replicas' figures make together."""


class Rooms:
    """Calls into the rooms. A client that leaves cancels its calls wherever they are."""

    def __init__(self, diffusion: Handle, postprocess: Handle, timeout_s: float) -> None:
        self.diffusion = diffusion
        self.postprocess = postprocess
        self.timeout_s = timeout_s

    def intake(
        self,
        image: bytes,
        mask: bytes | None,
        size: tuple[int, int] | None,
        fit: str,
        keep: str | None,
    ) -> Pending:
        """Begin to read an upload; await it with `fitted`, hand it on to `deliver` as it is."""
        return _call(self.postprocess.intake, image, mask, size, fit, keep)

    def intake_kept(
        self,
        picture_id: str,
        variant: str,
        size: tuple[int, int] | None,
        fit: str,
        keep: str | None,
    ) -> Pending:
        """The same of a kept picture."""
        return _call(self.postprocess.intake_kept, picture_id, variant, size, fit, keep)

    async def fitted(self, response: Pending) -> Fitted:
        """The upload, fitted. Raises InvalidValue, TooLarge or UnsupportedFile."""
        return cast(Fitted, await self._answer(response))

    async def deliver(
        self, params: GenerationParams, terms: Terms, given: Pending | None, spec: FinishSpec
    ) -> Delivery:
        """Draw, then finish; the pictures go from room to room without passing through here."""
        drawn = _call(self.diffusion.generate, spec.id, params, given, terms)
        finished = _call(self.postprocess.finish, drawn, spec, given)
        return cast(Delivery, await self._answer(drawn, finished))

    async def deliver_told(
        self, params: GenerationParams, terms: Terms, given: Pending | None, spec: FinishSpec
    ) -> AsyncGenerator[Event | Delivery, None]:
        """The same within the same time, telling of the way: events as they happen, then the
        delivery. The pictures do pass through here, since one call tells and draws."""
        ends = self._ends()
        generate = self.diffusion.options(stream=True).generate_stream
        told = cast(Telling, generate.remote(spec.id, params, given, terms))
        drawn: Drawn | None = None
        try:
            while (event := await self._next(told, ends)) is not None:
                if isinstance(event, Drawn):
                    drawn = event
                else:
                    yield event
        finally:
            told.cancel()  # a listener that leaves takes its request along
        finished = _call(self.postprocess.finish, drawn, spec, given)
        yield cast(Delivery, await self._answer(finished, ends=ends))

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
        return await self._answer(_call(getattr(self.postprocess, method), *arguments))

    async def preview(
        self, pixels: NDArray[np.uint8], size: tuple[int, int], output: Output
    ) -> bytes:
        """A preview as a file of `size`."""
        response = _call(self.postprocess.preview, pixels, size, output)
        return cast(bytes, await self._answer(response))

    async def state(self) -> dict[str, Any]:
        """The engine's state; {"phase": "starting"} while there is none to ask."""
        response = _call(self.diffusion.state)
        try:
            async with asyncio.timeout(STATE_TIMEOUT_S):
                return cast(dict[str, Any], await response)
        except TimeoutError:
            response.cancel()
        except (DeploymentUnavailableError, ReplicaUnavailableError, RayActorError):
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
        twice = cast(int, await self._answer(_call(self.diffusion.held_twice_bytes)))
        return {"held_bytes": (await self.state())["held_bytes"], "held_twice_bytes": twice}

    async def _answer(self, *chain: Pending, ends: float | None = None) -> object:
        """The last response of a chain of calls; without one, whatever the reason, none goes on."""
        try:
            with rooms_errors():
                async with self._in_time(self._ends() if ends is None else ends):
                    return await chain[-1]
        except BaseException:
            for response in chain:
                response.cancel()
            raise

    async def _next(self, told: Telling, ends: float) -> Event | Drawn | None:
        """What is told next; None at the end."""
        with rooms_errors():
            async with self._in_time(ends):
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
            raise DeadlineMissed(
                f"The request took longer than {self.timeout_s:g} s.", None, "timeout"
            ) from None


@contextmanager
def rooms_errors() -> Iterator[None]:
    """What goes wrong in a call, as the RequestError that it means to a client."""
    try:
        yield
    except BackPressureError:
        raise Overloaded(
            "The server is busy; try again later.", None, "queue_full", BUSY_RETRY_S
        ) from None
    except (DeploymentUnavailableError, ReplicaUnavailableError, RayActorError):
        raise NotReady(
            "The model's process is not available; try again later.", None, "unavailable"
        ) from None
    except RayTaskError as error:
        if isinstance(error.cause, RequestError):
            raise error.cause from None
        raise


def _call(method: Handle, *arguments: object) -> Pending:
    """Begin a call that answers once."""
    return cast(Pending, method.remote(*arguments))
