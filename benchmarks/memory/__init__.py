"""Memory for three kinds of pictures: one set of weights against one for each pipeline."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
