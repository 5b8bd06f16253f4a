from .envelope import LastResort as LastResort
from .headers import BoundedBody as BoundedBody
