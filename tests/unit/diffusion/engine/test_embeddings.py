"""The cache of encodings: bounded in bytes, the least recently used out first."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from deployments.diffusion.engine.preparation import EmbeddingCache
from deployments.diffusion.families.base import EncodedPrompt
from deployments.diffusion.request.request import Embedding


def test_pooled_vectors_count() -> None:
    assert Embedding(torch.zeros(3, 2), torch.zeros(4)).nbytes == 4 * (6 + 4)


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(1, 12)), max_size=60),
    st.integers(0, 100),
)
def test_the_bytes_are_bounded_and_the_latest_is_kept(
    asked: list[tuple[str, int]], max_bytes: int
) -> None:
    cache = EmbeddingCache(max_bytes)
    recent: list[str] = []
    sizes: dict[str, int] = {}
    for prompt, length in asked:
        encoding = cache.get(prompt)
        assert (encoding is not None) == (prompt in recent)
        if encoding is not None:
            recent.remove(prompt)
            recent.append(prompt)
            continue
        cache.put(prompt, EncodedPrompt(Embedding(torch.zeros(length, 2)), ()))
        if length * 8 <= max_bytes:
            recent.append(prompt)
            sizes[prompt] = length * 8
        while sum(sizes[p] for p in recent) > max_bytes:
            recent.pop(0)
        assert cache.bytes == sum(sizes[p] for p in recent) <= max_bytes
    assert cache.hits + cache.misses == len(asked)
