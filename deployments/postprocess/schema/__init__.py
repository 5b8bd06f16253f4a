"""What is asked of an advert and what is told of it: strict bodies, colours, names, reports."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
