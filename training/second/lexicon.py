"""The words of the second world: those of the first and what is new, the usual one first."""

from __future__ import annotations

from training import words

ENGLISH_NAMES: dict[str, tuple[str, ...]] = {
    **words.ENGLISH_OBJECTS,
    **words.ENGLISH_SHAPES,
    "rabbit": ("rabbit", "bunny"), "bread": ("bread", "loaf of bread"),
    "croissant": ("croissant",), "cookie": ("cookie", "biscuit"), "beer": ("beer", "beer mug"),
    "bubble tea": ("bubble tea", "boba"), "rose": ("rose",), "high heel": ("high heel", "pump"),
    "backpack": ("backpack", "rucksack"), "t-shirt": ("t-shirt", "shirt", "tee"),
    "watch": ("watch", "wristwatch"), "lipstick": ("lipstick",), "laptop": ("laptop", "notebook"),
    "phone": ("phone", "smartphone"), "headphones": ("headphones", "headset"),
    "hammer": ("hammer",), "bicycle": ("bicycle", "bike"), "truck": ("truck", "delivery truck"),
    "wrench": ("wrench", "spanner"),
}  # fmt: skip
KOREAN_NAMES: dict[str, tuple[str, ...]] = {
    **words.KOREAN_OBJECTS,
    **words.KOREAN_SHAPES,
    "rabbit": ("토끼",), "bread": ("식빵", "빵"), "croissant": ("크루아상", "크로와상"),
    "cookie": ("쿠키", "과자"), "beer": ("맥주", "생맥주"), "bubble tea": ("버블티", "밀크티"),
    "rose": ("장미", "장미꽃"), "high heel": ("하이힐", "구두"), "backpack": ("백팩", "배낭"),
    "t-shirt": ("티셔츠",), "watch": ("손목시계", "시계"), "lipstick": ("립스틱",),
    "laptop": ("노트북",), "phone": ("스마트폰", "휴대폰", "핸드폰"),
    "headphones": ("헤드폰",), "hammer": ("망치",), "bicycle": ("자전거",),
    "truck": ("트럭", "화물차"), "wrench": ("렌치", "스패너"),
}  # fmt: skip
OWN_COLOURS: dict[str, str] = {  # objects that may be called by the colour they have anyway
    **{k: v for k, v in words.OWN_COLOURS.items() if k != "umbrella"},
    "umbrella": "blue", "rose": "red", "high heel": "red", "backpack": "red",
    "t-shirt": "cyan", "lipstick": "red",
}  # fmt: skip
ENGLISH_SHADES: dict[str, tuple[str, ...]] = {
    "light": ("light", "pale", "pastel"),
    "dark": ("dark", "deep"),
}
KOREAN_SHADES: dict[str, tuple[str, ...]] = {
    "light": ("연한", "밝은", "옅은"),
    "dark": ("진한", "어두운", "짙은"),
}
KOREAN_COLOUR_NOUNS: dict[str, str] = {  # those that take particles
    "red": "빨간색", "orange": "주황색", "yellow": "노란색", "green": "초록색", "blue": "파란색",
    "purple": "보라색", "pink": "분홍색", "brown": "갈색", "black": "검은색", "white": "흰색",
    "gray": "회색", "cyan": "하늘색",
}  # fmt: skip
ENGLISH_GROUNDS: dict[str, tuple[tuple[str, str], ...]] = {  # after a subject, and on its own
    "plain": (
        ("on {a:a} background", "{a} background"),
        ("on {a:a} background", "plain {a} background"),
        ("on {a}", "{a} backdrop"),
        ("against {a:a} backdrop", "background in {a}"),
    ),
    "two-tone": (
        ("on a two-tone background of {a} and {b}", "two-tone {a} and {b} background"),
        ("on a split background of {a} and {b}", "{a} and {b} split background"),
        ("on a half {a} half {b} background", "background half {a} and half {b}"),
    ),
    "gradient": (
        ("on a gradient from {a} to {b}", "{a} to {b} gradient background"),
        ("on a background fading from {a} to {b}", "gradient background from {a} to {b}"),
    ),
    "tiles": (
        ("on {a} tiles", "{a} tiles"),
        ("against a wall of {a} tiles", "{a} tiled background"),
        ("on {a:a} tiled background", "background of {a} tiles"),
    ),
    "table": (
        ("on {a:a} table in front of {b:a} wall", "{a} table, {b} wall"),
        ("on {a:a} table with {b:a} background", "{a} table and {b:a} background"),
        ("standing on {a:a} table against {b:a} wall", "{a} tabletop, {b} wall behind it"),
    ),
    "floor": (
        ("on {a:a} floor in front of {b:a} wall", "{a} floor, {b} wall"),
        ("in a room with {a:a} floor and {b:a} wall", "{a} floor and {b} wall"),
        ("standing on {a:a} floor against {b:a} wall", "room with {a:a} floor and {b} walls"),
    ),
}
KOREAN_GROUNDS: dict[str, tuple[tuple[str, str], ...]] = {  # before 에 or 의, and on its own
    "plain": (("{a} 배경", "{a} 배경"), ("{a} 배경 위", "{a} 바탕")),
    "two-tone": (
        ("{an}과 {bn} 투톤 배경", "{an}과 {bn} 투톤 배경"),
        ("{an}과 {bn}이 반반인 배경", "{an}과 {bn} 반반 배경"),
    ),
    "gradient": (
        ("{an}에서 {bn}으로 변하는 배경", "{an}에서 {bn} 그라데이션 배경"),
        ("{an}에서 {bn}으로 이어지는 그라데이션 배경", "{an}에서 {bn}으로 그라데이션"),
    ),
    "tiles": (("{a} 타일 배경", "{a} 타일"), ("{a} 타일 벽 앞", "{a} 타일 배경")),
    "table": (
        ("{b} 벽 앞 {a} 테이블 위", "{a} 테이블과 {b} 벽"),
        ("{b} 배경의 {a} 탁자 위", "{a} 탁자, {b} 벽"),
    ),
    "floor": (
        ("{b} 벽 앞 {a} 바닥", "{a} 바닥과 {b} 벽"),
        ("{a} 바닥과 {b} 벽이 있는 방", "{a} 바닥, {b} 벽"),
    ),
}
ENGLISH_RELATIONS: dict[str, tuple[str, ...]] = {
    "above": ("{0} above {1}", "{0} over {1}", "{0} on top of {1}", "{1} with {0} above it"),
    "below": ("{0} below {1}", "{0} under {1}", "{0} beneath {1}", "{1} with {0} below it"),
    "left of": (
        "{0} left of {1}",
        "{0} to the left of {1}",
        "{0} on the left and {1} on the right",
    ),
    "right of": (
        "{0} right of {1}",
        "{0} to the right of {1}",
        "{0} on the right and {1} on the left",
    ),
    "between": ("{0} between {1} and {2}", "{0} in between {1} and {2}"),
    "row": (
        "{0}, {1} and {2} in a row",
        "{0}, {1} and {2} side by side",
        "{0}, {1} and {2} from left to right",
        "a row of {0}, {1} and {2}",
    ),
}
KOREAN_RELATIONS: dict[str, tuple[str, ...]] = {  # {1w} is "{1} and"
    "above": ("{1} 위에 있는 {0}", "{1} 위의 {0}", "위에는 {0}, 아래에는 {1}"),
    "below": ("{1} 아래에 있는 {0}", "{1} 아래의 {0}", "{1} 밑에 있는 {0}"),
    "left of": ("{1} 왼쪽에 있는 {0}", "{1} 왼쪽의 {0}", "왼쪽에는 {0}, 오른쪽에는 {1}"),
    "right of": ("{1} 오른쪽에 있는 {0}", "{1} 오른편에 있는 {0}", "오른쪽에는 {0}, 왼쪽에는 {1}"),
    "between": ("{1w} {2} 사이에 있는 {0}", "{1w} {2} 사이의 {0}"),
    "row": ("나란히 있는 {0}, {1}, {2}", "{0}, {1}, {2} 나란히", "왼쪽부터 {0}, {1}, {2}"),
}
ENGLISH_SPACE: tuple[str, ...] = (
    "with copy space {at}", "with empty space {at}", "with room for text {at}",
    "with space for text {at}", "empty {at}", "keep it empty {at}", "leave the {side} empty",
    "{side} side empty", "negative space {at}",
)  # fmt: skip
KOREAN_SPACE: tuple[str, ...] = (
    "{at}에 여백", "{at}에 빈 공간", "{at}에 글자 공간", "{at}에 문구 공간", "{at}은 비워 두고",
    "{at} 여백", "{at} 비움", "{at}을 비워 둔 구도",
)  # fmt: skip
ENGLISH_OPENINGS = (*words.ENGLISH_OPENINGS, "a poster with", "show", "create an image of")
ENGLISH_ENDINGS = (
    *words.ENGLISH_ENDINGS, "soft shadow", "no text", "sharp", "crisp", "bright", "modern",
    "professional", "4k", "studio lighting", "e-commerce photo", "advertising",
)  # fmt: skip
KOREAN_ENDINGS = (*words.KOREAN_ENDINGS, "썸네일", "인스타그램 광고", "홍보 이미지", "상품 사진")
KOREAN_OPENINGS = (*words.KOREAN_OPENINGS, "고급스러운", "모던한", "선명한")
