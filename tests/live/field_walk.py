# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Every field of every model, sent by server actions; runs inside `odoo shell`.

`walk(env)` returns the results as JSON; nothing is committed.
"""

import json
import re

from odoo.addons.bwt_webhooks_outbound.models.record_payload import (
    refuse_limited_fields,
)

RECORDS = 3  # of a model, the newest
MESSAGE_MAX = 200
VALUES = re.compile(r'"[^"]*"|field "[^"]*" |\d+')
DELIVERY = "bwt.webhook.outbound.delivery"


def walk(env):
    """Counts of values by outcome, and what was neither read nor refused.

    models: how many have records; read: values that were queued; refused: values, or
    fields while they are saved, that a message refuses; tracebacks: model, field and
    error of all others
    """
    found = {"models": 0, "fields": 0, "read": 0, "refused": 0}
    found |= {"tracebacks": [], "without_records": [], "messages": {}}
    env = env(context={"tracking_disable": True, "mail_create_nolog": True})
    endpoint = env["bwt.webhook.outbound.endpoint"].create(
        {
            "name": "Walk",
            "code": "walk",
            "target_hostname": "https://example.com",
        }
    )
    for name in sorted(env.registry):
        if not env[name]._abstract and not name.startswith(DELIVERY):
            Model(env, endpoint, name, found).walk()
    return found


class Model:
    def __init__(self, env, endpoint, name, found):
        self.env = env
        self.endpoint = endpoint
        self.name = name
        self.found = found

    def walk(self):
        """Send all fields of some records: at once, and one by one if that fails."""
        fields = [name for name in self.env[self.name]._fields if self.saves(name)]
        records = self.records()
        if not records:
            self.found["without_records"].append(self.name)
            return
        self.found["models"] += 1
        self.found["fields"] += len(fields)
        if fields and self.sends(fields, records):
            self.found["read"] += len(fields) * len(records)
            return
        for field in fields:
            for record in records:
                if self.sends([field], record, blame=field):
                    self.found["read"] += 1

    def records(self):
        model = self.env[self.name].with_context(active_test=False)
        try:
            with self.env.cr.savepoint():
                found = model.search([], limit=RECORDS, order="id desc")
                if not found and model._transient:
                    found = model.create({})
                return found
        except Exception:
            return self.related()

    def related(self):
        """Records that only relations lead to, as those of `account.root`."""
        for model in self.env.values():
            for field in model._fields.values():
                if (
                    field.type == "many2one"
                    and field.comodel_name == self.name
                    and model._auto
                    and field.store
                    and not model._abstract
                ):
                    found = model.search([(field.name, "!=", False)], limit=RECORDS)
                    return found[field.name]
        return self.env[self.name]

    def saves(self, field):
        """Whether a line with this field can be saved; a query less than saving it."""
        try:
            refuse_limited_fields(self.env, self.name, field)
        except Exception as error:
            self.blame(field, error)
            return False
        return True

    def sends(self, fields, records, blame=None):
        """Run an action with these fields; True when each record has its delivery."""
        deliveries = self.env[DELIVERY].search([], limit=1, order="id desc")
        last = deliveries.id or 0

        def run():
            action = self.env["ir.actions.server"].create(
                {
                    "name": "Walk",
                    "model_id": self.env["ir.model"]._get_id(self.name),
                    "state": "bwt_webhook_outbound",
                    "bwt_webhook_endpoint_id": self.endpoint.id,
                    "bwt_webhook_field_ids": [
                        (0, 0, {"usage": "field", "source_expression": field})
                        for field in fields
                    ],
                }
            )
            action.with_context(
                active_model=self.name,
                active_ids=records.ids,
                active_id=records[:1].id,
            ).run()

        if not self.holds(run, blame=blame):
            return False
        queued = self.env[DELIVERY].search([("id", ">", last)])
        failed = queued.filtered(lambda each: each.state != "queued")
        if blame and failed:
            self.refuse(failed[0].processing_error or "")
        for delivery in queued - failed:
            assert set(fields) <= set(json.loads(delivery.payload_json)), delivery
        return not failed and len(queued) == len(records)

    def holds(self, act, blame):
        """Whether it goes through; with `blame`, why it doesn't is counted."""
        try:
            with self.env.cr.savepoint():
                act()
        except Exception as error:
            self.env.clear()
            if blame:
                self.blame(blame, error)
            return False
        return True

    def blame(self, field, error):
        if type(error).__name__ in REFUSALS:
            template = getattr(error, "template", None)
            self.refuse(template % error.values if template else str(error))
        else:
            message = f"{self.name}.{field}: {type(error).__name__}: {error}"
            self.found["tracebacks"].append(message[:300])

    def refuse(self, message):
        """Count it under the model and the message without its names and numbers."""
        assert message, self.name
        self.found["refused"] += 1
        kind = "limited to groups"
        if kind not in message:
            message = VALUES.sub("...", message)
            kind = f"{self.name}: {message[:MESSAGE_MAX]}"
        self.found["messages"][kind] = self.found["messages"].get(kind, 0) + 1


# By name: the classes are those of the addon inside the shell.
REFUSALS = (
    "ConfigurationError",
    "PayloadError",
    "ValidationError",
    "WebhookValidationError",
    "WebhookProcessingConfigurationError",
)
