# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
from odoo import Command, api, models

from .const import DELIVERY, GROUP_OPERATOR

MODULE = "bwt_webhooks_outbound"


class DeliveriesOfRecord(models.AbstractModel):
    """The way from any record to the deliveries about it."""

    _name = "bwt.webhook.outbound.delivery.of_record"
    _description = "Outbound Webhook Delivery: Of a Record"

    @api.model
    def _bind_to_model(self, model_name):
        """Put "Webhook Deliveries" into a model's Action menu, once.

        The action has an XML id of this addon, so that it goes when the addon goes.
        :return: the window action
        """
        name = f"record_deliveries_{model_name.replace('.', '_')}"
        found = self.env.ref(f"{MODULE}.{name}", raise_if_not_found=False)
        if found:
            return found
        action = (
            self.env["ir.actions.act_window"]
            .sudo()
            ._load_records(
                [
                    {
                        "xml_id": f"{MODULE}.{name}",
                        "noupdate": True,
                        "values": {
                            "name": self.env._("Webhook Deliveries"),
                            "res_model": DELIVERY,
                            "view_mode": "list,kanban,form",
                            "domain": "[('res_model', '=', active_model), "
                            "('res_id', 'in', active_ids)]",
                            "context": "{}",
                            "binding_model_id": self.env["ir.model"]._get_id(
                                model_name
                            ),
                            "binding_view_types": "list,kanban,form",
                            "group_ids": [
                                Command.link(self.env.ref(GROUP_OPERATOR).id)
                            ],
                        },
                    }
                ]
            )
        )
        return action
