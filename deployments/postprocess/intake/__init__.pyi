from . import cutout as cutout
from .decoding import Picture as Picture
from .decoding import decode as decode
from .decoding import decode_mask as decode_mask
from .fit import fit_upload as fit_upload
from .limits import IntakeLimits as IntakeLimits
from .limits import SegmentationModel as SegmentationModel
from .segmentation import Segmenter as Segmenter
