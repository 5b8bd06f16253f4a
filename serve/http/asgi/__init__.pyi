from .layers import BoundedBody as BoundedBody
from .layers import LastResort as LastResort
