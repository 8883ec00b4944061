# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
{
    "name": "Test addon that installs OCA's auditlog",
    "version": "19.0.1.0.0",
    "license": "LGPL-3",
    "author": "bwt",
    "depends": ["bwt_webhooks_outbound", "auditlog"],
}
