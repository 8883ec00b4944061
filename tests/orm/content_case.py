# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Base of the tests that plant personal data and search what is left of it."""

import json
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

from odoo.tools import SQL

from odoo.addons.bwt_webhooks_outbound.lane.clock import utcnow

from ..constants import DELIVERY
from ..receiver import status
from .common import OutboundCase

EMAIL = "zoe.planted@example.org"
PHONE = "+49 1512 7654321"
# Tables of Odoo that have something of our records.
SHARED = {
    "mail_message": "model LIKE 'bwt.webhook%%'",
    "mail_activity": "res_model LIKE 'bwt.webhook%%'",
    "mail_tracking_value": "true",
    "ir_attachment": "res_model LIKE 'bwt.webhook%%'",
    "queue_job": "true",
}


class ContentCase(OutboundCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.contact = cls.env["res.partner"].create(
            {"name": "Zoe Planted", "email": EMAIL, "phone": PHONE}
        )

    def planted(self, texts=(EMAIL,)):
        """Table -> number of rows with one of these texts in any column, as a dump."""
        self.env.flush_all()
        tables = {
            model._table: "true"
            for model in self.env.registry.models.values()
            if model._original_module == "bwt_webhooks_outbound"
            and model._auto
            and not model._abstract
        }
        found = {}
        for table, where in (tables | SHARED).items():
            [(count,)] = self.env.execute_query(
                SQL(
                    "SELECT count(*) FROM %s t WHERE %s AND EXISTS ("
                    "SELECT 1 FROM unnest(%s::text[]) p WHERE t::text ILIKE p)",
                    SQL.identifier(table),
                    SQL(where),
                    [f"%{text}%" for text in texts],
                )
            )
            if count:
                found[table] = count
        return found

    def plant(self, **options):
        """A delivery that is done, with the e-mail in everything that it stores."""
        endpoint = self.make_endpoint(
            options.pop("code", "planted"),
            target_path="/contacts/{who}",
            request_body_mode="multipart",
            ordering="key",
        )
        body = json.dumps({"seen": EMAIL}).encode()
        path = f"/contacts/{quote(EMAIL, safe='')}"
        self.receiver.script(path, status(200, body, [("X-Who", EMAIL)]))
        delivery = endpoint.queue_delivery(
            {"email": EMAIL},
            {"who": EMAIL},
            headers={"X-Mail": EMAIL},
            files={"doc": {"filename": f"{EMAIL}.txt", "content": EMAIL.encode()}},
            ordering_key=EMAIL,
            name=f"About {EMAIL}",
            **options,
        )
        delivery.process_delivery()
        delivery.message_post(body=self.env._("Called %s", EMAIL))
        delivery.activity_schedule("mail.mail_activity_data_todo", summary=EMAIL)
        error = f"value {EMAIL} is wrong"
        delivery.write({"processing_error": error, "processing_note": error})
        delivery.write({"record_values_json": json.dumps({"email": EMAIL})})
        delivery.attempt_ids.write({"processing_error": error})
        self.env.flush_all()
        return delivery

    def stored_files(self, delivery):
        """Paths in the file store."""
        files = self.env["ir.attachment"].search(
            [("res_model", "=", DELIVERY), ("res_id", "=", delivery.id)]
        )
        return [Path(file._full_path(file.store_fname)) for file in files]

    def age(self, deliveries, days):
        deliveries.write({"processed_at": utcnow() - timedelta(days=days)})
        deliveries.flush_recordset()

    def empty(self):
        return self.env[DELIVERY]._gc_content()
