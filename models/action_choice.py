# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
from odoo import api, fields, models
from odoo.exceptions import AccessError
from odoo.fields import Domain

from .const import ACTION_STATE, ENDPOINT
from .errors import refused

COMPUTED = frozenset({"endpoint_id", "company_id", "res_model"})


class BwtWebhookOutboundActionChoice(models.AbstractModel):
    """A server action that says what is sent and where; of runs and reconciliations.

    Server actions can be read by Settings administrators only, so others choose one
    from a selection.
    """

    _name = "bwt.webhook.outbound.action.choice"
    _description = "Outbound Webhook: Choice of a Server Action"
    # Written by buttons and jobs as superuser.
    _engine_fields = frozenset()

    action_id = fields.Many2one(
        comodel_name="ir.actions.server",
        string="Linked Server Action",
        ondelete="set null",
        help="It defines endpoint and payload. Its filter, watched fields and skipped "
        "users don't apply.",
    )
    action_choice = fields.Selection(
        selection="_selection_actions",
        string="Server Action",
        compute="_compute_action_choice",
        inverse="_inverse_action_choice",
        help="A server action that queues deliveries: it defines endpoint and payload.",
    )
    endpoint_id = fields.Many2one(
        comodel_name=ENDPOINT,
        compute="_compute_of_action",
        store=True,
        index=True,
        ondelete="cascade",
    )
    company_id = fields.Many2one(
        related="endpoint_id.company_id", store=True, index=True
    )
    res_model = fields.Char(
        string="Model", compute="_compute_of_action", store=True, help="Of the records."
    )

    @api.model
    def _selection_actions(self):
        """Server actions of endpoints that the user may read: pairs (id, name)."""
        domain = Domain.TRUE
        if endpoint_id := self.env.context.get("webhook_endpoint_id"):
            domain = Domain("id", "=", endpoint_id)
        endpoints = self.env[ENDPOINT].search(domain)
        actions = self.env["ir.actions.server"].sudo()
        found = actions.search(
            [
                ("state", "=", ACTION_STATE),
                ("bwt_webhook_endpoint_id", "in", endpoints.ids),
            ]
        )
        return [
            (str(each.id), f"{each.name} → {each.bwt_webhook_endpoint_id.name}")
            for each in found
        ]

    @api.depends("action_id")
    def _compute_action_choice(self):
        known = dict(self._selection_actions())
        for run in self:
            key = str(run.sudo().action_id.id)
            run.action_choice = key in known and key

    def _inverse_action_choice(self):
        for run in self:
            run.action_id = int(run.action_choice) if run.action_choice else False

    @api.onchange("action_choice")
    def _onchange_action_choice(self):
        self._inverse_action_choice()
        for each in self:
            action = each.sudo().action_id
            if action and each.name in (False, each._fields["name"].default(each)):
                each.name = action.name

    @api.depends("action_id")
    def _compute_of_action(self):
        for run in self:
            action = run.sudo().action_id
            run.endpoint_id = action.bwt_webhook_endpoint_id
            run.res_model = action.model_id.model

    def _check_action_choice(self):
        action = self.action_id
        if not action:
            raise refused(
                self, self.env._("it has no server action. Choose what to send.")
            )
        if action.state != ACTION_STATE or not action.bwt_webhook_endpoint_id:
            raise refused(
                self,
                self.env._(
                    "its server action doesn't queue webhooks. Choose one of the type "
                    "Queue Outbound Webhook."
                ),
            )
        model = self.env.get(action.model_id.model)
        if model is None or model._abstract or model._transient:
            raise refused(
                self,
                self.env._(
                    "records of its server action aren't stored. Choose another one."
                ),
            )

    def _engine_defaults(self):
        found = {}
        for name in self._engine_fields - COMPUTED:
            default = self._fields[name].default
            found[name] = default(self) if default else False
        return found

    def _refuse_engine_fields(self, vals, blank):
        """Refuse, for a user, values that buttons and jobs write.

        :param blank: values that are allowed since they are the defaults
        """
        given = sorted(
            self._fields[name]._description_string(self.env)
            for name in self._engine_fields & vals.keys()
            if name not in blank or (vals[name] or False) != (blank[name] or False)
        )
        if given:
            raise AccessError(
                self.env._(
                    "%s can't be set by hand: they are recorded while it works. Use "
                    "the buttons of the form instead.",
                    ", ".join(given),
                )
            )

    def _with_action(self, vals):
        """`vals` with the action that was chosen, and its name as name."""
        vals = dict(vals)
        choice = vals.pop("action_choice", None)
        if choice and str(choice).isdecimal():
            vals["action_id"] = int(choice)
        action = self.env["ir.actions.server"].sudo().browse(vals.get("action_id"))
        if action.exists() and not vals.get("name"):
            vals["name"] = action.name
        return vals

    def _check_endpoint_access(self):
        """A user sends only to endpoints that they may read."""
        if not self.env.su:
            self.endpoint_id.check_access("read")
