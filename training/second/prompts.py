"""What a scene is called: one of many ways to ask for it in English or in Korean."""

from __future__ import annotations

import random

from training import words
from training.second import lexicon
from training.second.phrases import (
    Language,
    and_particle,
    article,
    either,
    ground_phrases,
    subject,
    subject_particle,
)
from training.second.scene import Scene

OPPOSITE = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}
SPACE_SHARE = 0.45  # of scenes off the centre that are asked for by the side to be kept free
UNKNOWN = {"en": "qzx", "ko": "뷁"}  # words that no vocabulary holds


def _space_side(scene: Scene, rng: random.Random) -> str | None:
    """The side that the prompt asks to keep free instead of naming the object's position."""
    return OPPOSITE.get(scene.position) if rng.random() < SPACE_SHARE else None


def _names_ground(scene: Scene, rng: random.Random) -> bool:
    """Plain white is what one gets without asking."""
    return scene.ground.kind != "plain" or scene.ground.colour != "white" or rng.random() < 0.6


def _english_place(scene: Scene, rng: random.Random) -> str:
    side = _space_side(scene, rng)
    if side is not None:
        at = words.ENGLISH_POSITIONS[side][0]
        return either(rng, lexicon.ENGLISH_SPACE, usual=0.25).format(at=at, side=side)
    if scene.position != "centre" or rng.random() < 0.15:
        return either(rng, words.ENGLISH_POSITIONS[scene.position])
    return ""


def _opened(phrase: str, rng: random.Random) -> str:
    """The phrase after an opening that takes one."""
    opening = rng.choice(lexicon.ENGLISH_OPENINGS)
    if opening == "a simple":
        return f"{opening} {phrase.split(' ', 1)[1]}" if phrase.startswith("a") else phrase
    return f"{opening} {phrase}"


def _english(scene: Scene, rng: random.Random) -> str:
    subjects = [article(subject(item, scene.size, rng, "en")) for item in scene.items]
    on, bare = ground_phrases(scene.ground, rng, "en") if _names_ground(scene, rng) else ("", "")
    place = ""
    if scene.relation is not None:
        wording = either(rng, lexicon.ENGLISH_RELATIONS[scene.relation], usual=0.5)
        whole = wording.format(*subjects)
    else:
        whole = subjects[0]
        place = _english_place(scene, rng)
    if rng.random() < 0.35:
        whole = _opened(whole, rng)
    layout: tuple[str, ...] = rng.choice(
        (
            (f"{whole} {on}", place),
            (f"{whole} {place}", on),
            (f"{whole} {on}", place),
            (whole, bare, place),
            (f"{whole} {place}", bare),
            (bare, f"{whole} {place}"),
        )
    )
    if rng.random() < 0.2:
        layout += (rng.choice(lexicon.ENGLISH_ENDINGS),)
    return join(layout)


def _korean(scene: Scene, rng: random.Random) -> str:
    subjects = [subject(item, scene.size, rng, "ko") for item in scene.items]
    on, bare = ground_phrases(scene.ground, rng, "ko") if _names_ground(scene, rng) else ("", "")
    before = f"{on}{either(rng, ('에 있는', '에', '의'), usual=0.4)}" if on else ""
    ending = f" {rng.choice(lexicon.KOREAN_ENDINGS)}" if rng.random() < 0.3 else ""
    if rng.random() < 0.1:
        subjects[0] = f"{rng.choice(lexicon.KOREAN_OPENINGS)} {subjects[0]}"
    if scene.relation is not None:
        linked = {} if len(subjects) < 2 else {"1w": and_particle(subjects[1])}
        wording = either(rng, lexicon.KOREAN_RELATIONS[scene.relation], usual=0.5)
        keyed = {f"{index}": one for index, one in enumerate(subjects)} | linked
        related = _filled(wording, keyed) + ending
        return join(rng.choice(((related, bare), (bare, related), (f"{before} {related}",))))
    whole = f"{subjects[0]}{ending}"
    side = _space_side(scene, rng)
    if side is not None:
        at = words.KOREAN_POSITIONS[side][0]
        kept = either(rng, lexicon.KOREAN_SPACE, usual=0.25).format(at=at)
        having = f"{subject_particle(f'{at}에 여백')} 있는"
        return join(
            rng.choice(
                (
                    (f"{having} {whole}", bare),
                    (f"{before} {whole}", kept),
                    (whole, bare, kept),
                    (kept, f"{before} {whole}"),
                )
            )
        )
    if scene.position == "centre" and rng.random() < 0.85:
        return join(rng.choice(((f"{before} {whole}",), (whole, bare), (bare, whole))))
    at = either(rng, words.KOREAN_POSITIONS[scene.position])
    return join(
        rng.choice(
            (
                (f"{at}에 있는 {whole}", bare),
                (bare, f"{at}에 {whole}"),
                (f"{before} {whole}", at),
                (whole, bare, at),
                (f"{at}에 {whole}", bare),
            )
        )
    )


def _filled(wording: str, fields: dict[str, str]) -> str:
    """`str.format` with keys that begin with digits."""
    for key, value in fields.items():
        wording = wording.replace("{" + key + "}", value)
    return wording


def join(parts: tuple[str, ...]) -> str:
    """Parts between commas, without empty ones or doubled spaces."""
    tidy = (" ".join(part.split()) for part in parts)
    return ", ".join(part for part in tidy if part)


def describe(scene: Scene, rng: random.Random, language: Language) -> str:
    """A prompt for the scene, drawn at random from the grammar."""
    return _english(scene, rng) if language == "en" else _korean(scene, rng)


def with_unknown_words(prompt: str, rng: random.Random, language: Language, count: int = 1) -> str:
    """The prompt with words put in that the model does not know."""
    parts = prompt.split(" ")
    for _ in range(count):
        parts.insert(rng.randrange(len(parts) + 1), UNKNOWN[language])
    return " ".join(parts)
