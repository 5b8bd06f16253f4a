from . import cutout as cutout
from .decoding import IntakeLimits as IntakeLimits
from .decoding import Picture as Picture
from .decoding import decode as decode
from .fit import fit_upload as fit_upload
from .segmentation import SegmentationModel as SegmentationModel
from .segmentation import Segmenter as Segmenter
