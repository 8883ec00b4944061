# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Part of the endpoint: what it reads from responses, and external references."""

import json

from odoo import api, fields, models

from ..services.answer_rules import AnswerSnapshot, as_external_data, as_external_id
from ..services.egress.target_url import check_path
from ..services.errors import ServiceError
from ..services.template import clean_path
from ..services.values import storable_json
from .const import ANSWER_RULE, ANSWER_VALUE, EXTERNAL_REF, GROUP_OPERATOR, HTTP_METHODS
from .errors import misconfigured, refused

SCOPE_MAX = 200  # characters


class BwtWebhookOutboundEndpointAnswer(models.AbstractModel):
    """Conditions on responses, values taken from them, and create or update."""

    _name = "bwt.webhook.outbound.endpoint.answer"
    _description = "Outbound Webhook Endpoint: Answer"

    answer_rule_ids = fields.One2many(
        comodel_name=ANSWER_RULE,
        inverse_name="endpoint_id",
        string="Answer Conditions",
        context={"active_test": False},
        copy=True,
        groups=GROUP_OPERATOR,
        help="What a response means for its delivery: the first condition that it "
        "meets decides. Without one, 2xx is done, and the delivery policy decides "
        "about all other responses.",
    )
    answer_value_ids = fields.One2many(
        comodel_name=ANSWER_VALUE,
        inverse_name="endpoint_id",
        string="Answer Values",
        context={"active_test": False},
        copy=True,
        groups=GROUP_OPERATOR,
        help="Values of the response that are stored in the record that the delivery "
        "is about, or in its external reference.",
    )
    # Read with the endpoint: one without them costs a lane no query.
    has_answer_rules = fields.Boolean(
        compute="_compute_has_answer_rules", store=True, groups=GROUP_OPERATOR
    )
    has_answer_values = fields.Boolean(
        compute="_compute_has_answer_rules", store=True, groups=GROUP_OPERATOR
    )
    stores_external_id = fields.Boolean(
        compute="_compute_stores_external_id", groups=GROUP_OPERATOR
    )
    reference_scope = fields.Char(
        copy=False,
        groups=GROUP_OPERATOR,
        help="External references are stored per scope: endpoints of one receiver "
        "share them if they have the same scope. Default: the code of the endpoint.",
    )
    create_or_update = fields.Boolean(
        string="Create or Update",
        tracking=True,
        groups=GROUP_OPERATOR,
        help="A record without an external reference is sent with HTTP Method and "
        "Target Path, which create it at the receiver; one with a reference is sent "
        "with Update Method and Update Path. Deliveries about one record are sent one "
        "after the other. Only one endpoint of a reference scope can create.",
    )
    update_method = fields.Selection(
        HTTP_METHODS, default="put", tracking=True, groups=GROUP_OPERATOR
    )
    update_path = fields.Char(
        tracking=True,
        groups=GROUP_OPERATOR,
        help="Path for a record that the receiver knows, such as "
        "/orders/{external_id}.",
    )

    @api.depends(
        *("answer_rule_ids.active", "answer_rule_ids.endpoint_id"),
        *("answer_value_ids.active", "answer_value_ids.endpoint_id"),
    )
    def _compute_has_answer_rules(self):
        for endpoint in self:
            endpoint.has_answer_rules = any(endpoint.answer_rule_ids.mapped("active"))
            endpoint.has_answer_values = any(endpoint.answer_value_ids.mapped("active"))

    @api.depends("answer_value_ids.active", "answer_value_ids.target_kind")
    def _compute_stores_external_id(self):
        for endpoint in self:
            endpoint.stores_external_id = any(
                value.active and value.target_kind == "external_id"
                for value in endpoint.answer_value_ids
            )

    @api.onchange("create_or_update")
    def _onchange_create_or_update(self):
        """Propose the update, and the order that saving sets."""
        if not self.create_or_update:
            return
        self.ordering, self.parallel_lanes = "key", 1
        if not self.update_path:
            path = (self.target_path or "/").partition("?")[0].rstrip("/")
            self.update_path = f"{path}/{{external_id}}"

    @api.model
    def _clean_answer(self, vals):
        """Values to write: a clean update path, the order that creating needs."""
        vals = dict(vals)
        if vals.get("update_path"):
            path = vals["update_path"].strip()
            path = path if path.startswith("/") else f"/{path}"
            try:
                vals["update_path"] = clean_path(path)
            except ServiceError as error:
                named = {key: vals[key] for key in ("name", "code") if key in vals}
                raise misconfigured(self[:1] or self.new(named), error) from error
        if vals.get("create_or_update"):
            # Otherwise a record may be created twice: by a second change of it, while
            # the response to the first is awaited.
            vals.setdefault("ordering", "key")
            vals.setdefault("parallel_lanes", 1)
        if "reference_scope" in vals:
            vals["reference_scope"] = (vals["reference_scope"] or "").strip()
        return vals

    @api.constrains("create_or_update", "update_method", "update_path", "ordering")
    def _check_create_or_update(self):
        for endpoint in self.filtered("create_or_update"):
            if not endpoint.update_method or not endpoint.update_path:
                raise misconfigured(
                    endpoint,
                    self.env._(
                        "Create or Update needs the method and path of an update. "
                        "Enter them, as in PUT /orders/{external_id}."
                    ),
                )
            if endpoint.ordering == "none":
                raise misconfigured(
                    endpoint,
                    self.env._(
                        "Create or Update needs an ordering: otherwise a record may be "
                        "created twice. Set Ordering to One after the other per key."
                    ),
                )
            try:
                check_path(endpoint.update_path)
            except ServiceError as error:
                raise misconfigured(endpoint, error) from error

    @api.constrains("answer_value_ids")
    def _check_one_external_id(self):
        """Refuse two IDs of one response, unless each may be missing.

        Otherwise every response with one of them would leave a note on the other.
        Not a constraint of the values: those run after each line of a form, and would
        refuse what its next lines correct.
        """
        for endpoint in self:
            values = endpoint.answer_value_ids.filtered(
                lambda value: value.active and value.target_kind == "external_id"
            )
            if len(values) > 1 and set(values.mapped("if_empty")) != {"omit"}:
                raise misconfigured(
                    endpoint,
                    self.env._(
                        "more than one answer value is stored as External ID "
                        "(%(paths)s), but a record has one ID. Delete the others, or "
                        "set If Missing of each to Leave Unchanged if a response "
                        "contains one of them only.",
                        paths=", ".join(
                            value.source_expression or value.display_name
                            for value in values
                        ),
                    ),
                )

    @api.constrains("reference_scope", "company_id")
    def _check_reference_scope(self):
        for endpoint in self.sudo():
            scope = endpoint.reference_scope or ""
            if not 0 < len(scope) <= SCOPE_MAX:
                raise misconfigured(
                    endpoint,
                    self.env._(
                        "the reference scope is empty or too long. Enter the name of "
                        "the receiver, such as shop, in up to %s characters.",
                        SCOPE_MAX,
                    ),
                )
            domain = [
                ("reference_scope", "=", scope),
                ("company_id", "!=", endpoint.company_id.id),
            ]
            taken = self.sudo().search_count(domain, limit=1)
            if taken or self.env[EXTERNAL_REF].sudo().search_count(domain, limit=1):
                raise misconfigured(
                    endpoint,
                    self.env._(
                        'the reference scope "%s" belongs to another company. Choose '
                        "another one.",
                        scope,
                    ),
                )

    # For the lane

    def _answer_snapshot(self):
        """What is read from responses as an `AnswerSnapshot`; None if nothing is."""
        rules = values = ()
        if self.has_answer_rules:
            found = self.env[ANSWER_RULE].search([("endpoint_id", "=", self.id)])
            rules = found._compiled()
        if self.has_answer_values:
            found = self.env[ANSWER_VALUE].search([("endpoint_id", "=", self.id)])
            values = found._compiled(self.reference_scope)
        return AnswerSnapshot(rules, values) if rules or values else None

    def _update_request(self):
        """Method and path of an update; None if records are not created or updated."""
        if not self.create_or_update:
            return None
        return self.update_method, self.update_path or "/"

    # For code

    def _get_external_ref(self, record):
        """The external reference of a record in the scope of this endpoint.

        :param record: one saved record
        :return: `bwt.webhook.outbound.external.ref` with sudo; empty without one
        """
        self.ensure_one()
        record.ensure_one()
        return self._find_external_ref(
            self._own_scope(), record._name, res_id=record.id
        )

    def _set_external_ref(self, record, external_id=None, data=None):
        """Store the id of a record at the receiver, and data with it.

        :param record: one saved record
        :param external_id: text or integer; may be left out if the record has one
        :param data: mapping of keys to JSON values, merged with what is stored
        :return: the external reference with sudo
        :raise ValidationError: the record has another id, or another record has this
            one, or there is none yet
        """
        self.ensure_one()
        record.ensure_one()
        return self._store_external_ref(
            *(record._name, record.id),
            external_id=external_id,
            data=dict(data or {}),
        )

    def _own_scope(self):
        return self.sudo().reference_scope

    def _find_external_ref(self, scope, model_name, **key):
        """The reference of a record, by its `res_id` or its `external_id`."""
        values = {"reference_scope": scope, "res_model": model_name, **key}
        domain = [(name, "=", value) for name, value in values.items()]
        return self.env[EXTERNAL_REF].sudo().search(domain, limit=1)

    def _store_external_ref(
        self, model_name, record_id, *, external_id, data, delivery=None, scope=None
    ):
        """Create or complete a reference; see `_set_external_ref`.

        :param delivery: whose response said so
        :param scope: that of the endpoint by default
        """
        scope = scope or self._own_scope()
        found = self._find_external_ref(scope, model_name, res_id=record_id)
        try:
            external_id = external_id and as_external_id(external_id)
            for key, value in data.items():
                as_external_data(key, value)
        except ServiceError as error:
            raise refused(self, error) from error
        if found and external_id and found.external_id != external_id:
            raise refused(
                self,
                self.env._(
                    'the record has the external ID "%(old)s", and the new one is '
                    '"%(new)s". Find out which one is right; if it is the new one, '
                    "enter it in Webhooks > Configuration > External References.",
                    old=found.external_id,
                    new=external_id,
                ),
            )
        vals = {"last_delivery_id": delivery.id} if delivery else {}
        if data:
            stored = json.loads(found.data or "{}") | data
            vals["data"] = storable_json(json.dumps(stored, ensure_ascii=False))
        if found:
            found.write(vals)
            return found
        self._check_external_id_is_free(model_name, external_id, scope)
        return found.create(
            {
                **vals,
                "reference_scope": scope,
                "company_id": self.sudo().company_id.id,
                "res_model": model_name,
                "res_id": record_id,
                "external_id": external_id,
            }
        )

    def _check_external_id_is_free(self, model_name, external_id, scope):
        if not external_id:
            raise refused(
                self,
                self.env._(
                    "the record has no external ID yet, so data can't be stored with "
                    "it. Store the ID too."
                ),
            )
        other = self._find_external_ref(scope, model_name, external_id=external_id)
        if other:
            raise refused(
                self,
                self.env._(
                    'another record (%(model)s, %(id)s) has the external ID "%(new)s" '
                    "already. Check what the receiver returns as ID.",
                    model=other.res_model,
                    id=other.res_id,
                    new=external_id,
                ),
            )
