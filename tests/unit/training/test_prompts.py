from __future__ import annotations

import random

import pytest

from training import words
from training.models import CAPTION_TOKENS
from training.prompts import (
    LANGUAGES,
    UNKNOWN,
    Language,
    describe,
    subject_particle,
    with_unknown_word,
)
from training.scenes import sample_scene
from training.tokenizer import as_chat, make_tokenizer, unknown_words, vocabulary
from training.world import COLOURS, OBJECTS, POSITIONS, RELATIONS, SHAPES, SIZES, Item, Scene

TOKENIZER = make_tokenizer()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_prompt_is_known_and_short_enough(language: Language) -> None:
    rng = random.Random(1)
    for _ in range(600):
        prompt = describe(sample_scene(rng, held_out=False), rng, language)
        assert unknown_words(TOKENIZER, prompt) == []
        longer = with_unknown_word(prompt, rng, language)
        assert unknown_words(TOKENIZER, longer) == [UNKNOWN[language]]
        assert len(TOKENIZER(as_chat(TOKENIZER, longer)).input_ids) <= CAPTION_TOKENS


def test_every_table_covers_the_world() -> None:
    for table, keys in (
        (words.ENGLISH_OBJECTS, OBJECTS),
        (words.KOREAN_OBJECTS, OBJECTS),
        (words.ENGLISH_SHAPES, SHAPES),
        (words.KOREAN_SHAPES, SHAPES),
        (words.ENGLISH_COLOURS, COLOURS),
        (words.KOREAN_COLOURS, COLOURS),
        (words.ENGLISH_SIZES, SIZES),
        (words.KOREAN_SIZES, SIZES),
        (words.ENGLISH_POSITIONS, POSITIONS),
        (words.KOREAN_POSITIONS, POSITIONS),
        (words.ENGLISH_RELATIONS, RELATIONS),
        (words.KOREAN_RELATIONS, RELATIONS),
    ):
        assert set(table) == set(keys)
    assert set(words.OWN_COLOURS) <= set(OBJECTS)


@pytest.mark.parametrize(
    "table",
    [
        {**words.ENGLISH_OBJECTS, **words.ENGLISH_SHAPES},
        {**words.KOREAN_OBJECTS, **words.KOREAN_SHAPES},
        words.ENGLISH_COLOURS,
        words.KOREAN_COLOURS,
    ],
)
def test_no_word_means_two_things(table: dict[str, tuple[str, ...]]) -> None:
    named = [name for names in table.values() for name in names]
    assert len(named) == len(set(named))


def test_copy_space_is_opposite_to_the_object() -> None:
    scene = Scene((Item("cat"),), "blue", position="left")
    rng = random.Random(0)
    english = [describe(scene, rng, "en") for _ in range(100)]
    spaced = [prompt for prompt in english if "space" in prompt or "room" in prompt]
    assert spaced
    assert all("right" in prompt and "left" not in prompt for prompt in spaced)
    korean = [describe(scene, rng, "ko") for _ in range(100)]
    spaced = [prompt for prompt in korean if "여백" in prompt or "공간" in prompt]
    assert spaced
    assert all("오른쪽" in p and "왼쪽" not in p and "좌측" not in p for p in spaced)


def test_relations_name_the_first_object_first_in_english() -> None:
    scene = Scene((Item("star", "green"), Item("square", "red")), "blue", relation="above")
    for seed in range(20):
        prompt = describe(scene, random.Random(seed), "en")
        assert prompt.index("star") < prompt.index("square")


def test_korean_subject_particles() -> None:
    assert subject_particle("고양이") == "고양이가"
    assert subject_particle("빨간 별") == "빨간 별이"


def test_unknown_words_are_named_as_written() -> None:
    assert unknown_words(TOKENIZER, "A Zebra's cats, on a RED background!") == ["Zebra's"]
    assert unknown_words(TOKENIZER, "파란 호랑이가 고양이의 왼쪽에, 배경") == ["호랑이가"]
    assert unknown_words(TOKENIZER, "") == []


def test_vocabulary_is_small_and_numbered_without_gaps() -> None:
    table = vocabulary()
    assert 300 < len(table) < 700
    assert sorted(table.values()) == list(range(len(table)))
    assert len(TOKENIZER) == len(table)


def test_padding_and_template_suit_the_pipeline() -> None:
    text = as_chat(TOKENIZER, "a cat")
    encoded = TOKENIZER([text], padding="max_length", max_length=8, truncation=True)
    assert encoded.attention_mask == [[1, 1, 1, 1, 0, 0, 0, 0]]
    assert TOKENIZER.convert_ids_to_tokens(encoded.input_ids[0])[:5] == [
        "<|ask|>",
        "a",
        "cat",
        "<|draw|>",
        "[PAD]",
    ]
