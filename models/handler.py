# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Handlers decide, before a request is sent, whether and how it is sent."""

import inspect
from functools import lru_cache

from odoo import api, fields, models

from ..callback import is_webhook_callback
from ..services.request import OutboundRequest
from .configuration import HANDLER_FIELDS, empty_list_help, raise_config_version
from .configuration_audit import recorded
from .const import DRY_RUN, ENDPOINT, HANDLER_RULE
from .endpoint_snapshot import CompiledHandler
from .errors import misconfigured, refused


class BwtWebhookHandler(models.Model):
    """Decides by rules or by a marked Python method."""

    _name = "bwt.webhook.handler"
    _description = "Webhook Handler"
    _inherit = ["mail.thread", "mail.activity.mixin", "bwt.webhook.unique.code"]
    _order = "name, id"
    _check_company_auto = True

    name = fields.Char(required=True)
    code = fields.Char(
        required=True,
        index=True,
        copy=False,
        help="Technical name, unique across all companies.",
    )
    active = fields.Boolean(
        default=True,
        help="An archived handler doesn't run: deliveries of its endpoints end in "
        "Error until it is restored or removed from the endpoint.",
    )
    company_id = fields.Many2one(
        "res.company",
        required=True,
        index=True,
        default=lambda self: self.env.company,
    )
    direction = fields.Selection(
        [("outbound", "Outbound")],
        required=True,
        default="outbound",
        help="Always Outbound: this addon only sends.",
    )
    execution_mode = fields.Selection(
        [("model_driven", "Rules"), ("python", "Python Method")],
        required=True,
        default="model_driven",
        help="Rules: the first active rule whose conditions are all met applies. "
        "Python Method: a model method marked with @webhook_callback decides.",
    )
    python_model_name = fields.Char(
        string="Python Model",
        help="Technical name of the model that has the method, such as sale.order.",
    )
    python_method_name = fields.Char(
        string="Python Method",
        help="Name of a method marked with @webhook_callback. It receives the "
        "delivery and the request.",
    )
    note = fields.Text()
    outbound_rule_ids = fields.One2many(
        HANDLER_RULE,
        "handler_id",
        string="Rules",
        copy=True,
        context={"active_test": False},
        help="The first active rule whose conditions are all met applies. If none "
        "applies, the request is sent.",
    )
    outbound_endpoint_ids = fields.One2many(
        ENDPOINT,
        "handler_id",
        string="Endpoints",
        help="Endpoints that use this handler.",
    )

    _code_unique = models.UniqueIndex(
        "(code)",
        "Another handler, maybe in another company, has this code already. Choose "
        "another code.",
    )

    @api.model_create_multi
    def create(self, vals_list):
        codes = [vals.get("code") for vals in vals_list]
        with recorded(self.env) as audit, self._unique_codes(codes):
            handlers = super().create(vals_list)
            audit.ignore(handlers)
        return handlers

    def write(self, vals):
        codes = [vals.get("code")] * len(self)
        with recorded(self.env, self), self._unique_codes(codes):
            result = super().write(vals)
        if HANDLER_FIELDS & vals.keys():
            raise_config_version(self.sudo().outbound_endpoint_ids)
        return result

    @api.model
    def get_empty_list_help(self, help_message):
        return empty_list_help(self, super().get_empty_list_help(help_message))

    def _model_of_records(self):
        """The model of the records that deliveries are about, if it is known."""
        return self.outbound_endpoint_ids._model_of_records()

    @api.constrains("company_id")
    def _check_endpoint_companies(self):
        """Refuse a company that endpoints of another company could not use."""
        for handler in self.sudo():
            others = handler.outbound_endpoint_ids.filtered(
                lambda endpoint, handler=handler: (
                    endpoint.company_id != handler.company_id
                )
            )
            if others:
                raise misconfigured(
                    handler,
                    self.env._(
                        "endpoint %(endpoint)s of company %(company)s uses it. Give "
                        "that endpoint another handler first.",
                        endpoint=others[0].display_name,
                        company=others[0].company_id.display_name,
                    ),
                )

    @api.ondelete(at_uninstall=False)
    def _unlink_except_used(self):
        """Without it the endpoint would send what the handler prevents."""
        for handler in self.sudo():
            endpoints = handler.outbound_endpoint_ids
            if endpoints:
                raise refused(
                    handler,
                    self.env._(
                        "endpoint %(endpoint)s uses it. Give that endpoint another "
                        "handler first, or archive this one.",
                        endpoint=endpoints[0].display_name,
                    ),
                )

    @api.constrains("execution_mode", "python_model_name", "python_method_name")
    def _check_python_method(self):
        """Refuse a method that doesn't exist or isn't marked as callback."""
        for handler in self.filtered(lambda each: each.execution_mode == "python"):
            handler._python_callback()

    def _python_callback(self):
        """The marked method, bound; raises if it is missing or not marked."""
        model_name = (self.python_model_name or "").strip()
        method_name = (self.python_method_name or "").strip()
        if not model_name or not method_name:
            raise misconfigured(
                self,
                self.env._(
                    "a Python handler needs a model and a method. Fill in both, or "
                    "set the execution mode to Rules."
                ),
            )
        model = self.env.get(model_name)
        if model is None:
            raise misconfigured(
                self,
                self.env._(
                    'model "%(model)s" doesn\'t exist. Check its name and that its '
                    "addon is installed.",
                    model=model_name,
                ),
            )
        if not is_webhook_callback(type(model), method_name):
            raise misconfigured(
                self,
                self.env._(
                    'method "%(method)s" of %(model)s is not a webhook callback. '
                    "Mark it with @webhook_callback, or name another one.",
                    method=method_name,
                    model=model_name,
                ),
            )
        return getattr(model, method_name)

    def action_compare(self):
        """Open a dry run of an endpoint that uses it, with this handler."""
        self.ensure_one()
        self.check_access("write")
        endpoint = self.outbound_endpoint_ids[:1]
        if not endpoint:
            raise refused(
                self,
                self.env._(
                    "no endpoint uses it. Press Compare with Past Deliveries on the "
                    "endpoint whose deliveries you want, and choose this handler there."
                ),
            )
        return self.env[DRY_RUN]._action_new(endpoint, handler=self)

    @api.private
    def execute_outbound(self, delivery, request_data=None):
        """The decision of this handler on `delivery`, as returned.

        :param request_data: the request so far, an `OutboundRequest` or its `to_dict()`
        :return: a result dict, None, True or False: see `HandlerOutcome.from_raw`
        """
        self.ensure_one()
        if self.execution_mode != "python":
            return delivery._execute_model_driven_handler(self, request_data)
        callback = self._python_callback()
        if _arguments(callback.__func__) < 2:
            return callback(delivery)
        if request_data is None:
            request_data = delivery._build_outbound_request()
        elif not isinstance(request_data, OutboundRequest):
            request_data = OutboundRequest.from_dict(request_data)
        return callback(delivery, request_data)

    def _compiled(self):
        """This handler with its active rules, as a value for some batches."""
        self.ensure_one()
        by_rules = self.execution_mode != "python"
        return CompiledHandler(
            id=self.id,
            name=self.display_name,
            active=self.active,
            rules=self.env[HANDLER_RULE]._compiled_of(self) if by_rules else (),
        )


@lru_cache(256)
def _arguments(function):
    """How many arguments after self `function` takes by position; 2 means 2 or more."""
    parameters = list(inspect.signature(function).parameters.values())[1:]
    if any(each.kind is each.VAR_POSITIONAL for each in parameters):
        return 2
    positional = (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
    )
    return sum(each.kind in positional for each in parameters)
