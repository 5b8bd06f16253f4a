from . import batches as batches
from . import drawers as drawers
from . import pipelines as pipelines
from .asking import Asked as Asked
from .drawers import Drawer as Drawer
from .pipelines import Pipelines as Pipelines
from .pipelines import Reloading as Reloading
