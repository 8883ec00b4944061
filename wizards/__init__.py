from . import recover
from . import secret
from . import send_test
