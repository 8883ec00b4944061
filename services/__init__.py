# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Pure Python: values, decisions and HTTP. Knows neither Odoo nor the database."""
