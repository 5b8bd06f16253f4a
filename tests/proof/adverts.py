"""Adverts to be read back: realistic copy over pictures of many kinds, in every file format."""

import io
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from deployments.postprocess.finish import finish_picture
from deployments.postprocess.schema.overlay import OverlaySpec
from deployments.postprocess.schema.placements import Output
from deployments.postprocess.schema.reports import OverlayReport
from tests.unit.postprocess.pictures import disc, noise, plain

KOREAN = (
    ("여름 한정 신메뉴 출시", "시원한 수박 주스를 오늘 바로 만나보세요", "지금 주문하기"),
    ("갓 구운 빵의 아침", "매일 새벽 다섯 시에 반죽을 시작합니다", "매장 찾기"),
    ("봄맞이 전 품목 할인", "가벼운 재킷부터 편안한 운동화까지 준비했습니다", "할인 보러 가기"),
    ("주말에는 바다로", "강릉 왕복 기차표와 숙소를 한 번에 예약하세요", "예약하기"),
    ("아이와 함께하는 체험 교실", "도자기 만들기와 천연 염색을 배워 보세요", "신청하기"),
    ("새로 문을 열었습니다", "동네에서 가장 조용한 책방과 커피 한 잔", "길 안내"),
    ("피부가 쉬는 시간", "민감한 피부를 위한 순한 수분 크림", "자세히 보기"),
    ("제주 감귤 직배송", "농장에서 수확한 그날 바로 보내드립니다", "구매하기"),
    ("겨울을 준비하는 방법", "가볍고 따뜻한 거위털 이불을 소개합니다", "둘러보기"),
    ("한 그릇에 담은 정성", "오랜 시간 끓여 낸 진한 곰탕과 깍두기", "포장 주문"),
)
ENGLISH = (
    ("Fresh from the oven", "Hand rolled croissants every single morning", "Order now"),
    ("Summer starts here", "Light jackets and easy shoes for long evenings", "Shop the sale"),
    ("Sleep better tonight", "Breathable cotton sheets that stay cool", "Learn more"),
    ("Weekend by the sea", "Return train and two nights from our harbour hotel", "Book a room"),
    ("Grand opening", "The quiet bookshop with good coffee around the corner", "Find us"),
    ("Made to last", "Leather bags cut and stitched in our own workshop", "See the bags"),
    ("Learn to paint", "Small evening classes for complete beginners", "Join today"),
    ("Taste the harvest", "Apples picked at dawn and delivered by noon", "Get a box"),
)
_LANGS = {"kor": KOREAN, "eng": ENGLISH}
_BACKINGS = ("auto", "plate", "scrim", "auto", "shadow", "outline")
_FORMATS = ("jpeg", "png", "webp", "avif", "jpeg")
_POSITIONS = ("auto", "top_left", "auto", "bottom", "center", "auto", "bottom_right")


@dataclass(frozen=True)
class Advert:
    """A finished advert as a checker gets it: the file's pixels, the clean picture, the report."""

    lang: str
    delivered: NDArray[np.uint8]
    clean: NDArray[np.uint8]
    report: OverlayReport
    texts: tuple[str, ...]


def pictures() -> list[NDArray[np.uint8]]:
    """Photographs and drawings, calm and busy, light and dark."""
    photographs = [data.coffee(), data.astronaut(), data.chelsea(), data.rocket()]
    scaled = [cv2.resize(one, (1000, 800), interpolation=cv2.INTER_AREA) for one in photographs]
    return [
        *scaled,
        disc(800, 1000, (0.7, 0.7), 0.24),
        plain(900, 900, (30, 60, 80)),
        np.ascontiguousarray(noise(800, 800, 5) // 3 + 120),
        plain(720, 900, (246, 244, 238)),
    ]


def draw(
    texts: tuple[str, ...],
    lang: str,
    picture: NDArray[np.uint8],
    backing: str = "auto",
    position: str = "auto",
    file_format: str = "jpeg",
) -> Advert:
    """Set a headline, a line below it and a button; encode, and decode again."""
    roles = ("headline", "sub", "cta")
    layers = [
        {"role": role, "text": text} | ({"backing": backing} if role != "cta" else {})
        for role, text in zip(roles, texts, strict=False)
    ]
    spec = OverlaySpec.model_validate({"layers": layers, "position": position})
    done = finish_picture(picture, spec, None, Output(file_format), {})  # type: ignore[arg-type]
    assert done.report is not None
    delivered = np.asarray(Image.open(io.BytesIO(done.data)).convert("RGB"))
    return Advert(lang, delivered, picture, done.report, texts)


def altered(text: str, rng: random.Random) -> str:
    """`text` with one syllable of it altered by one letter: its first, its vowel or its last."""
    at = rng.choice([at for at, char in enumerate(text) if "가" <= char <= "힣"])
    code = ord(text[at]) - ord("가")
    parts = [code // 588, code // 28 % 21, code % 28]
    part = rng.randrange(3)
    parts[part] = rng.choice([n for n in range((19, 21, 28)[part]) if n != parts[part]])
    first, vowel, last = parts
    return text[:at] + chr(ord("가") + (first * 21 + vowel) * 28 + last) + text[at + 1 :]


def campaign(lang: str, count: int) -> Iterator[Advert]:
    """`count` adverts of one language; copy, pictures, backings, places and formats all vary."""
    grounds = pictures()
    rounds = zip(
        cycle(_LANGS[lang]), cycle(grounds), cycle(_BACKINGS), cycle(_POSITIONS), cycle(_FORMATS),
        strict=False,
    )  # fmt: skip
    for number, (texts, _, backing, position, kind) in enumerate(islice(rounds, count)):
        # Another picture each time the copy comes round again.
        ground = grounds[(number + number // len(_LANGS[lang])) % len(grounds)]
        yield draw(texts, lang, ground, backing, position, kind)
