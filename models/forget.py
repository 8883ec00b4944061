# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Forget: what deliveries have of a contact is found, counted, shown and deleted."""

import json
import logging

from odoo import SUPERUSER_ID, api, fields, models
from odoo.exceptions import AccessError
from odoo.tools import SQL
from odoo.tools.mail import email_normalize

from ..lane import jobs
from ..lane.batch import describe
from ..lane.clock import utcnow
from . import forget_search
from .action_guard import guarded
from .const import DELIVERY, EXTERNAL_REF, FORGET, GROUP_ADMIN
from .content_retention import ENDED, delete_content
from .delivery_transitions import TRANSITIONS
from .errors import lock_in_state, refused

_logger = logging.getLogger(__name__)

BATCH = 200  # deliveries whose content is deleted in one transaction
AT_WORK = ("searching", "deleting")
STATES = [
    ("draft", "Draft"),
    ("searching", "Searching"),
    ("found", "Found"),
    ("deleting", "Deleting"),
    ("done", "Done"),
    ("canceled", "Canceled"),
    ("failed", "Failed"),
]
# What a user chooses.
CHOICES = frozenset({"partner_id", "waiting_choice", "delete_references"})
# Recorded by buttons and jobs, as superuser: a user who could set them could delete
# with the rights of another.
ENGINE = frozenset(
    "state user_id company_id company_ids_json message sources_json source_number "
    "last_id delivery_ids reference_ids ended_count waiting_count in_flight_count "
    "emptied_count inaccessible_count reference_count others_json deleted_count "
    "canceled_count started_at ended_at".split()
)
COUNTS = ("ended", "waiting", "in_flight", "emptied", "inaccessible", "reference")


