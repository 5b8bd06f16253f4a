from __future__ import annotations

import random

import pytest

from training.second.briefs import brief
from training.second.captions import SENTENCES, caption_tokens
from training.second.catalogue import COLOURS, OBJECTS, SHAPES
from training.second.lexicon import ENGLISH_NAMES, KOREAN_NAMES
from training.second.phrases import LANGUAGES, Language, and_particle, ground_phrases
from training.second.prompts import describe, with_unknown_words
from training.second.reading import NAMES, QUESTIONS, answers
from training.second.scene import Ground, Item, Scene
from training.second.scenes import sample_scene
from training.second.vocabulary import make_second_tokenizer
from training.tokenizer import as_chat, unknown_words

TOKENIZER = make_second_tokenizer()


def test_every_name_is_a_word_of_both_languages() -> None:
    assert set(ENGLISH_NAMES) == set(KOREAN_NAMES) == {*OBJECTS, *SHAPES}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_grammar_uses_no_word_that_the_model_does_not_know(language: Language) -> None:
    rng = random.Random(0)
    for _ in range(400):
        scene = sample_scene(rng, held_out=False)
        assert unknown_words(TOKENIZER, describe(scene, rng, language)) == []
    assert unknown_words(TOKENIZER, "a cat on a qzx table") == ["qzx"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_brief_tells_the_scene_among_other_sentences(language: Language) -> None:
    scene = Scene((Item("laptop"),), Ground("table", "dark brown", "light gray"), position="left")
    told = brief(scene, random.Random(1), language, 14)
    assert told.count(".") >= 14
    name = ENGLISH_NAMES["laptop"] if language == "en" else KOREAN_NAMES["laptop"]
    assert any(one in told for one in name)


def test_two_hundred_tokens_are_read() -> None:
    scene = sample_scene(random.Random(2), held_out=False)
    told = brief(scene, random.Random(2), "en", 20)
    tokens = TOKENIZER(as_chat(TOKENIZER, told)).input_ids
    assert 180 <= len(tokens) <= 256


@pytest.mark.parametrize("length", SENTENCES)
def test_captions_fit_their_length(length: int) -> None:
    rng = random.Random(3)
    for _ in range(20):
        scene = sample_scene(rng, held_out=False)
        assert len(caption_tokens(TOKENIZER, scene, rng, length)) == length


def test_shades_and_both_colours_of_a_ground_are_told() -> None:
    ground = Ground("gradient", "dark blue", "light yellow")
    for attached, bare in (ground_phrases(ground, random.Random(i), "en") for i in range(8)):
        assert "blue" in attached
        assert "yellow" in bare


def test_unknown_words_are_told() -> None:
    prompt = with_unknown_words("a cat", random.Random(0), "en", 2)
    assert unknown_words(TOKENIZER, prompt) == ["qzx", "qzx"]


def test_particles_follow_the_final_consonant() -> None:
    assert and_particle("고양이") == "고양이와"
    assert and_particle("식빵") == "식빵과"


def test_answers_tell_all_items_and_the_ground() -> None:
    items = (Item("cat"), Item("star", "dark red"), Item("cake"))
    scene = Scene(items, Ground("floor", "brown", "white"), relation="row")
    told = dict(zip(QUESTIONS, answers(scene), strict=True))
    assert NAMES[told["third"]] == "cake"
    assert QUESTIONS["second colour"][told["second colour"]] == "dark red"
    assert QUESTIONS["ground second"][told["ground second"]] == "white"
    assert set(COLOURS) < set(QUESTIONS["first colour"])
