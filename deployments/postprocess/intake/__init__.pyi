from . import cutout as cutout
from .decoding import Picture as Picture
from .decoding import decode as decode
from .fit import fit_upload as fit_upload
from .limits import IntakeLimits as IntakeLimits
from .limits import SegmentationModel as SegmentationModel
from .references import add_references as add_references
from .segmentation import Segmenter as Segmenter
