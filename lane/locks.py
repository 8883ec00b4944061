# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The keys of every advisory lock of this addon.

PostgreSQL has one space of keys per database, and all Odoo modules share it. Ours have
two keys: the first says what for and begins with 0x6277, the second is the endpoint's
id. A purpose that needs several first keys owns a range of them.
"""

# A lane's right to work, one key per slot.
SLOTS = range(0x62777400, 0x62777500)
# The right to notify about failed deliveries.
ALERTS = range(0x62777500, 0x62777501)

# All of them; no two may overlap, or one purpose locks the other out.
RANGES = {"slots": SLOTS, "alerts": ALERTS}
