from . import order
from . import order_callback
from . import delivery
from . import endpoint
