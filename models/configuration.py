# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What endpoints, handlers and their rules have in common: a version, a unique code.

The version is a counter on the endpoint, raised by each change of what shapes its
requests: a retry repeats the body of the attempt before only if it is the same.
"""

import re
from contextlib import contextmanager

from psycopg2.errors import UniqueViolation

from odoo import api, models
from odoo.tools import SQL

from ..exceptions import WebhookProcessingConfigurationError
from .configuration_audit import owners, owners_of_new, recorded

# Fields of the endpoint that decide what a request contains, headers of authentication
# and signature left out: these are made again for each attempt.
ENDPOINT_FIELDS = frozenset(
    {
        *("company_id", "connector_backend_ref", "handler_id"),
        *("target_hostname", "target_path", "http_method", "request_body_mode"),
        *("empty_value", "create_or_update", "update_method", "update_path"),
        *("reference_scope", "body_template", "body_template_type"),
        *("csv_delimiter", "csv_quote", "csv_quote_all", "csv_decimal_comma"),
        *("csv_header", "csv_line_end", "csv_charset", "csv_guard_formulas"),
    }
)
HANDLER_FIELDS = frozenset(
    {"active", "execution_mode", "python_model_name", "python_method_name"}
)


def raise_config_version(endpoints):
    """Count one more change of these endpoints, in the transaction of the change."""
    if not endpoints.ids:
        return
    # By SQL: two changes in overlapping transactions must not end in one number.
    endpoints.env.cr.execute(
        SQL(
            """UPDATE bwt_webhook_outbound_endpoint
            SET config_version = COALESCE(config_version, 0) + 1 WHERE id = ANY(%s)""",
            sorted(endpoints.ids),
        )
    )
    endpoints.invalidate_recordset(["config_version"], flush=False)


class BwtWebhookOutboundConfigPart(models.AbstractModel):
    """Rules and other records that are part of the configuration of endpoints."""

    _name = "bwt.webhook.outbound.config.part"
    _description = "Outbound Webhook Configuration Part"

    def _configured_endpoints(self):
        """The endpoints whose requests these records shape."""
        raise NotImplementedError

    @api.model_create_multi
    def create(self, vals_list):
        with recorded(self.env, owners_of_new(self, vals_list)):
            parts = super().create(vals_list)
        raise_config_version(parts.sudo()._configured_endpoints())
        return parts

    def write(self, vals):
        endpoints = self.sudo()._configured_endpoints()
        with recorded(self.env, owners(self)):
            super().write(vals)
        raise_config_version(endpoints | self.sudo()._configured_endpoints())
        return True

    def unlink(self):
        endpoints = self.sudo()._configured_endpoints()
        with recorded(self.env, owners(self)):
            result = super().unlink()
        raise_config_version(endpoints.exists())
        return result


class BwtWebhookUniqueCode(models.AbstractModel):
    """Part of models with `name`, `code` and a unique index on the code.

    Their `create` and `write` write codes in a block of `_unique_codes`: Odoo
    translates a violated index only for clients, so code that creates a record, or a
    data file, would get the error of the database, and lose its transaction.
    """

    _name = "bwt.webhook.unique.code"
    _description = "Webhook Record With a Unique Code"

    @contextmanager
    def _unique_codes(self, codes):
        """Refuse codes that are taken; in the block they are written.

        :param self: the records that get the codes; empty for new ones
        """
        codes = [code for code in codes if code]
        if not codes:
            yield
            return
        self._refuse_taken_codes(codes)
        self.env.flush_all()
        try:
            # Without its flush, which would end the tracking of pending changes.
            with self.env.cr.savepoint(flush=False):
                yield
                self.flush_recordset(["code"])
        except UniqueViolation as error:
            # Another transaction has used a code meanwhile.
            if not (error.diag.constraint_name or "").endswith("_code_unique"):
                raise
            self.env.transaction.clear()  # what was created here was rolled back
            raise self._code_is_taken(", ".join(codes)) from error

    def _refuse_taken_codes(self, codes):
        for code in {code for code in codes if codes.count(code) > 1}:
            raise self._code_is_taken(code)
        everywhere = self.sudo().with_context(active_test=False)
        domain = [("code", "in", codes), ("id", "not in", self.ids)]
        taken = everywhere.search(domain, limit=1)
        if taken:
            raise self._code_is_taken(taken.code)

    def copy_data(self, default=None):
        """A copy gets a code of its own; another name too, unless one is given."""
        default = dict(default or {})
        vals_list = super().copy_data(default)
        if "code" in default:
            return vals_list
        for record, vals in zip(self, vals_list, strict=True):
            vals["code"] = self._free_code(f"{record.code}-copy")
            vals["name"] = default.get("name") or self.env._("%s (copy)", record.name)
        return vals_list

    def _free_code(self, wanted):
        everywhere = self.sudo().with_context(active_test=False)
        code, number = wanted, 1
        while everywhere.search_count([("code", "=", code)], limit=1):
            number += 1
            code = f"{wanted}-{number}"
        return code

    def _code_is_taken(self, code):
        return WebhookProcessingConfigurationError(
            self.env._(
                'Code "%(code)s" is already used by another %(model)s, maybe in '
                "another company. Choose another code, or another code suffix.",
                code=code,
                model=self.env["ir.model"]._get(self._name).sudo().name,
            )
        )


CREATE = re.compile(r'<p class="o_bwt_webhook_create">.*?</p>', re.DOTALL)


def empty_list_help(model, help_message):
    """The help of an action's empty list, without its button if users may not create.

    :param model: an empty recordset of the action's model, maybe in superuser mode:
        that is how Odoo reads actions
    """
    if help_message and not model.sudo(False).has_access("create"):
        return CREATE.sub("", help_message)
    return help_message
