# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The keys of every advisory lock of this addon.

PostgreSQL has one key space per database, which all Odoo modules share. Our locks have
two keys: the first identifies the purpose and begins with 0x6277, the second is the
endpoint's id. A purpose that needs several first keys owns a range of them.
"""

# The right of a lane to run, one key per slot.
SLOTS = range(0x62777400, 0x62777500)
# The right to notify about failed deliveries.
ALERTS = range(0x62777500, 0x62777501)

# Held by a lane that finds many wake-ups: those that come now can wait for it.
BURST = range(0x62777600, 0x62777601)

# The right to build requests about a record that are compared with its last one: a key
# per hash of the record. Two records may share one, and then wait for each other.
COMPARED = range(0x62778000, 0x62780000)

# All of them; ranges must not overlap, or one purpose would lock out another.
RANGES = {"slots": SLOTS, "alerts": ALERTS, "burst": BURST, "compared": COMPARED}
