from . import images as images
from . import kept_images as kept_images
from . import service as service
from . import styles as styles
