"""What every benchmark is made with: turns, engines, servers, clients, reports and the page."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
