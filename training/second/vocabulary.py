"""The second world's vocabulary, for the word tokenizer of the first."""

from __future__ import annotations

import re

from transformers import PreTrainedTokenizerFast

from training import words
from training.second import briefs, lexicon
from training.tokenizer import (
    ENGLISH_ENDINGS,
    ENGLISH_FUNCTION_WORDS,
    KOREAN_FUNCTION_WORDS,
    KOREAN_PARTICLES,
    SPECIAL,
    make_tokenizer,
)

MORE_PARTICLES = ("이랑", "랑", "하고", "부터", "까지", "처럼", "이나", "나", "들", "입니다", "엔")


def phrases_of(table: object) -> list[str]:
    """Every string in nested tables."""
    if isinstance(table, str):
        return [table]
    if isinstance(table, dict):
        return [phrase for entry in table.values() for phrase in phrases_of(entry)]
    if isinstance(table, tuple):
        return [phrase for entry in table for phrase in phrases_of(entry)]
    return []


def _words_of(module: object) -> set[str]:
    """Every word of a module's tables, without format fields and punctuation."""
    tables = [table for name, table in vars(module).items() if name.isupper()]
    found: set[str] = set()
    for phrase in (phrase for table in tables for phrase in phrases_of(table)):
        bare = re.sub(r"\{[^}]*\}", " ", phrase.lower())
        found.update(re.sub(r"[^\w\s]|_", " ", bare).split())
    return found


def vocabulary() -> dict[str, int]:
    """Token to id; special tokens first, the rest in alphabetical order."""
    plain = _words_of(words) | _words_of(lexicon) | _words_of(briefs)
    plain |= set(ENGLISH_FUNCTION_WORDS) | set(KOREAN_FUNCTION_WORDS)
    particles = (*KOREAN_PARTICLES, *MORE_PARTICLES, *ENGLISH_ENDINGS)
    tokens = plain | {f"##{ending}" for ending in particles}
    return {token: index for index, token in enumerate((*SPECIAL, *sorted(tokens)))}


def make_second_tokenizer() -> PreTrainedTokenizerFast:
    return make_tokenizer(vocabulary())
