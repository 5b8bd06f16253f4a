"""Captions as tokens: drawn from the grammar, padded to one of few lengths."""

from __future__ import annotations

import random

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from training.second.briefs import brief
from training.second.phrases import LANGUAGES
from training.second.prompts import describe, with_unknown_words
from training.second.scene import Scene
from training.tokenizer import as_chat

MULTIPLE = 32  # the transformer pads captions to multiples of this
UNKNOWN_SHARE = 0.06  # of short captions that hold a word outside the vocabulary
SENTENCES = {32: (0, 0), 64: (1, 3), 256: (6, 20)}  # in a caption of up to so many tokens
LENGTH_SHARES = {32: 0.8, 64: 0.1, 256: 0.1}


def draw_length(rng: random.Random) -> int:
    """How many tokens the captions of a batch are padded to."""
    return rng.choices(list(LENGTH_SHARES), list(LENGTH_SHARES.values()))[0]


def caption_tokens(
    tokenizer: PreTrainedTokenizerFast, scene: Scene, rng: random.Random, length: int
) -> list[int]:
    """A prompt for the scene in either language that fits `length` tokens, padded to it."""
    least, most = SENTENCES[length]
    while True:
        language = rng.choice(LANGUAGES)
        sentences = rng.randint(least, most)
        if sentences:
            prompt = brief(scene, rng, language, sentences)
        else:
            prompt = describe(scene, rng, language)
            if rng.random() < UNKNOWN_SHARE:
                prompt = with_unknown_words(prompt, rng, language)
        tokens: list[int] = tokenizer(as_chat(tokenizer, prompt)).input_ids
        if len(tokens) <= length:
            return tokens + [tokenizer.pad_token_id] * (length - len(tokens))
        most = max(least, sentences - 1)


def caption_batch(
    tokenizer: PreTrainedTokenizerFast, scenes: list[Scene], rng: random.Random, length: int
) -> tuple[Tensor, Tensor]:
    """Tokens (n, length) for scenes, and which of them are not padding."""
    tokens = torch.tensor([caption_tokens(tokenizer, one, rng, length) for one in scenes])
    return tokens, tokens != tokenizer.pad_token_id
