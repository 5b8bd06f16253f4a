"""Embeddings of the prompts asked for last, so that a repeated prompt encodes nothing."""

from collections import OrderedDict

from deployments.diffusion.families import Encoding


class EncodingCache:
    """Least recently used encodings out first, bounded in bytes. For the device thread alone.

    hits, misses: lookups so far, by their outcome.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        self.hits = 0
        self.misses = 0
        self._encodings: OrderedDict[str, Encoding] = OrderedDict()

    def get(self, prompt: str) -> Encoding | None:
        """The prompt's encoding if it is kept."""
        encoding = self._encodings.get(prompt)
        if encoding is None:
            self.misses += 1
            return None
        self.hits += 1
        self._encodings.move_to_end(prompt)
        return encoding

    def put(self, prompt: str, encoding: Encoding) -> None:
        """Keep a new encoding, at the cost of the oldest ones; one too large is not kept."""
        size = encoding.embedding.nbytes
        if size > self.max_bytes:
            return
        self._encodings[prompt] = encoding
        self.bytes += size
        while self.bytes > self.max_bytes:
            _, oldest = self._encodings.popitem(last=False)
            self.bytes -= oldest.embedding.nbytes
