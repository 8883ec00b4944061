# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The button Webhooks on forms of models whose records are sent; secrets in logs."""

from lxml import etree

from odoo import api, models

from .audit_log import AUDIT_LINE, masked_lines
from .const import GROUP_OPERATOR


class Base(models.AbstractModel):
    _inherit = "base"

    # Here, since the model of another addon can't be extended without requiring it.
    @api.model_create_multi
    def create(self, vals_list):
        """Create records; a line of an audit log contains no secret."""
        if self._name == AUDIT_LINE:
            vals_list = masked_lines(self.env, vals_list)
        return super().create(vals_list)

    @api.model
    def _get_view(self, view_id=None, view_type="form", **options):
        """Add the button to the form of a model that is sent. The result is cached."""
        arch, view = super()._get_view(view_id, view_type, **options)
        if (
            view_type == "form"
            and not self._transient
            and not self._abstract
            and self._name in self.env["ir.actions.server"]._bwt_webhook_models()
        ):
            boxes = arch.xpath("/form//div[@name='button_box'][not(ancestor::field)]")
            if boxes:
                boxes[0].append(
                    etree.Element(
                        "widget",
                        name="webhook_record_button",
                        groups=GROUP_OPERATOR,
                        invisible="not id",
                    )
                )
        return arch, view
