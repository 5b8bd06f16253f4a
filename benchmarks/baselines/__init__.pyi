from . import pipelines as pipelines
from . import processes as processes
from .pipelines import Pipelines as Pipelines
from .pipelines import Reloading as Reloading
from .processes import DrawingProcess as DrawingProcess
