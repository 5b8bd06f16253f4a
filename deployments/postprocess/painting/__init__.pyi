from . import backings as backings
from . import compose as compose
from . import legible as legible
from . import paint_shapes as paint_shapes
from .compose import set_words as set_words
