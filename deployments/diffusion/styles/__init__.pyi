from .adapters import Adapters as Adapters
from .layers import Half as Half
from .layers import Names as Names
from .layers import StyledLayers as StyledLayers
from .reading import StyleUnfit as StyleUnfit
from .reading import load_style as load_style
