from . import backend
from . import callbacks