class BwtWebhookOutboundForget(models.Model):
    """Deletes the content of the deliveries that have data of one contact.

    First a search, in jobs; then a user reads the counts and confirms; then jobs delete
    the content, a transaction per batch. A kill repeats at most one transaction.
    """

    _name = FORGET
    _description = "Outbound Webhook: Forget a Contact"
    _order = "id desc"

    # Without the name of the contact: this record stays.
    name = fields.Char(compute="_compute_name", help="Its number.")
    state = fields.Selection(
        selection=STATES, default="draft", required=True, readonly=True, copy=False
    )
    partner_id = fields.Many2one(
        comodel_name="res.partner",
        string="Contact",
        ondelete="set null",
        index="btree_not_null",
        help="Forget it here before its e-mail and phone are deleted: deliveries are "
        "found by these, too.",
    )
    user_id = fields.Many2one(
        comodel_name="res.users",
        string="Requested By",
        readonly=True,
        copy=False,
        help="Content is deleted of those deliveries that this user may read.",
    )
    company_id = fields.Many2one(
        comodel_name="res.company",
        default=lambda self: self.env.company,
        readonly=True,
        copy=False,
    )
    company_ids_json = fields.Json(string="Companies", readonly=True, copy=False)
    waiting_choice = fields.Selection(
        selection=[
            ("leave", "Leave: They Are Sent"),
            ("cancel", "Cancel and Delete Their Content"),
        ],
        string="Waiting Deliveries",
        default="leave",
        required=True,
        help="Drafts, queued deliveries and errors. Those in flight are never touched.",
    )
    delete_references = fields.Boolean(
        string="Delete External References",
        help="The IDs that receivers have given to the contact and its records. "
        "Without them the receiver gets the contact as a new one the next time.",
    )
    terms_message = fields.Text(
        string="Searched Texts",
        compute="_compute_terms_message",
        help="What is searched beside records that refer to the contact.",
    )
    message = fields.Text(readonly=True, copy=False, help="Why it ended, or failed.")
    progress = fields.Float(
        compute="_compute_progress", help="Share of the work that is done, in percent."
    )
    sources_json = fields.Text(string="Sources", readonly=True, copy=False)
    source_number = fields.Integer(readonly=True, copy=False, aggregator=False)
    last_id = fields.Integer(
        string="Last Row", readonly=True, copy=False, aggregator=False
    )
    delivery_ids = fields.Many2many(
        comodel_name=DELIVERY,
        relation="bwt_webhook_outbound_forget_delivery",
        column1="forget_id",
        column2="delivery_id",
        string="Deliveries",
        readonly=True,
        copy=False,
    )
    reference_ids = fields.Many2many(
        comodel_name=EXTERNAL_REF,
        relation="bwt_webhook_outbound_forget_reference",
        column1="forget_id",
        column2="reference_id",
        string="External References",
        readonly=True,
        copy=False,
    )
    ended_count = fields.Integer(
        string="Content to Delete",
        readonly=True,
        copy=False,
        help="Done, canceled and dead-lettered deliveries.",
    )
    waiting_count = fields.Integer(
        string="Waiting",
        readonly=True,
        copy=False,
        help="Drafts, queued deliveries and errors.",
    )
    in_flight_count = fields.Integer(
        string="In Flight", readonly=True, copy=False, help="Being sent right now."
    )
    emptied_count = fields.Integer(
        string="Without Content",
        readonly=True,
        copy=False,
        help="Their content was deleted before.",
    )
    inaccessible_count = fields.Integer(
        string="Not Accessible",
        readonly=True,
        copy=False,
        help="Deliveries that you may not read, such as those of other companies. "
        "They are not touched: a user of that company must forget the contact too.",
    )
    reference_count = fields.Integer(
        string="References",
        readonly=True,
        copy=False,
        help="External references of the contact and of its records. What is stored "
        "with them is deleted.",
    )
    others_json = fields.Text(string="Other Matches", readonly=True, copy=False)
    remains = fields.Text(
        string="Also Found",
        compute="_compute_remains",
        help="Records with such a text that are no deliveries. They are not touched.",
    )
    deleted_count = fields.Integer(
        string="Content Deleted", readonly=True, copy=False, default=0
    )
    canceled_count = fields.Integer(
        string="Canceled Deliveries", readonly=True, copy=False, default=0
    )
    started_at = fields.Datetime(readonly=True, copy=False)
    ended_at = fields.Datetime(readonly=True, copy=False)

    @api.depends_context("lang")
    def _compute_name(self):
        for each in self:
            each.name = self.env._("Forget a Contact, %s", each.id or self.env._("new"))

    @api.depends("partner_id")
    @api.depends_context("lang")
    def _compute_terms_message(self):
        for each in self:
            each.terms_message = each.partner_id and "\n".join(each._terms_lines())

    def _terms_lines(self):
        terms = forget_search.terms_of(self.partner_id)
        lines = list(terms.refused)
        if terms.texts:
            lines.insert(0, self.env._("Texts: %s", ", ".join(terms.texts)))
        else:
            lines.append(
                self.env._(
                    "No text is searched: only deliveries about the contact and about "
                    "records that refer to it are found."
                )
            )
        email = email_normalize(self.partner_id.email)
        if email and "email_normalized" in self.partner_id._fields:
            others = self.partner_id.with_context(active_test=False).search_count(
                [("email_normalized", "=", email), ("id", "!=", self.partner_id.id)]
            )
            if others:
                lines.append(
                    self.env._(
                        "%s other contacts have the same e-mail: deliveries about them "
                        "are found, too. Open the list before you delete.",
                        others,
                    )
                )
        return lines

    @api.depends("state", "source_number", "sources_json", "deleted_count")
    def _compute_progress(self):
        for each in self:
            if each.state == "searching":
                total = len(json.loads(each.sources_json or "[]")) or 1
                done = each.source_number
            else:
                total = each.ended_count or 1
                done = each.deleted_count
            each.progress = 100.0 * min(done / total, 1.0)

    @api.depends("others_json")
    @api.depends_context("lang")
    def _compute_remains(self):
        for each in self:
            found = json.loads(each.others_json or "{}")
            labels = self.env["ir.model"].sudo()
            each.remains = "\n".join(
                f"{labels._get(name).name}: {count}" for name, count in found.items()
            )

    @api.model_create_multi
    def create(self, vals_list):
        if not self.env.su:
            self.browse().check_access("create")
            # Complete, so that no default of context or user adds to them.
            blank = {name: False for name in ENGINE} | {
                **{"state": "draft", "company_id": self.env.company.id},
                **{"delivery_ids": [], "reference_ids": []},
            }
            for vals in vals_list:
                self._refuse_engine_fields(vals)
            vals_list = [vals | blank for vals in vals_list]
        made = super().create(vals_list)
        if not self.env.su:
            made.partner_id.check_access("read")
        return made

    def write(self, vals):
        if not self.env.su:
            self.check_access("write")
            self._refuse_engine_fields(vals)
            for each in self:
                fixed = {"partner_id"} if each.state == "found" else CHOICES
                if each.state != "draft" and fixed & vals.keys():
                    raise refused(
                        each,
                        self.env._(
                            "it was started, so this can't be changed. Start another "
                            "one."
                        ),
                    )
            if vals.get("partner_id"):
                self.env["res.partner"].browse(vals["partner_id"]).check_access("read")
        return super().write(vals)

    def _refuse_engine_fields(self, vals):
        # A form sends the state of a new record.
        known = {"state": "draft"}
        given = [
            name
            for name in sorted(ENGINE & vals.keys())
            if vals[name] and (self or vals[name] != known.get(name))
        ]
        if given:
            raise AccessError(
                self.env._(
                    "%s can't be set: it is recorded by the search and the deletion. "
                    "Use the buttons instead.",
                    ", ".join(
                        self._fields[name]._description_string(self.env)
                        for name in given
                    ),
                )
            )

    @api.ondelete(at_uninstall=False)
    def _unlink_except_at_work(self):
        for each in self:
            if each.state in AT_WORK:
                raise refused(
                    each,
                    self.env._("it has not ended. Cancel it before you delete it."),
                )

    # Buttons

    def action_search(self):
        """Find the deliveries; nothing is deleted yet."""
        for each in self:
            each._require("draft", "found", "failed", "canceled")
            if not each.partner_id:
                raise refused(each, self.env._("it has no contact. Choose one."))
            each.partner_id.check_access("read")
            each.sudo()._begin_search(self.env.user, self.env.companies)
        return True

    def action_delete_content(self):
        """Delete the content of what was found."""
        for each in self:
            each._require("found")
            each.sudo().write(
                {
                    "state": "deleting",
                    "user_id": self.env.uid,
                    "company_ids_json": self.env.companies.ids,
                    "last_id": 0,
                    "deleted_count": 0,
                    "canceled_count": 0,
                }
            )
            each.sudo()._request_step()
        return True

    def action_cancel_forget(self):
        """End it; content that was deleted is not restored."""
        for each in self:
            each._require("draft", "found", *AT_WORK)
            each.sudo()._end(
                "canceled", self.env._("%s canceled it.", self.env.user.name)
            )
        return True

    def action_view_deliveries(self):
        """Open the deliveries that were found."""
        self.ensure_one()
        self.check_access("read")
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "bwt_webhooks_outbound.action_webhook_outbound_delivery"
        )
        return action | {"domain": [("forget_ids", "in", self.ids)], "context": {}}

    def action_view_references(self):
        """Open the external references that were found."""
        self.ensure_one()
        self.check_access("read")
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "bwt_webhooks_outbound.action_webhook_outbound_external_ref"
        )
        ids = self.env[EXTERNAL_REF].search(
            [("id", "in", self.sudo().reference_ids.ids)]
        )
        return action | {"domain": [("id", "in", ids.ids)], "context": {}}

    def _require(self, *states):
        """Lock it and refuse another state: a job may end at this moment."""
        self.ensure_one()
        if not self.env.su and not self.env.user.has_group(GROUP_ADMIN):
            raise AccessError(
                self.env._(
                    "Only webhooks administrators may forget a contact. Ask one of "
                    "them, or ask for that role."
                )
            )
        self.check_access("write")
        lock_in_state(self, *states)

    # Jobs, as superuser

    def _begin_search(self, user, companies):
        terms = forget_search.terms_of(self.partner_id)
        self.write(
            {
                "delivery_ids": [(5, 0, 0)],
                "reference_ids": [(5, 0, 0)],
                "others_json": False,
                "state": "searching",
                "message": False,
                "user_id": user.id,
                "company_ids_json": companies.ids,
                "sources_json": json.dumps(forget_search.sources(self.env, terms)),
                "source_number": 0,
                "last_id": 0,
                "started_at": utcnow(),
                "ended_at": False,
            }
            | {f"{name}_count": 0 for name in COUNTS}
        )
        self._request_step()

    def _request_step(self):
        if not jobs.runs_immediately(self.env):
            jobs.request_forget(self)
            return
        while self.state in AT_WORK:
            self._step()

    @api.private
    def run_forget(self):
        """Job: search or delete for some seconds and request the next step."""
        found = self.exists().with_user(SUPERUSER_ID)
        if not found or not found._lock():
            return "nothing to do: deleted, ended, or in another job"
        found._step()
        if found.state in AT_WORK:
            jobs.request_forget(found)
        return f"{found.state}: {found.deleted_count} without content"

    def _lock(self):
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                "SELECT id FROM bwt_webhook_outbound_forget WHERE id = %s "
                "AND state = ANY(%s) FOR NO KEY UPDATE SKIP LOCKED",
                self.id,
                list(AT_WORK),
            )
        )
        return bool(self.env.cr.fetchone())

    def _step(self):
        with guarded(self.env) as outcome:
            if not self.partner_id:
                raise refused(
                    self,
                    self.env._(
                        "the contact was deleted. Delete the deliveries by hand: "
                        "nobody knows any more which texts were its own."
                    ),
                )
            if self.state == "searching":
                if forget_search.Search(self).step():
                    self._count()
            else:
                self._delete_batch()
        if outcome.error is not None:
            self._end("failed", describe(self.env, outcome.error))

    def _accessible(self, model_name):
        """The model with the rights of the user who requested it."""
        companies = self.company_ids_json or []
        return (
            self.env[model_name]
            .with_user(self.user_id)
            .with_context(allowed_company_ids=companies, active_test=False)
        )

    def _count(self):
        found = self._accessible(DELIVERY)._read_group(
            [("forget_ids", "in", self.ids)],
            ["state", "content_deleted_at:year"],
            ["__count"],
        )
        counts = dict.fromkeys(COUNTS, 0)
        for state, deleted, count in found:
            if deleted:
                counts["emptied"] += count
            elif state in ENDED:
                counts["ended"] += count
            else:
                counts["in_flight" if state == "processing" else "waiting"] += count
        self.env.cr.execute(
            SQL(
                "SELECT count(*) FROM bwt_webhook_outbound_forget_delivery "
                "WHERE forget_id = %s",
                self.id,
            )
        )
        counts["inaccessible"] = self.env.cr.fetchone()[0] - sum(counts.values())
        counts["reference"] = len(self._references())
        self.write(
            {"state": "found"} | {f"{name}_count": n for name, n in counts.items()}
        )

    def _references(self):
        ids = self.sudo().reference_ids.ids
        return self._accessible(EXTERNAL_REF).search([("id", "in", ids)]).sudo()

    def _delete_batch(self):
        """Delete the content of the next deliveries."""
        found = self._accessible(DELIVERY).search(
            [("forget_ids", "in", self.ids), ("id", ">", self.last_id)],
            order="id",
            limit=BATCH,
        )
        deliveries = self.env[DELIVERY].browse(found.ids)
        canceled = 0
        if self.waiting_choice == "cancel":
            quiet = deliveries.with_context(tracking_disable=True)
            waiting, _left = quiet._lock_fitting(TRANSITIONS["cancel"], wait=False)
            waiting = waiting.filtered(lambda each: each.state not in ENDED)
            waiting._apply("cancel")
            canceled = len(waiting)
        emptied = delete_content(self.env, deliveries.ids, "forget", utcnow())
        self.write(
            {
                "last_id": found[-1:].id or self.last_id,
                "deleted_count": self.deleted_count + len(emptied),
                "canceled_count": self.canceled_count + canceled,
            }
        )
        if len(found) < BATCH:
            self._finish()

    def _finish(self):
        """References and messages, the note on the contact, the line in the log."""
        references = self._references()
        if self.delete_references:
            references.unlink()
        else:
            references.write({"data": False})
        patterns = forget_search.terms_of(self.partner_id).patterns()
        forget_search.empty_other_texts(self.env, patterns)
        left = self._accessible(DELIVERY).search_count(
            [("forget_ids", "in", self.ids), ("content_deleted_at", "=", False)]
        )
        self._end("done", left and self._left_message(left))
        _logger.info(
            "forget id=%s contact=%s user=%s emptied=%s canceled=%s left=%s "
            "inaccessible=%s references=%s",
            *(self.id, self.partner_id.id, self.user_id.id, self.deleted_count),
            *(self.canceled_count, left, self.inaccessible_count, len(references)),
        )
        note = self.with_context(lang=self.user_id.lang).env._(
            "The content of %(count)s webhook deliveries with data of this contact was "
            "deleted. Left: %(left)s. Canceled: %(canceled)s.",
            count=self.deleted_count,
            left=left,
            canceled=self.canceled_count,
        )
        self.partner_id.message_post(
            body=note,
            author_id=self.user_id.partner_id.id,
            subtype_xmlid="mail.mt_note",
        )

    def _left_message(self, count):
        return self.env._(
            "%s deliveries have their content: they wait, are in flight, or their "
            "response hook has yet to run. Search again when they have ended.",
            count,
        )

    def _end(self, state, message=False):
        self.write({"state": state, "message": message, "ended_at": utcnow()})

    @api.model
    def _wake_interrupted(self):
        """Request a job for those whose job is gone."""
        self.env.flush_all()
        for each in self.sudo().browse(jobs.forgets_without_job(self.env.cr)):
            jobs.request_forget(each)
