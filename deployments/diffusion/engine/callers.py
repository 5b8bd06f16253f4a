"""Coroutines that wait for what the engine draws: together where they ask for the same pictures.

Everything here belongs to one event loop. Whoever waits may leave, and the drawing stops with the
last one to do so.
"""

import asyncio
from collections.abc import AsyncGenerator, Hashable
from concurrent.futures import Future
from copy import copy
from dataclasses import dataclass, replace
from itertools import count

from deployments.diffusion.engine.engine import Engine
from deployments.diffusion.request import NO_HURRY, Event, GenerationParams, Sink, Terms
from deployments.errors import RequestError
from deployments.handover import Drawn, Given


@dataclass(slots=True, eq=False)
class _Drawing:
    """One request of the engine's, and how many wait for it.

    id: as the engine knows it, which may still hold the last one of a caller that asks again.
    """

    id: str
    drawn: asyncio.Future[Drawn]
    waiting: int = 0


class Callers:
    """Those who wait for one engine, in one event loop.

    `draw` joins equal requests: the same parameters, seed included, the same given picture and
    priority. What has a deadline is drawn for itself, since its own time decides whether it is let
    in and when it is dropped; so is what is told of its way.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._joinable: dict[Hashable, _Drawing] = {}
        self._following: Future[None] | None = None
        self._numbers = count(1)

    async def draw(
        self,
        request_id: str,
        params: GenerationParams,
        given: Given | None = None,
        terms: Terms = NO_HURRY,
    ) -> Drawn:
        """The pictures, under this caller's own id; its warnings and times are the drawing's.

        Raises what `Engine.submit` raises and what its future fails with, an error of its own for
        each caller. Cancelled, it leaves the drawing to those who wait for it too; the last one
        stops it within a step.
        """
        await self._hold_styles(params)
        key = _key(params, given, terms)
        drawing = self._joinable.get(key)
        if drawing is None:
            drawing = self._begin(request_id, params, given, terms)
            if key is not None:
                self._joinable[key] = drawing
                drawing.drawn.add_done_callback(lambda _: self._close(key, drawing))
        drawing.waiting += 1
        try:
            drawn = await asyncio.shield(drawing.drawn)
        except RequestError as error:
            raise copy(error) from None
        except asyncio.CancelledError:
            drawing.waiting -= 1
            if not drawing.waiting:
                self._close(key, drawing)  # whoever asks from now on is drawn anew
                await self._stop(drawing)
            raise
        return replace(drawn, id=request_id)

    async def draw_told(
        self,
        request_id: str,
        params: GenerationParams,
        given: Given | None = None,
        terms: Terms = NO_HURRY,
    ) -> AsyncGenerator[Event | Drawn, None]:
        """The same for one caller alone, telling of the way: events as they happen, the pictures
        last. Closing the iterator stops the drawing within a step."""
        await self._hold_styles(params)
        loop = asyncio.get_running_loop()
        events: asyncio.Queue[Event | None] = asyncio.Queue()  # bounded by one request's steps

        def tell(event: Event) -> None:
            loop.call_soon_threadsafe(events.put_nowait, event)

        drawing = self._begin(request_id, params, given, terms, tell)
        drawing.drawn.add_done_callback(lambda _: events.put_nowait(None))
        try:
            while event := await events.get():
                yield event
            yield replace(drawing.drawn.result(), id=request_id)
        finally:
            if not drawing.drawn.done():  # the listener has left
                await self._stop(drawing)

    async def follow_styles(self) -> None:
        """Hold the added styles that the folder says now; those who ask at a time ask together.

        Raises what `Engine.follow_styles` raises and its future fails with.
        """
        following = self._following
        if following is None or following.running() or following.done():
            following = self._following = self._engine.follow_styles()
        await asyncio.shield(asyncio.wrap_future(following))

    async def _hold_styles(self, params: GenerationParams) -> None:
        """Look for added styles that this replica was not told of."""
        if not self._engine.holds(params):
            await self.follow_styles()

    def _begin(
        self,
        request_id: str,
        params: GenerationParams,
        given: Given | None,
        terms: Terms,
        sink: Sink | None = None,
    ) -> _Drawing:
        own_id = f"{request_id}/{next(self._numbers)}"
        drawn = asyncio.wrap_future(self._engine.submit(own_id, params, given, terms, sink))
        drawn.add_done_callback(_look)
        return _Drawing(own_id, drawn)

    def _close(self, key: Hashable, drawing: _Drawing) -> None:
        """Let nobody join any more."""
        if self._joinable.get(key) is drawing:
            del self._joinable[key]

    async def _stop(self, drawing: _Drawing) -> None:
        """Cancel it, and wait until the device has let go: so long its caller keeps its place."""
        self._engine.cancel(drawing.id)
        await asyncio.wait([drawing.drawn])


def _key(params: GenerationParams, given: Given | None, terms: Terms) -> Hashable:
    """What requests that may be joined have in common; None for one that may not."""
    if terms.deadline_s is not None or (given is not None and given.digest is None):
        return None
    return params, given and given.digest, terms.priority


def _look(drawn: asyncio.Future[Drawn]) -> None:
    """Take note of a failure that everyone has left: asyncio would log it as forgotten."""
    if not drawn.cancelled():
        drawn.exception()
