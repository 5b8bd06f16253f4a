from .address import PublicAddress as PublicAddress
from .layers import BoundedBody as BoundedBody
from .layers import Cors as Cors
from .layers import Heads as Heads
from .layers import LastResort as LastResort
