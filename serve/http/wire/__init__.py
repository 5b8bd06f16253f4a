"""What travels: bodies and uploads in, answers, events and errors out."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
