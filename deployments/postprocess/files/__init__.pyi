from . import facts as facts
from .credentials import CredentialFiles as CredentialFiles
from .credentials import Credentials as Credentials
from .credentials import Signatory as Signatory
from .credentials import sign_all as sign_all
from .credentials import sign_one as sign_one
from .formats import encode as encode
from .inspection import inspect as inspect
