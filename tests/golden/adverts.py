"""The adverts held by golden images: pictures made by arithmetic, copy in three languages."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deployments.postprocess.canvas.canvas import Canvas
from deployments.postprocess.canvas.geometry import Rect
from deployments.postprocess.painting.compose import set_words
from deployments.postprocess.schema.overlay import OverlaySpec
from tests.unit.postprocess.pictures import disc, noise, plain

FOLDER = Path(__file__).parent
_KOREAN = [
    {"role": "badge", "text": "오픈 기념"},
    {"role": "headline", "text": "여름 한정 신메뉴 출시, 지금 바로!"},
    {"role": "price", "text": "₩8,900"},
    {"role": "cta", "text": "주문하기 →"},
    {"role": "legal", "text": "일부 품목 제외, 2026.11.30까지"},
]
_ENGLISH = [
    {"role": "headline", "text": "Fresh from the oven", "backing": "outline"},
    {"role": "sub", "text": "Hand-rolled croissants, every morning"},
]
_MIXED = [
    {"role": "headline", "text": "SUMMER SALE 최대 50%"},
    {"role": "sub", "text": "夏の新メニュー、今すぐご予約ください。"},
    {"role": "cta", "text": "Shop now", "fill": "#0a7d4b"},
]
_ARABIC = [
    {"role": "headline", "text": "خصم كبير على مُنتجات الصيف"},
    {"role": "sub", "text": "اشترِ iPhone 17 واحصل على 50% لفترة محدودة"},
    {"role": "price", "text": "٤٩٩ ر.س"},
    {"role": "cta", "text": "اطلب الآن"},
]
_HEBREW = [
    {"role": "headline", "text": "מבצע קיץ: 50% הנחה"},
    {"role": "sub", "text": "שָׁלוֹם לכולם, קונים ב-Shop ומקבלים 2 במחיר 1"},
    {"role": "price", "text": "₪199"},
    {"role": "cta", "text": "הזמינו עכשיו"},
]
_THAI = [
    {"role": "headline", "text": "น้ำผึ้งแท้จากที่นี่ ลดราคาพิเศษวันนี้"},
    {"role": "sub", "text": "ซื้อปั๊มคู่รุ่นใหม่ล่าสุด รับส่วนลดทันทีที่ร้านใกล้บ้านคุณ"},
    {"role": "price", "text": "฿1,290"},
    {"role": "cta", "text": "สั่งซื้อเลย"},
]
_HINDI = [
    {"role": "headline", "text": "त्योहार की ख़ुशियाँ, बड़ी छूट"},
    {"role": "sub", "text": "क्षेत्र के हर घर में मुफ़्त डिलीवरी, ज़िंदगी र्क्रूर नहीं"},
    {"role": "price", "text": "₹499"},
    {"role": "cta", "text": "अभी ख़रीदें"},
]
_EUROPEAN = [
    {"role": "headline", "text": "Świeży chleb każdego ranka"},
    {"role": "sub", "text": "Φρέσκο ψωμί κάθε πρωί, Ώρα για καφέ"},
    {"role": "custom", "text": "Свіжий хліб щоранку, Ґудзик і її кава"},
    {"role": "legal", "text": "Bánh mì Ắ Ộ tươi mỗi sáng"},
]
_TYPE = [
    {
        "role": "badge", "text": "단 3일", "rotate": -10.0,
        "fill": {"from": "#e0342f", "to": "#a0104f"},
    },
    {
        "role": "headline", "text": "겨울 세일 OPEN", "backing": "none",
        "fill": {"from": "#fff2c4", "to": "#ffb347", "angle": 180.0},
        "stroke": {"colour": "#3a1408", "width": 0.08},
        "shadows": [{"x": 0.04, "y": 0.06, "blur": 0.1, "alpha": 0.7}],
    },
    {
        "role": "price", "backing": "glass",
        "spans": [
            {"text": "₩68,000", "scale": 0.55, "weight": 500, "strike": True},
            {"text": " ₩49,000", "fill": "#ffd84d"},
        ],
    },
    {
        "role": "sub", "backing": "glass",
        "spans": [{"text": "Members save "}, {"text": "twice", "weight": 800, "underline": True}],
    },
]  # fmt: skip
ADVERTS: Mapping[str, tuple[NDArray[np.uint8], dict[str, object]]] = {
    "korean_on_plain": (disc(320, 400, (0.68, 0.72), 0.24), {"layers": _KOREAN}),
    "english_on_busy": (noise(400, 240, 3), {"layers": _ENGLISH, "position": "bottom_left"}),
    "mixed_scrim": (
        np.ascontiguousarray(noise(320, 320, 7) // 2 + plain(320, 320, (60, 60, 60))),
        {"layers": _MIXED, "ai_label": "visible"},
    ),
    "arabic": (disc(400, 400, (0.3, 0.7), 0.2), {"layers": _ARABIC, "ai_label": "visible"}),
    "hebrew": (plain(400, 400, (24, 44, 66)), {"layers": _HEBREW}),
    "thai": (noise(400, 400, 11), {"layers": _THAI}),
    "hindi": (plain(400, 400, (250, 240, 225)), {"layers": _HINDI, "position": "top"}),
    "european": (plain(400, 320, (60, 30, 40)), {"layers": _EUROPEAN}),
    "type_at_its_fullest": (noise(480, 480, 11), {"layers": _TYPE, "position": "left"}),
}


def drawn(name: str) -> NDArray[np.uint8]:
    """The advert called `name`, uint8 (H, W, 3)."""
    picture, spec = ADVERTS[name]
    height, width = picture.shape[:2]
    canvas = Canvas(picture, Rect(0, 0, width, height))
    pixels, _, _ = set_words(canvas, OverlaySpec.model_validate(spec))
    return pixels
