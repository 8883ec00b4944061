# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Secrets that begin like a reference or ciphertext stay what they are: clear text."""

COLUMNS = {
    "bwt_webhook_outbound_endpoint": (
        *("auth_secret", "signing_secret", "old_secret", "client_certificate"),
    ),
    "bwt_webhook_outbound_endpoint_token": ("value",),
}


def migrate(cr, version):
    for table, columns in COLUMNS.items():
        for column in columns:
            # Constants of this file.
            # pylint: disable-next=sql-injection
            cr.execute(
                f"UPDATE {table} SET {column} = 'text:' || {column} "
                f"WHERE {column} ~ '^(env|file|text|enc):'"
            )
