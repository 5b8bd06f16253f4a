"""What a scene is called: one of many ways to ask for it in English or in Korean."""

from __future__ import annotations

import random
from typing import Literal

from training import words
from training.world import SHAPES, Item, Scene

Language = Literal["en", "ko"]
LANGUAGES: tuple[Language, ...] = ("en", "ko")
OPPOSITE = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}
UNKNOWN_SHARE = 0.05  # of training captions that hold a word outside the vocabulary
UNKNOWN = {"en": "qzx", "ko": "뷁"}  # words that no vocabulary holds


def _either(rng: random.Random, options: tuple[str, ...], usual: float = 0.6) -> str:
    """The first option with probability `usual`, else any."""
    return options[0] if rng.random() < usual else rng.choice(options)


def _article(phrase: str) -> str:
    return f"an {phrase}" if phrase[0] in "aeiou" else f"a {phrase}"


def subject_particle(phrase: str) -> str:
    """The phrase with 이 after a final consonant, with 가 after a vowel."""
    has_final = (ord(phrase[-1]) - ord("가")) % 28 > 0
    return phrase + ("이" if has_final else "가")


def _named_colour(item: Item, rng: random.Random) -> str | None:
    if item.colour is None and rng.random() < 0.15:
        return words.OWN_COLOURS.get(item.name)
    return item.colour


def _subject(item: Item, size: str, rng: random.Random, language: Language) -> str:
    """Size, colour and name, without an article."""
    english = language == "en"
    if item.name in SHAPES:
        names = words.ENGLISH_SHAPES if english else words.KOREAN_SHAPES
    else:
        names = words.ENGLISH_OBJECTS if english else words.KOREAN_OBJECTS
    sizes = words.ENGLISH_SIZES if english else words.KOREAN_SIZES
    colours = words.ENGLISH_COLOURS if english else words.KOREAN_COLOURS
    colour = _named_colour(item, rng)
    parts = (
        rng.choice(sizes[size]),
        "" if colour is None else _either(rng, colours[colour]),
        _either(rng, names[item.name], usual=0.75),
    )
    return " ".join(part for part in parts if part)


def _space_side(scene: Scene, rng: random.Random) -> str | None:
    """The side that the prompt asks to keep free instead of naming the object's position."""
    return OPPOSITE.get(scene.position) if rng.random() < 0.4 else None


def _names_background(scene: Scene, rng: random.Random) -> bool:
    """White is what one gets without asking."""
    return scene.background != "white" or rng.random() < 0.6


def _english(scene: Scene, rng: random.Random) -> str:
    subjects = [_article(_subject(item, scene.size, rng, "en")) for item in scene.items]
    colour = _either(rng, words.ENGLISH_COLOURS[scene.background])
    on = rng.choice((f"on {_article(colour)} background",) * 4 + (f"on {colour}",))
    bare = f"{colour} background"
    if not _names_background(scene, rng):
        on = bare = ""
    place = ""
    if scene.relation is not None:
        relation = _either(rng, words.ENGLISH_RELATIONS[scene.relation])
        subject = f"{subjects[0]} {relation} {subjects[1]}"
    else:
        subject = subjects[0]
        side = _space_side(scene, rng)
        if side is not None:
            free = words.ENGLISH_POSITIONS[side][0]
            place = f"with {rng.choice(words.ENGLISH_SPACE)} {free}"
        elif scene.position != "centre" or rng.random() < 0.15:
            place = _either(rng, words.ENGLISH_POSITIONS[scene.position])
    if rng.random() < 0.35:
        opening = rng.choice(words.ENGLISH_OPENINGS)
        bare_subject = subject.split(" ", 1)[1]
        subject = f"{opening} {bare_subject if opening == 'a simple' else subject}"
    layout: tuple[str, ...] = rng.choice(
        (
            (f"{subject} {on} {place}",),
            (f"{subject} {place} {on}",),
            (f"{subject} {on}", place),
            (subject, bare, place),
            (f"{subject} {place}", bare),
            (bare, f"{subject} {place}"),
        )
    )
    if rng.random() < 0.15:
        layout += (rng.choice(words.ENGLISH_ENDINGS),)
    return _join(layout)


def _korean(scene: Scene, rng: random.Random) -> str:
    subjects = [_subject(item, scene.size, rng, "ko") for item in scene.items]
    colour = _either(rng, words.KOREAN_COLOURS[scene.background])
    ground = f"{colour} 배경" if _names_background(scene, rng) else ""
    on = f"{ground}{rng.choice((' 위의', '에', '의', ' 위에'))}" if ground else ""
    ending = f" {rng.choice(words.KOREAN_ENDINGS)}" if rng.random() < 0.3 else ""
    if rng.random() < 0.1:
        subjects[0] = f"{rng.choice(words.KOREAN_OPENINGS)} {subjects[0]}"
    if scene.relation is not None:
        first, second = subjects
        relation = _either(rng, words.KOREAN_RELATIONS[scene.relation])
        related = f"{second} {relation}{rng.choice(('에 있는', '의'))} {first}"
        told = f"{subject_particle(first)} {second} {relation}에 있는 그림"
        return _join(
            rng.choice(
                (
                    (f"{related}{ending}", ground),
                    (ground, f"{related}{ending}"),
                    (f"{ground and ground + '에'} {related}{ending}",),
                    (f"{ground and ground + '에서'} {told}",),
                )
            )
        )
    subject = f"{subjects[0]}{ending}"
    side = _space_side(scene, rng)
    if side is not None:
        free = words.KOREAN_POSITIONS[side][0]
        space = rng.choice(words.KOREAN_SPACE)
        kept = f"{free}에 {space}"
        with_space = f"{subject_particle(kept)} 있는"
        return _join(
            rng.choice(
                (
                    (f"{with_space} {subject}", ground),
                    (f"{ground and ground + '의'} {subject}", kept),
                    (subject, ground, kept),
                    (ground, f"{with_space} {subject}"),
                )
            )
        )
    if scene.position == "centre" and rng.random() < 0.85:
        layouts = ((f"{on} {subject}",), (subject, ground), (ground, subject))
        return _join(rng.choice(layouts))
    at = _either(rng, words.KOREAN_POSITIONS[scene.position])
    return _join(
        rng.choice(
            (
                (f"{at}에 있는 {subject}", ground),
                (ground, f"{at}에 {subject}"),
                (f"{ground and ground + ' '}{at}에 있는 {subject}",),
                (f"{ground and ground + '의'} {at}에 {subject}",),
                (subject, ground, at),
                (f"{at}에 {subject}", ground),
            )
        )
    )


def _join(parts: tuple[str, ...]) -> str:
    """Parts between commas, without empty ones or doubled spaces."""
    tidy = (" ".join(part.split()) for part in parts)
    return ", ".join(part for part in tidy if part)


def describe(scene: Scene, rng: random.Random, language: Language) -> str:
    """A prompt for the scene, drawn at random from the grammar."""
    return _english(scene, rng) if language == "en" else _korean(scene, rng)


def with_unknown_word(prompt: str, rng: random.Random, language: Language) -> str:
    """The prompt with a word put in that the model does not know."""
    parts = prompt.split(" ")
    parts.insert(rng.randrange(len(parts) + 1), UNKNOWN[language])
    return " ".join(parts)
