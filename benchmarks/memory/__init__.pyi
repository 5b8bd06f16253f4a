from . import memory as memory
from . import report as report
from .footprint import SIGNBOARD as SIGNBOARD
from .footprint import Footprint as Footprint
