"""Long prompts, as agents and clients send them: the scene's description among other sentences."""

from __future__ import annotations

import random

from training.second.phrases import Language
from training.second.prompts import describe, with_unknown_words
from training.second.scene import Scene

UNKNOWN_WORDS = 4  # at most, in one brief
ENGLISH_FILLERS: tuple[str, ...] = (
    "We are a small shop and need a picture for our spring sale.",
    "The image should look clean, modern and professional.",
    "High quality, sharp focus, studio lighting, soft shadow, very detailed.",
    "Please do not add any text, the copy will be set later.",
    "It will be shown on instagram and on our website.",
    "The mood should be fresh, warm and friendly.",
    "Keep the composition simple so that the product stands out.",
    "Our customers are young families who like good design.",
    "Use an elegant style with balanced proportions.",
    "This is for an advert that runs next week.",
    "No people, no logos, no watermark, no frame.",
    "The offer starts on monday and ends on sunday.",
    "Make the subject the hero of the picture.",
    "The light should be even and the edges crisp.",
    "We want viewers to notice the product at first sight.",
    "A premium look, but not too serious.",
    "Commercial photography, award winning, 4k, realistic.",
    "Think of a catalogue page or a shop window.",
    "The brand is playful and honest.",
    "Avoid clutter and avoid anything that distracts.",
)
KOREAN_FILLERS: tuple[str, ...] = (
    "작은 가게의 봄 세일 광고에 쓸 이미지입니다.",
    "깔끔하고 모던한 느낌으로 부탁드립니다.",
    "고화질, 선명한 초점, 스튜디오 조명, 부드러운 그림자.",
    "글자는 나중에 넣을 예정이니 넣지 말아 주세요.",
    "인스타그램과 홈페이지에 올릴 사진입니다.",
    "따뜻하고 친근한 분위기를 원합니다.",
    "상품이 돋보이도록 구도는 단순하게 해 주세요.",
    "고객은 디자인을 좋아하는 젊은 가족입니다.",
    "우아하고 균형 잡힌 스타일을 사용해 주세요.",
    "다음 주에 시작하는 광고에 사용됩니다.",
    "사람, 로고, 워터마크는 없어야 합니다.",
    "행사는 월요일에 시작해서 일요일에 끝납니다.",
    "상품을 주인공으로 만들어 주세요.",
    "빛은 고르고 윤곽은 또렷해야 합니다.",
    "한눈에 상품이 보이면 좋겠습니다.",
    "고급스럽지만 너무 무겁지 않게.",
    "상업 사진, 전문가 품질, 사실적인 표현.",
    "카탈로그나 쇼윈도를 생각해 주세요.",
    "브랜드는 밝고 정직합니다.",
    "산만한 요소는 피해 주세요.",
)
FILLERS: dict[Language, tuple[str, ...]] = {"en": ENGLISH_FILLERS, "ko": KOREAN_FILLERS}


def brief(scene: Scene, rng: random.Random, language: Language, sentences: int) -> str:
    """The scene's description in a place of its own among `sentences` others, 0 to 20."""
    fillers = rng.sample(FILLERS[language], min(sentences, len(FILLERS[language])))
    told = describe(scene, rng, language)
    fillers = [with_unknown_words(one, rng, language, 1) if rng.random() < 0.15 else one
               for one in fillers]  # fmt: skip
    fillers.insert(rng.randrange(len(fillers) + 1), f"{told}.")
    return " ".join(fillers)
