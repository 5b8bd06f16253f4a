"""Parts of prompts: colours, subjects and grounds as phrases of either language."""

from __future__ import annotations

import random
from typing import Literal

from training import words
from training.second import lexicon
from training.second.scene import Ground, Item

Language = Literal["en", "ko"]
LANGUAGES: tuple[Language, ...] = ("en", "ko")


def either(rng: random.Random, options: tuple[str, ...], usual: float = 0.6) -> str:
    """The first option with probability `usual`, else any."""
    return options[0] if rng.random() < usual else rng.choice(options)


def article(phrase: str) -> str:
    return f"an {phrase}" if phrase[0] in "aeiou" else f"a {phrase}"


def has_final(phrase: str) -> bool:
    """Whether a Korean phrase ends in a consonant, which chooses its particle."""
    last = phrase[-1]
    return "가" <= last <= "힣" and (ord(last) - ord("가")) % 28 > 0


def subject_particle(phrase: str) -> str:
    return phrase + ("이" if has_final(phrase) else "가")


def and_particle(phrase: str) -> str:
    return phrase + ("과" if has_final(phrase) else "와")


def colour_phrase(colour: str, rng: random.Random, language: Language, noun: bool = False) -> str:
    """A colour of the catalogue in words; Korean as a noun where a particle follows."""
    shade, _, base = colour.rpartition(" ")
    if language == "en":
        shades = lexicon.ENGLISH_SHADES
        name = either(rng, words.ENGLISH_COLOURS[base])
    else:
        shades = lexicon.KOREAN_SHADES
        usual = words.KOREAN_COLOURS[base]
        name = lexicon.KOREAN_COLOUR_NOUNS[base] if noun else either(rng, usual)
    return f"{either(rng, shades[shade])} {name}" if shade else name


def subject(item: Item, size: str, rng: random.Random, language: Language) -> str:
    """Size, colour and name, without an article."""
    english = language == "en"
    names = lexicon.ENGLISH_NAMES if english else lexicon.KOREAN_NAMES
    sizes = words.ENGLISH_SIZES if english else words.KOREAN_SIZES
    colour = item.colour
    if colour is None and rng.random() < 0.12:
        colour = lexicon.OWN_COLOURS.get(item.name)
    parts = (
        rng.choice(sizes[size]),
        "" if colour is None else colour_phrase(colour, rng, language),
        either(rng, names[item.name], usual=0.75),
    )
    return " ".join(part for part in parts if part)


class _Articled(str):
    """A phrase that a format's `:a` puts an article before."""

    def __format__(self, spec: str) -> str:
        return article(self) if spec == "a" else str(self)


def ground_phrases(ground: Ground, rng: random.Random, language: Language) -> tuple[str, str]:
    """The ground after a subject (English) or before a particle (Korean), and on its own."""
    table = lexicon.ENGLISH_GROUNDS if language == "en" else lexicon.KOREAN_GROUNDS
    attached, bare = rng.choice(table[ground.kind])
    second = ground.second or ground.colour
    fields = {
        "a": _Articled(colour_phrase(ground.colour, rng, language)),
        "b": _Articled(colour_phrase(second, rng, language)),
        "an": colour_phrase(ground.colour, rng, language, noun=True),
        "bn": colour_phrase(second, rng, language, noun=True),
    }
    return attached.format(**fields), bare.format(**fields)
