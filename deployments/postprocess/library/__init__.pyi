from .blobs import BlobStore as BlobStore
from .blobs import open_address as open_address
from .library import Drawing as Drawing
from .library import Library as Library
from .library import Record as Record
from .library import Result as Result
from .references import digest as digest
