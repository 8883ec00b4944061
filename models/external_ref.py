# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import json

from odoo import api, fields, models

from ..services.answer_rules import as_external_data, as_external_id
from ..services.errors import ServiceError
from ..services.values import storable_json
from .const import DELIVERY, EXTERNAL_REF
from .delivery_access import check_subjects
from .delivery_record import open_record
from .errors import refused


class BwtWebhookOutboundExternalRef(models.Model):
    """The id that a receiver has given to a record, and what is stored with it.

    The lane inserts these rows by SQL, with the result of the delivery that created
    the record at the receiver (`lane/sql.py`).
    """

    _name = EXTERNAL_REF
    _description = "Outbound Webhook External Reference"
    _order = "id desc"
    _rec_name = "external_id"
    _check_company_auto = True

    reference_scope = fields.Char(
        required=True,
        help="Endpoints with this scope share the reference.",
    )
    company_id = fields.Many2one(
        "res.company",
        required=True,
        index=True,
        default=lambda self: self.env.company,
    )
    res_model = fields.Char(string="Record Model", required=True)
    res_id = fields.Many2oneReference(
        string="Record ID", model_field="res_model", required=True
    )
    record_name = fields.Char(
        string="Record",
        compute="_compute_record_name",
        help="Name of the record, if you may read it.",
    )
    external_id = fields.Char(
        string="External ID",
        required=True,
        help="The ID of the record at the receiver: {external_id} in paths, headers "
        "and rules.",
    )
    data = fields.Text(
        help="A JSON object with further values of the receiver: {external.key}."
    )
    last_delivery_id = fields.Many2one(
        DELIVERY,
        readonly=True,
        check_company=True,
        ondelete="set null",
        index="btree_not_null",
        help="The last delivery whose response set or confirmed it.",
    )

    _record_unique = models.UniqueIndex(
        "(reference_scope, res_model, res_id)",
        "The record has an external ID in this scope already. Change that reference.",
    )
    _external_id_unique = models.UniqueIndex(
        "(reference_scope, res_model, external_id)",
        "Another record has this external ID in this scope already. Enter another one.",
    )

    @api.depends("res_model", "res_id")
    @api.depends_context("lang")
    def _compute_record_name(self):
        self.record_name = False
        for model_name, refs in self.grouped("res_model").items():
            if model_name not in self.env:
                continue
            records = self.env[model_name].browse(refs.mapped("res_id")).exists()
            names = {
                record.id: record.display_name
                for record in records._filtered_access("read")
            }
            for ref in refs:
                ref.record_name = names.get(ref.res_id)

    @api.model_create_multi
    def create(self, vals_list):
        refs = super().create(vals_list)
        refs._check_subjects()
        return refs

    def write(self, vals):
        super().write(vals)
        if {"res_model", "res_id"} & vals.keys():
            self._check_subjects()
        return True

    def _check_subjects(self):
        """A user refers only to records that they may read."""
        if not self.env.su:
            check_subjects(self.env, [(ref.res_model, ref.res_id) for ref in self])

    @api.constrains("reference_scope", "company_id")
    def _check_company_of_scope(self):
        for ref in self.sudo():
            domain = [
                ("reference_scope", "=", ref.reference_scope),
                ("company_id", "!=", ref.company_id.id),
            ]
            endpoints = self.env["bwt.webhook.outbound.endpoint"].sudo()
            if endpoints.search_count(domain, limit=1):
                raise refused(
                    ref,
                    self.env._(
                        'the reference scope "%s" belongs to another company. Choose '
                        "another one.",
                        ref.reference_scope,
                    ),
                )

    @api.constrains("data", "external_id")
    def _check_data(self):
        for ref in self:
            try:
                is_object = isinstance(json.loads(ref.data or "{}"), dict)
            except (ValueError, RecursionError):
                is_object = False
            if not is_object:
                raise refused(
                    ref,
                    self.env._(
                        "the data is not a JSON object. Write one, such as "
                        '{"url": "https://shop.example.com/7"}.'
                    ),
                )
            if not (ref.external_id or "").strip():
                raise refused(ref, self.env._("the external ID is empty. Enter it."))

    def action_view_record(self):
        """Open the record."""
        self.ensure_one()
        return open_record(self)

    # For code of this addon

    @api.model
    def _find(self, scope, model_name, **key):
        """The reference of a record, with sudo, by its `res_id` or `external_id`."""
        values = {"reference_scope": scope, "res_model": model_name, **key}
        domain = [(name, "=", value) for name, value in values.items()]
        return self.sudo().search(domain, limit=1)

    @api.model
    def _store(
        self,
        endpoint,
        model_name,
        record_id,
        *,
        external_id,
        data,
        delivery=None,
        scope=None,
    ):
        """Create or complete a reference; see `endpoint._set_external_ref`.

        :param delivery: whose response said so
        :param scope: that of the endpoint by default
        """
        scope = scope or endpoint.sudo().reference_scope
        found = self._find(scope, model_name, res_id=record_id)
        try:
            external_id = external_id and as_external_id(external_id)
            for key, value in data.items():
                as_external_data(key, value)
        except ServiceError as error:
            raise refused(endpoint, error) from error
        if found and external_id and found.external_id != external_id:
            raise refused(
                endpoint,
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
        self._check_is_free(endpoint, model_name, external_id, scope)
        return found.create(
            {
                **vals,
                "reference_scope": scope,
                "company_id": endpoint.sudo().company_id.id,
                "res_model": model_name,
                "res_id": record_id,
                "external_id": external_id,
            }
        )

    def _check_is_free(self, endpoint, model_name, external_id, scope):
        if not external_id:
            raise refused(
                endpoint,
                self.env._(
                    "the record has no external ID yet, so data can't be stored with "
                    "it. Store the ID too."
                ),
            )
        other = self._find(scope, model_name, external_id=external_id)
        if other:
            raise refused(
                endpoint,
                self.env._(
                    'another record (%(model)s, %(id)s) has the external ID "%(new)s" '
                    "already. Check what the receiver returns as ID.",
                    model=other.res_model,
                    id=other.res_id,
                    new=external_id,
                ),
            )
