"""The text encoder's last layer is never read: without it embeddings are the same to the bit."""

from pathlib import Path

import pytest
import torch

from deployments.diffusion.families.z_image import SEQUENCE_MULTIPLE, ZImage
from deployments.diffusion.weights.components import SharedComponents
from tests.tiny_checkpoint import tiny_profile


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_embeddings_are_bit_equal_without_the_last_layer(checkpoint: Path, dtype: str) -> None:
    profile = tiny_profile(checkpoint, dtype)
    whole = SharedComponents.load(profile.model)
    ours = SharedComponents.load(profile.model)
    bytes_before = ours.held_bytes
    layer = sum(p.nbytes for p in ours.modules["text_encoder"].layers[-1].parameters())
    family = ZImage(ours, profile.engine.max_prompt_tokens)

    for prompt in ("a red cat", " ".join(["a big house"] * 40)):
        text = ours.tokenizers["tokenizer"].apply_chat_template(
            [{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True
        )
        tokens = ours.tokenizers["tokenizer"](
            [text], return_tensors="pt", padding=True, pad_to_multiple_of=SEQUENCE_MULTIPLE
        )
        real = tokens.attention_mask[0].bool()
        with torch.inference_mode():
            theirs = whole.modules["text_encoder"](
                **tokens.to(ours.device), output_hidden_states=True
            ).hidden_states[-2][0][real]
            embedding = family.encode(prompt).embedding.tokens
        assert torch.equal(embedding, theirs)
    assert bytes_before - ours.held_bytes == layer > 0
