# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Part of the endpoint: all that a batch needs, read once."""

from odoo import SUPERUSER_ID, models
from odoo.exceptions import UserError
from odoo.tools import SQL

from .build_plan import EndpointPlan, needs_records
from .const import DELIVERY
from .delivery_request import WebhookDeliveryRequest

# Kept when code calls the steps directly: tests and scripts run without jobs.
_KEPT_CONTEXT = ("queue_job__no_delay",)


class WebhookEndpointPlanPart(models.AbstractModel):
    """Gives the endpoint as one frozen value for a batch of deliveries."""

    _name = "bwt.webhook.outbound.endpoint.plan"
    _description = "Outbound Webhook Endpoint: Plan"

    def _outbound_context(self):
        """Context in which everything is resolved, whoever asked for it."""
        context = {
            "allowed_company_ids": self.sudo().company_id.ids,
            "lang": self._company_lang(),
            "tz": "UTC",
        }
        for key in _KEPT_CONTEXT:
            if key in self.env.context:
                context[key] = self.env.context[key]
        return context

    def _company_lang(self):
        """Language of the company's partner, or an active one where that is archived.

        Without the many fields of company and partner: a lane asks before its first
        byte.
        """
        rows = self.env.execute_query(
            SQL(
                """SELECT p.lang FROM res_company c
                JOIN res_partner p ON p.id = c.partner_id WHERE c.id = %s""",
                self.sudo().company_id.id or None,
                to_flush=(
                    self.env["res.company"]._fields["partner_id"],
                    self.env["res.partner"]._fields["lang"],
                ),
            )
        )
        return self._active_lang(rows and rows[0][0])

    def _active_lang(self, code):
        """`code` if that language is active, else English, else any active one.

        Odoo refuses every translated text in an environment of another language.
        """
        languages = self.env["res.lang"]
        for each in (code, "en_US"):
            if each and languages._get_data(code=each):
                return each
        active = [each for each, _name in languages.get_installed()]
        return active[0] if active else "en_US"

    def _outbound_plan(self):
        """This endpoint as an `EndpointPlan`: rules, handler and policy compiled.

        A rule that can't work doesn't fail the plan: it raises when a delivery needs
        it, with a message that names it.
        """
        self.ensure_one()
        context = self._outbound_context()
        # A mapping replaces the whole context: nothing of the caller's may count.
        endpoint = self.with_user(SUPERUSER_ID)
        endpoint = endpoint.with_context(context)  # pylint: disable=context-overridden
        handler = endpoint.handler_id and endpoint.handler_id._compiled()
        header_rules = endpoint._compiled_rules("header_rule_ids")
        payload_rules = endpoint._compiled_rules("payload_rule_ids")
        backend, backend_fault, is_archived = endpoint._backend_for_plan()
        hook = type(self.env[DELIVERY])._handle_outbound_response
        return EndpointPlan(
            endpoint_id=endpoint.id,
            name=endpoint.name,
            code=endpoint.code,
            company_id=endpoint.company_id.id,
            http_method=endpoint.http_method,
            body_mode=endpoint.request_body_mode,
            hostname="" if backend_fault else endpoint._base_url_for_plan(),
            path=endpoint.target_path or "/",
            policy=endpoint._policy(),
            trust=endpoint._trust(),
            header_rules=header_rules,
            payload_rules=payload_rules,
            handler=handler or None,
            backend=backend,
            backend_fault=backend_fault,
            is_backend_archived=is_archived,
            has_response_hook=backend is not None
            or hook is not WebhookDeliveryRequest._handle_outbound_response,
            needs_records=needs_records(header_rules, payload_rules, handler),
            context=context,
            empty=endpoint._empty_value(),
        )

    def _empty_value(self):
        """What a field without a value becomes in a request: None or False."""
        return False if self.empty_value == "false" else None

    def _compiled_rules(self, field_name):
        """Active rules of one kind, in their order, read in one query."""
        rules = self.env[self._fields[field_name].comodel_name]
        return rules.search_fetch(
            [("endpoint_id", "=", self.id)], rules._READ
        )._compiled()

    def _backend_for_plan(self):
        """(model, id) of the backend, why it may not send, whether it is archived."""
        reference, is_archived = ("", 0), False
        try:
            backend = self._connector_backend()
            if backend is None:
                return None, "", False
            reference = (backend._name, backend.id)
            is_archived = bool(backend.exists()) and not backend._is_in_use()
            self._check_connector_backend()
        except UserError as error:
            return reference, str(error), is_archived
        return reference, "", False
