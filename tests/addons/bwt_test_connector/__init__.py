from . import backend
from . import callbacks
from . import hazards
