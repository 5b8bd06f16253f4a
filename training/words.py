"""The words of the world in English and Korean: first the usual one, then others understood."""

from __future__ import annotations

ENGLISH_OBJECTS: dict[str, tuple[str, ...]] = {
    "cat": ("cat", "kitten"), "dog": ("dog", "puppy"), "fox": ("fox",), "panda": ("panda",),
    "frog": ("frog",), "pig": ("pig",), "penguin": ("penguin",), "owl": ("owl",),
    "chick": ("chick",), "turtle": ("turtle",), "octopus": ("octopus",),
    "butterfly": ("butterfly",), "apple": ("apple",), "banana": ("banana",),
    "strawberry": ("strawberry",), "watermelon": ("watermelon",), "pineapple": ("pineapple",),
    "cherry": ("cherry",), "lemon": ("lemon",), "grape": ("grape",), "pizza": ("pizza",),
    "hamburger": ("hamburger", "burger"), "ice cream": ("ice cream",), "cake": ("cake",),
    "donut": ("donut", "doughnut"), "coffee": ("coffee", "coffee cup"), "tree": ("tree",),
    "cactus": ("cactus",), "sunflower": ("sunflower",), "tulip": ("tulip",),
    "mushroom": ("mushroom",), "car": ("car",), "bus": ("bus",), "rocket": ("rocket",),
    "sailboat": ("sailboat", "boat"), "house": ("house",), "robot": ("robot",),
    "gift": ("gift", "present", "gift box"), "balloon": ("balloon",), "guitar": ("guitar",),
    "soccer ball": ("soccer ball",), "umbrella": ("umbrella",), "camera": ("camera",),
    "sneaker": ("sneaker", "shoe"), "handbag": ("handbag", "bag"),
}  # fmt: skip
KOREAN_OBJECTS: dict[str, tuple[str, ...]] = {
    "cat": ("고양이",), "dog": ("강아지", "개"), "fox": ("여우",), "panda": ("판다",),
    "frog": ("개구리",), "pig": ("돼지",), "penguin": ("펭귄",), "owl": ("부엉이", "올빼미"),
    "chick": ("병아리",), "turtle": ("거북이",), "octopus": ("문어",), "butterfly": ("나비",),
    "apple": ("사과",), "banana": ("바나나",), "strawberry": ("딸기",), "watermelon": ("수박",),
    "pineapple": ("파인애플",), "cherry": ("체리",), "lemon": ("레몬",), "grape": ("포도",),
    "pizza": ("피자",), "hamburger": ("햄버거", "버거"), "ice cream": ("아이스크림",),
    "cake": ("케이크",), "donut": ("도넛", "도너츠"), "coffee": ("커피", "커피잔"),
    "tree": ("나무",), "cactus": ("선인장",), "sunflower": ("해바라기",), "tulip": ("튤립",),
    "mushroom": ("버섯",), "car": ("자동차", "차"), "bus": ("버스",), "rocket": ("로켓",),
    "sailboat": ("돛단배", "요트"), "house": ("집",), "robot": ("로봇",),
    "gift": ("선물", "선물 상자"), "balloon": ("풍선",), "guitar": ("기타",),
    "soccer ball": ("축구공",), "umbrella": ("우산",), "camera": ("카메라",),
    "sneaker": ("운동화", "신발"), "handbag": ("핸드백", "가방"),
}  # fmt: skip
ENGLISH_SHAPES: dict[str, tuple[str, ...]] = {
    "circle": ("circle", "disc"), "square": ("square",), "triangle": ("triangle",),
    "star": ("star",), "heart": ("heart",), "diamond": ("diamond",), "cross": ("cross", "plus"),
    "hexagon": ("hexagon",), "moon": ("moon", "crescent"), "ring": ("ring",),
}  # fmt: skip
KOREAN_SHAPES: dict[str, tuple[str, ...]] = {
    "circle": ("원", "동그라미"), "square": ("사각형", "네모"), "triangle": ("삼각형", "세모"),
    "star": ("별",), "heart": ("하트",), "diamond": ("마름모", "다이아몬드"),
    "cross": ("십자", "십자가"), "hexagon": ("육각형",), "moon": ("달", "초승달"),
    "ring": ("고리", "링"),
}  # fmt: skip
ENGLISH_COLOURS: dict[str, tuple[str, ...]] = {
    "red": ("red",), "orange": ("orange",), "yellow": ("yellow",), "green": ("green",),
    "blue": ("blue",), "purple": ("purple", "violet"), "pink": ("pink",), "brown": ("brown",),
    "black": ("black",), "white": ("white",), "gray": ("gray", "grey"),
    "cyan": ("cyan", "turquoise"),
}  # fmt: skip
KOREAN_COLOURS: dict[str, tuple[str, ...]] = {
    "red": ("빨간", "빨간색", "빨강", "붉은"), "orange": ("주황색", "주황", "주황빛"),
    "yellow": ("노란", "노란색", "노랑"), "green": ("초록", "초록색", "녹색"),
    "blue": ("파란", "파란색", "파랑", "푸른"), "purple": ("보라색", "보라", "보랏빛"),
    "pink": ("분홍색", "분홍", "핑크"), "brown": ("갈색", "밤색"),
    "black": ("검은", "검은색", "검정", "까만"), "white": ("하얀", "하얀색", "흰", "흰색"),
    "gray": ("회색", "잿빛"), "cyan": ("하늘색", "청록색"),
}  # fmt: skip
ENGLISH_SIZES: dict[str, tuple[str, ...]] = {
    "small": ("small", "little", "tiny"),
    "medium": ("", "", "", "medium"),
    "large": ("large", "big", "huge"),
}
KOREAN_SIZES: dict[str, tuple[str, ...]] = {
    "small": ("작은", "조그만"),
    "medium": ("",),
    "large": ("큰", "커다란"),
}
ENGLISH_POSITIONS: dict[str, tuple[str, ...]] = {
    "centre": ("in the centre", "in the center", "in the middle"),
    "left": ("on the left", "on the left side"),
    "right": ("on the right", "on the right side"),
    "top": ("at the top",),
    "bottom": ("at the bottom",),
    "top left": ("in the top left corner", "at the top left"),
    "top right": ("in the top right corner", "at the top right"),
    "bottom left": ("in the bottom left corner", "at the bottom left"),
    "bottom right": ("in the bottom right corner", "at the bottom right"),
}
KOREAN_POSITIONS: dict[str, tuple[str, ...]] = {
    "centre": ("가운데", "중앙"),
    "left": ("왼쪽", "좌측"),
    "right": ("오른쪽", "우측"),
    "top": ("위쪽", "상단"),
    "bottom": ("아래쪽", "하단"),
    "top left": ("왼쪽 위", "왼쪽 상단"),
    "top right": ("오른쪽 위", "오른쪽 상단"),
    "bottom left": ("왼쪽 아래", "왼쪽 하단"),
    "bottom right": ("오른쪽 아래", "오른쪽 하단"),
}
ENGLISH_RELATIONS: dict[str, tuple[str, ...]] = {
    "above": ("above", "over", "on top of"),
    "below": ("below", "under", "beneath"),
    "left of": ("left of", "to the left of"),
    "right of": ("right of", "to the right of"),
}
KOREAN_RELATIONS: dict[str, tuple[str, ...]] = {
    "above": ("위",),
    "below": ("아래", "밑"),
    "left of": ("왼쪽", "왼편"),
    "right of": ("오른쪽", "오른편"),
}
OWN_COLOURS: dict[str, str] = {  # objects that may be called by the colour they have anyway
    "frog": "green", "pig": "pink", "chick": "yellow", "apple": "red", "banana": "yellow",
    "strawberry": "red", "cherry": "red", "lemon": "yellow", "grape": "purple",
    "tree": "green", "cactus": "green", "tulip": "pink", "car": "red", "balloon": "red",
    "guitar": "red", "umbrella": "purple", "sneaker": "blue", "handbag": "brown",
}  # fmt: skip
ENGLISH_OPENINGS = (
    "a picture of", "a photo of", "an image of", "an illustration of", "a drawing of",
    "an advert with", "an ad for", "an advertisement for", "a poster of", "a product photo of",
    "a simple", "draw", "please draw", "there is",
)  # fmt: skip
ENGLISH_ENDINGS = (
    "advert", "clean", "minimal", "flat design", "simple", "high quality", "for instagram",
    "studio shot", "product photography", "sale poster", "cute",
)  # fmt: skip
KOREAN_ENDINGS = (
    "그림", "사진", "광고 사진", "광고", "포스터", "이미지", "일러스트", "제품 사진", "광고 이미지",
    "배너",
)  # fmt: skip
KOREAN_OPENINGS = ("심플한", "깔끔한", "귀여운", "예쁜", "광고용")
ENGLISH_SPACE = ("copy space", "empty space", "room for text", "space for text")
KOREAN_SPACE = ("여백", "빈 공간", "글자 공간", "문구 공간")
