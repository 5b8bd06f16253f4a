"""The part of a picture that was left empty for words: where it lies, and what lies around it."""

from deployments.postprocess.compose import Canvas
from deployments.postprocess.geometry import Rect
from deployments.postprocess.spec import Box, Side


def on(canvas: Canvas, space: Side | Box | None) -> Rect | None:
    """The copy space in pixels of the canvas; of no area where it was cut away.

    A side is that half of the picture, and what the canvas has beyond it.
    """
    rows, columns = canvas.pixels.shape[:2]
    if space is None:
        return None
    if isinstance(space, Box):
        return canvas.from_picture(space.x, space.y, space.width, space.height)
    picture = canvas.picture
    middle_x = min(max(picture.x + picture.width / 2, 0.0), columns)
    middle_y = min(max(picture.y + picture.height / 2, 0.0), rows)
    halves = {
        "left": Rect(0, 0, middle_x, rows),
        "right": Rect(middle_x, 0, columns - middle_x, rows),
        "top": Rect(0, 0, columns, middle_y),
        "bottom": Rect(0, middle_y, columns, rows - middle_y),
    }
    return halves[space]


def around(space: Rect | None, canvas: Canvas) -> list[Rect]:
    """All of the canvas but `space`, in boxes that do not overlap; nothing of no space."""
    rows, columns = canvas.pixels.shape[:2]
    if space is None or space.area == 0:
        return []
    boxes = [
        Rect(0, 0, columns, space.y),
        Rect(0, space.bottom, columns, rows - space.bottom),
        Rect(0, space.y, space.x, space.height),
        Rect(space.right, space.y, columns - space.right, space.height),
    ]
    return [box for box in boxes if box.width >= 1 and box.height >= 1]
