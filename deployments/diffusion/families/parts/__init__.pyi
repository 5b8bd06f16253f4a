from . import flow as flow
from . import placed as placed
from .latents import LatentSpace as LatentSpace
from .schedules import DiscreteSchedule as DiscreteSchedule
from .schedules import FlowSchedule as FlowSchedule
