# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What a dry run has found about one delivery: then and now, side by side."""

import json

from markupsafe import Markup

from odoo import api, fields, models

from ..services.values import indented
from .const import ATTEMPT, DELIVERY, DRY_RUN
from .dry_run_build import VERDICTS
from .fields import CopiedRelation

SHOWN_MAX = 64 * 1024  # characters of a new body that are stored
CONTENT_MAX = 64 * 2**20  # characters of the new bodies of a dry run
CUT = "\n[... cut: the body is longer]"


class BwtWebhookOutboundDryRunResult(models.Model):
    """One delivery of a dry run. What was sent is read from its attempt."""

    _name = f"{DRY_RUN}.result"
    _description = "Outbound Webhook Dry Run Result"
    _order = "dry_run_id desc, id"
    _rec_name = "delivery_id"
    _log_access = False

    dry_run_id = fields.Many2one(
        comodel_name=DRY_RUN, required=True, ondelete="cascade", readonly=True
    )
    # That of the dry run.
    company_id = CopiedRelation(comodel_name="res.company", readonly=True)
    delivery_id = fields.Many2one(
        comodel_name=DELIVERY, ondelete="cascade", index=True, readonly=True
    )
    attempt_number = fields.Integer(
        readonly=True,
        aggregator=False,
        help="Of the attempt that it was compared with. 0: what was queued.",
    )
    verdict = fields.Selection(
        selection=VERDICTS, string="Result", required=True, readonly=True
    )
    message = fields.Text(
        readonly=True, prefetch=False, help="Why, or what is to be known about it."
    )
    difference_count = fields.Integer(string="Differences", readonly=True)
    differences_json = fields.Text(
        string="Stored Differences", readonly=True, prefetch=False
    )
    differences = fields.Html(
        string="What Differs",
        compute="_compute_differences",
        help="Places where the requests differ. Authentication, signature, message ID "
        "and values that are made again each time are not compared.",
    )
    new_method = fields.Text(string="HTTP Method Now", readonly=True, prefetch=False)
    new_url = fields.Text(string="URL Now", readonly=True, prefetch=False)
    new_headers = fields.Text(string="Headers Now", readonly=True, prefetch=False)
    new_body = fields.Text(string="Body Now", readonly=True, prefetch=False)
    old_method = fields.Char(string="HTTP Method Sent", compute="_compute_old")
    old_url = fields.Char(string="URL Sent", compute="_compute_old")
    old_headers = fields.Text(string="Headers Sent", compute="_compute_old")
    old_body = fields.Text(string="Body Sent", compute="_compute_old")
    content_message = fields.Char(
        related="delivery_id.content_message", string="Content"
    )

    _found = models.Index("(dry_run_id, verdict, id)")

    @api.depends("differences_json")
    @api.depends_context("lang")
    def _compute_differences(self):
        heads = self.env._("Place"), self.env._("Was Sent"), self.env._("Now")
        places = {
            "method": self.env._("HTTP Method"),
            "url": self.env._("URL"),
            "files": self.env._("Files"),
            "header": self.env._("Header"),
            "body": self.env._("Body"),
            "context": self.env._("Context Line"),
        }
        for result in self:
            rows = [
                [f"{places[place]} {path}".strip(), old, new]
                for place, path, old, new in json.loads(result.differences_json or "[]")
            ]
            result.differences = rows and _table(heads, rows)

    @api.depends("delivery_id", "attempt_number")
    def _compute_old(self):
        for result in self:
            result.old_method = result.old_url = False
            result.old_headers = result.old_body = False
            if not result.attempt_number:
                result.old_body = indented(result.delivery_id.payload_json)
                continue
            attempt = self.env[ATTEMPT].search(
                [
                    ("delivery_id", "=", result.delivery_id.id),
                    ("attempt_number", "=", result.attempt_number),
                ]
            )
            result.old_method = (attempt.http_method or "").upper()
            result.old_url = attempt.target_url
            result.old_headers = attempt.request_headers_pretty
            result.old_body = attempt.payload_pretty

    def action_view_delivery(self):
        """Open the delivery."""
        self.ensure_one()
        self.check_access("read")
        return {
            "type": "ir.actions.act_window",
            "res_model": DELIVERY,
            "res_id": self.delivery_id.id,
            "views": [(False, "form")],
        }

    # Written by the job

    @api.model
    def _store(self, dry_run, results):
        """Store these `Result`s; returns delivery id -> id of the stored one."""
        deliveries = self.env[DELIVERY].browse([each.delivery_id for each in results])
        existing = set(deliveries.exists().ids)
        results = [each for each in results if each.delivery_id in existing]
        room = CONTENT_MAX // max(dry_run.total_count, 1)
        made = self.create([self._vals(dry_run, each, room) for each in results])
        return dict(zip([each.delivery_id for each in results], made.ids, strict=True))

    def _vals(self, dry_run, result, room):
        vals = {
            "dry_run_id": dry_run.id,
            "company_id": dry_run.company_id.id,
            "delivery_id": result.delivery_id,
            "attempt_number": result.attempt_number,
            "verdict": result.verdict,
            "message": result.message or False,
            "difference_count": len(result.differences),
            "differences_json": _dumped(result.differences),
        }
        # An unchanged request is that of the attempt.
        if result.new is None or result.verdict == "unchanged":
            return vals
        new, room = result.new, min(room, SHOWN_MAX)
        body = indented(new.body) or ""
        return vals | {
            "new_method": new.method.upper() or False,
            "new_url": new.url or False,
            "new_headers": new.headers
            and json.dumps(new.headers, ensure_ascii=False, indent=2),
            "new_body": body if len(body) <= room else body[:room] + CUT,
        }

    @api.model
    def _replace_differences(self, lasting):
        """Keep only these differences: result id -> list; without any: unchanged."""
        for result in self.browse(lasting).exists():
            differences = lasting[result.id]
            vals = {
                "difference_count": len(differences),
                "differences_json": _dumped(differences),
            }
            if not differences:
                vals |= {"verdict": "unchanged", "message": False}
                vals |= dict.fromkeys(
                    ("new_method", "new_url", "new_headers", "new_body"), False
                )
            result.write(vals)


def _dumped(differences):
    if not differences:
        return False
    return json.dumps([list(each) for each in differences], ensure_ascii=False)


def _table(heads, rows):
    """An HTML table; each text is escaped."""
    cell = Markup('<td class="text-break">%s</td>')
    line = Markup("<tr>%s</tr>")
    body = Markup("").join(
        line % Markup("").join(cell % ("" if each is None else each) for each in row)
        for row in rows
    )
    head = line % Markup("").join(Markup("<th>%s</th>") % each for each in heads)
    return Markup(
        '<table class="table table-sm mb-0"><thead>%s</thead><tbody>%s</tbody></table>'
    ) % (head, body)
