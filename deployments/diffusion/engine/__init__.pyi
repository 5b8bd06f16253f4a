from .callers import Callers as Callers
from .engine import Engine as Engine
from .preparation import EmbeddingCache as EmbeddingCache
from .preparation import Preparation as Preparation
