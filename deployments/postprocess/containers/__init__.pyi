from . import boxes as boxes
from . import jpeg as jpeg
from . import png as png
from . import riff as riff
