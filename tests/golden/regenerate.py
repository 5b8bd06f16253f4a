"""Draw the golden images anew: python -m tests.golden.regenerate (then look at them)."""

from PIL import Image

from tests.golden.adverts import ADVERTS, FOLDER, drawn

if __name__ == "__main__":
    for name in ADVERTS:
        Image.fromarray(drawn(name)).save(FOLDER / f"{name}.png", optimize=True)
        print(FOLDER / f"{name}.png")
