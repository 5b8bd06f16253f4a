"""From a request to its rows: prompts encoded, latents started, all within the device's memory."""

from collections import OrderedDict
from functools import partial

import numpy as np
from numpy.typing import NDArray

from deployments.diffusion.families import EncodedPrompt, Family
from deployments.diffusion.memory import Recovery
from deployments.diffusion.request import Embedding, Mix, Request, Row
from deployments.errors import ReplicaDown, RequestError
from deployments.handover import Given, Reference

AsRead = tuple[str, Mix, tuple[str, ...]]
"""A prompt, and what has a say in how it is read: styles, and digests of references."""


class EmbeddingCache:
    """Least recently used encodings out first, bounded in bytes. For the device thread alone.

    hits, misses: lookups so far, by their outcome.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        self.hits = 0
        self.misses = 0
        self._embeddings: OrderedDict[AsRead, EncodedPrompt] = OrderedDict()

    def get(self, prompt: AsRead) -> EncodedPrompt | None:
        """The prompt's encoding if it is kept."""
        encoding = self._embeddings.get(prompt)
        if encoding is None:
            self.misses += 1
            return None
        self.hits += 1
        self._embeddings.move_to_end(prompt)
        return encoding

    def put(self, prompt: AsRead, encoding: EncodedPrompt) -> None:
        """Keep a new encoding, at the cost of the oldest ones; one too large is not kept."""
        size = encoding.embedding.nbytes
        if size > self.max_bytes:
            return
        self._embeddings[prompt] = encoding
        self.bytes += size
        while self.bytes > self.max_bytes:
            _, oldest = self._embeddings.popitem(last=False)
            self.bytes -= oldest.embedding.nbytes


class Preparation:
    """What happens to a request before its first step. For the device thread alone."""

    def __init__(
        self,
        family: Family,
        encodings: EmbeddingCache,
        recovery: Recovery,
    ) -> None:
        self._family = family
        self._embeddings = encodings
        self._recovery = recovery

    def rows(self, request: Request) -> list[Row]:
        """One a picture. Raises InvalidValue and OutOfMemory for this request alone."""
        params, family = request.params, self._family
        require_held(family.components.adapters.has(request.mix))
        embedding = self._encode(request, "prompt", request.prompt)
        guided = family.guided(params)
        unwanted = params.negative_prompt or ""
        negative = self._encode(request, "negative_prompt", unwanted) if guided else None
        request.lap("encode")
        first = request.passes[0]
        given = request.given
        begin = partial(family.start, first.params, given)
        if given is None:
            starts = self._recovery.run("start", request, begin)
        else:
            starts = self._recovery.by_vae("start", request, _largest(given), begin)
        redrawn = given is not None and given.picture is not None and given.mask is None
        if redrawn and family.ignores_picture(starts[0]):
            request.warn(
                f"strength: {params.strength} at {params.num_inference_steps} steps starts from "
                "pure noise: the given picture is ignored"
            )
        request.lap("start")
        return [
            Row(
                request=request,
                sigmas=start.sigmas,
                latents=start.latents,
                embedding=embedding,
                negative=negative,
                inpainting=start.inpainting,
                lengths=family.lengths(start, embedding, negative),
                batch_key=family.batch_key(start),
                passes=request.passes,
                generator=start.generator,
                references=start.references,
                reference_tokens=start.reference_tokens,
            )
            for start in starts
        ]

    def _encode(self, request: Request, field: str, text: str) -> Embedding:
        """The embedding of a field's text, of which errors and warnings tell."""
        adapters = self._family.components.adapters
        readers = adapters.reading(request.mix)
        seen: tuple[Reference, ...] = ()
        if request.given is not None and self._family.prompt_sees_references:
            seen = request.given.references
        digests = tuple(one.digest for one in seen if one.digest is not None)
        as_read = (text, readers, digests)
        kept = len(digests) == len(seen)
        encoding = self._embeddings.get(as_read) if kept else None
        if encoding is None:
            encode = partial(self._family.encode, text, seen)
            try:
                with adapters.worn([readers]):  # a prompt is read alone
                    encoding = self._recovery.run("encode", request, encode)
            except RequestError as error:
                message = _told_of(field, error.message)
                raise type(error)(message, field, error.code) from None
            if kept:
                self._embeddings.put(as_read, encoding)
        request.warn(*(_told_of(field, warning) for warning in encoding.warnings))
        return encoding.embedding


def require_held(held: bool) -> None:
    """Raise ReplicaDown unless all styles of a request are held here."""
    if not held:
        raise ReplicaDown(
            "style: it was removed or replaced this very moment, or has found no room here; "
            "ask again",
            "style",
            "style_not_held",
        )


def _told_of(field: str, said: str) -> str:
    """What is said of a prompt, "prompt: ...", of the field that was read as one."""
    return field + said.removeprefix("prompt")


def _largest(given: Given) -> int:
    """Pixels of the largest of the given pictures, which the VAE encodes one by one."""
    pictures = [one.picture for one in given.references]
    if given.picture is not None:
        pictures.append(given.picture)
    return max(picture.size // 3 for picture in pictures)


def paste_back(picture: NDArray[np.uint8], given: Given | None) -> NDArray[np.uint8]:
    """The picture over the given one by the mask; what that protects comes back bit-equal."""
    if given is None or given.picture is None or given.mask is None:
        return picture
    repainted = given.mask[..., None].astype(np.uint16)
    mixed = picture * repainted + given.picture * (255 - repainted)
    return ((mixed + 127) // 255).astype(np.uint8)
