"""What is asked of the engine and what becomes of it: parameters, work, requests, pictures."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
