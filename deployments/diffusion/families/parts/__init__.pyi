from . import flow as flow
from .latents import LatentSpace as LatentSpace
from .schedules import DiscreteSchedule as DiscreteSchedule
from .schedules import FlowSchedule as FlowSchedule
