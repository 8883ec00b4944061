# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
from . import export_configuration
from . import import_configuration
from . import recover
from . import secret
from . import send_test
