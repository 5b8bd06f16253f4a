"""What was asked for is what stands on the picture: read back by tesseract from the file itself."""

import random
from collections.abc import Sequence

import numpy as np
import pytest

from tests.proof.adverts import KOREAN, Advert, altered, campaign, draw, pictures
from tests.proof.reading import Line, accuracy, agrees, lines, read

ADVERTS = 32  # of each language
TRIALS = 100


def readings(adverts: Sequence[Advert]) -> list[dict[int, list[tuple[str, ...]]]]:
    """For each advert, each layer's lines in all their readings."""
    found: list[Line] = []
    where: list[tuple[int, int]] = []
    for number, advert in enumerate(adverts):
        for layer in advert.report.layers:
            cut = lines(advert.delivered, advert.clean, layer, advert.lang)
            found += cut
            where += [(number, layer.index)] * len(cut)
    told: list[dict[int, list[tuple[str, ...]]]] = [{} for _ in adverts]
    for (number, index), line in zip(where, read(found), strict=True):
        told[number].setdefault(index, []).append(line)
    return told


@pytest.mark.parametrize(("lang", "least"), [("kor", 0.97), ("eng", 0.99)])
def test_words_are_read_back_from_delivered_adverts(lang: str, least: float) -> None:
    adverts = list(campaign(lang, ADVERTS))
    scores = [
        accuracy("".join(line[0] for line in told.get(index, [])), text)
        for advert, told in zip(adverts, readings(adverts), strict=True)
        for index, text in enumerate(advert.texts)
    ]
    assert len(scores) == 3 * ADVERTS
    assert np.mean(scores) >= least


def test_one_altered_syllable_is_detected() -> None:
    rng = random.Random(0)
    grounds = pictures()
    adverts, false = [], []
    for trial in range(TRIALS):
        texts = list(KOREAN[trial % len(KOREAN)][:2])
        false.append(trial // len(KOREAN) % 2)
        texts[false[-1]] = altered(texts[false[-1]], rng)
        backing = ("auto", "plate", "scrim", "shadow", "outline")[trial % 5]
        ground = grounds[rng.randrange(len(grounds))]
        adverts.append(draw(tuple(texts), "kor", ground, backing))
    detected = alarms = 0
    for trial, told in enumerate(readings(adverts)):
        claimed = KOREAN[trial % len(KOREAN)]
        detected += not agrees(told.get(false[trial], []), claimed[false[trial]])
        alarms += not agrees(told.get(1 - false[trial], []), claimed[1 - false[trial]])
    assert detected >= 0.95 * TRIALS
    assert alarms <= 0.35 * TRIALS  # or detection would mean nothing


def test_an_altered_syllable_is_another_one() -> None:
    rng = random.Random(1)
    for _ in range(50):
        other = altered("할인 50%", rng)
        assert sum(a != b for a, b in zip(other, "할인 50%", strict=True)) == 1


def test_readings_agree_only_if_they_make_up_the_words() -> None:
    assert agrees([("여 름", "어름"), ("할인", "활인")], "여름 할인")
    assert not agrees([("어름",), ("할인",)], "여름 할인")
    assert not agrees([("여름",)], "여름 할인")
    assert not agrees([("여름",), ("할인",), ("끝",)], "여름 할인")
    assert accuracy("여름할일", "여름 할인") == 0.75
    assert accuracy("", "여름") == 0


def test_a_missing_tesseract_is_an_error_that_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RuntimeError, match="apt-get install tesseract-ocr tesseract-ocr-kor"):
        read([])
