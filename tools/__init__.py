# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What sets up and runs a real Odoo 19 around this addon: standard library only."""
