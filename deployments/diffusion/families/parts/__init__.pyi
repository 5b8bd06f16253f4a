from . import flow as flow
from . import placed as placed
from .latents import LatentSpace as LatentSpace
from .one_frame import OneFrameSpace as OneFrameSpace
from .schedules import DiscreteSchedule as DiscreteSchedule
from .schedules import FlowSchedule as FlowSchedule
