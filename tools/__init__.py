# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Set up and run a real Odoo 19 with this addon: standard library only."""
