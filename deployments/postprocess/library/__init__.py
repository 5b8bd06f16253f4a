"""What is kept: records and pictures, objects held by their hash, and the address they lie at."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
