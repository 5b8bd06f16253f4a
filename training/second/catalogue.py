"""What the second world holds: objects, shapes, colours, grounds, sizes, places and relations."""

from __future__ import annotations

from typing import Literal

Rgb = tuple[int, int, int]  # sRGB, 0..255
GroundKind = Literal["plain", "two-tone", "gradient", "tiles", "table", "floor"]

OBJECTS: dict[str, str] = {  # name to its icon in Noto Emoji
    "cat": "cat-face", "dog": "dog-face", "fox": "fox", "panda": "panda", "frog": "frog",
    "pig": "pig-face", "penguin": "penguin", "owl": "owl", "chick": "front-facing-baby-chick",
    "turtle": "turtle", "octopus": "octopus", "butterfly": "butterfly", "apple": "red-apple",
    "banana": "banana", "strawberry": "strawberry", "watermelon": "watermelon",
    "pineapple": "pineapple", "cherry": "cherries", "lemon": "lemon", "grape": "grapes",
    "pizza": "pizza", "hamburger": "hamburger", "ice cream": "soft-ice-cream",
    "cake": "birthday-cake", "donut": "doughnut", "coffee": "hot-beverage",
    "tree": "deciduous-tree", "cactus": "cactus", "sunflower": "sunflower", "tulip": "tulip",
    "mushroom": "mushroom", "car": "automobile", "bus": "bus", "rocket": "rocket",
    "sailboat": "sailboat", "house": "house", "robot": "robot", "gift": "wrapped-gift",
    "balloon": "balloon", "guitar": "guitar", "soccer ball": "soccer-ball",
    "umbrella": "umbrella", "camera": "camera", "sneaker": "running-shoe", "handbag": "handbag",
    "rabbit": "rabbit-face", "bread": "bread", "croissant": "croissant", "cookie": "cookie",
    "beer": "beer-mug", "bubble tea": "bubble-tea", "rose": "rose",
    "high heel": "high-heeled-shoe", "backpack": "backpack", "t-shirt": "t-shirt",
    "watch": "watch", "lipstick": "lipstick", "laptop": "laptop", "phone": "mobile-phone",
    "headphones": "headphone", "hammer": "hammer", "bicycle": "bicycle",
    "truck": "delivery-truck", "wrench": "wrench",
}  # fmt: skip
SHAPES = (
    "circle", "square", "triangle", "star", "heart", "diamond", "cross", "hexagon", "moon", "ring",
)  # fmt: skip
BASE_COLOURS: dict[str, Rgb] = {
    "red": (220, 40, 40),
    "orange": (245, 140, 30),
    "yellow": (250, 215, 50),
    "green": (50, 165, 75),
    "blue": (50, 90, 215),
    "purple": (135, 65, 185),
    "pink": (245, 135, 185),
    "brown": (130, 80, 45),
    "black": (25, 25, 28),
    "white": (248, 248, 245),
    "gray": (140, 142, 148),
    "cyan": (60, 200, 215),
}
SHADES: dict[str, Rgb] = {  # light red would be pink and dark orange brown: those are left out
    "light orange": (255, 200, 140),
    "light yellow": (255, 240, 165),
    "light green": (160, 220, 160),
    "light blue": (150, 180, 245),
    "light purple": (200, 165, 235),
    "light pink": (252, 205, 222),
    "light brown": (200, 162, 125),
    "light gray": (205, 207, 210),
    "light cyan": (180, 238, 240),
    "dark red": (120, 18, 28),
    "dark yellow": (185, 145, 20),
    "dark green": (20, 85, 45),
    "dark blue": (22, 38, 110),
    "dark purple": (68, 25, 100),
    "dark pink": (190, 50, 115),
    "dark brown": (72, 42, 22),
    "dark gray": (75, 77, 82),
    "dark cyan": (15, 110, 125),
}
COLOURS: dict[str, Rgb] = BASE_COLOURS | SHADES
GROUNDS: tuple[GroundKind, ...] = ("plain", "two-tone", "gradient", "tiles", "table", "floor")
TWO_COLOURED: tuple[GroundKind, ...] = ("two-tone", "gradient", "table", "floor")
STAGES: tuple[GroundKind, ...] = ("table", "floor")  # things stand on them
SIZES = {"small": 2, "medium": 4, "large": 6}  # side of the object's box in cells
POSITIONS: dict[str, tuple[int, int]] = {  # (column, row), each -1, 0 or 1
    "centre": (0, 0),
    "left": (-1, 0),
    "right": (1, 0),
    "top": (0, -1),
    "bottom": (0, 1),
    "top left": (-1, -1),
    "top right": (1, -1),
    "bottom left": (-1, 1),
    "bottom right": (1, 1),
}
RELATIONS: dict[str, tuple[str, ...]] = {  # where the first, second and third item stand
    "above": ("top", "bottom"),
    "below": ("bottom", "top"),
    "left of": ("left", "right"),
    "right of": ("right", "left"),
    "between": ("centre", "left", "right"),
    "row": ("left", "centre", "right"),
}
SIDEWAYS = ("left of", "right of", "between", "row")
CELL = 64  # pixels of one token: VAE factor 32 times patch 2
BUCKETS = ((512, 512), (512, 640), (512, 896), (896, 512), (768, 384))  # (width, height)
