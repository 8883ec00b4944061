# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
from . import order
from . import order_callback
from . import delivery
from . import endpoint
