# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A unique technical code: a clear message if it is taken, a free one for copies."""

from contextlib import contextmanager

from psycopg2.errors import UniqueViolation

from odoo import models

from ..exceptions import WebhookProcessingConfigurationError


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
