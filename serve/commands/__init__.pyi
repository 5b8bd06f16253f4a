from . import local as local
from .loopback import LOOPBACK as LOOPBACK
from .loopback import free_port as free_port
