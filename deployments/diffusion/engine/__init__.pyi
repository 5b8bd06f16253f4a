from .engine import Engine as Engine
from .preparation import EncodingCache as EncodingCache
from .preparation import Preparation as Preparation
