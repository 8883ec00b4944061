# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Forget a contact: found, counted, deleted, and nothing of it is left."""

import json
import logging
from unittest.mock import patch

from odoo.exceptions import AccessError, UserError
from odoo.tests import Form, new_test_user, tagged

from odoo.addons.bwt_webhooks_outbound.lane import job_sql
from odoo.addons.bwt_webhooks_outbound.models import forget, forget_search

from ..constants import (
    ADMINISTRATOR,
    DELIVERY,
    EXTERNAL_REF,
    FORGET,
    OPERATOR,
    RUN,
)
from .content_case import EMAIL, PHONE, ContentCase

LOGGER = "odoo.addons.bwt_webhooks_outbound.models.forget"


@tagged("post_install", "-at_install")
class TestForget(ContentCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.admin = new_test_user(cls.env, "forget-admin", ADMINISTRATOR)

    def forget(self, contact=None, user=None, **vals):
        contact = self.contact if contact is None else contact
        model = self.env[FORGET].with_user(user or self.admin)
        return model.create({"partner_id": contact.id, **vals})

    def work_off(self, found):
        """Run its jobs."""
        for _number in range(200):
            if found.state not in forget.AT_WORK:
                return
            found.sudo().run_forget()
            self.env.flush_all()
        self.fail(f"still {found.state}")

    def search(self, found):
        found.action_search()
        self.assertEqual("searching", found.state)
        self.work_off(found)
        self.assertEqual("found", found.state, found.message)
        return found

    def delete(self, found, state="done"):
        found.action_delete_content()
        self.work_off(found)
        self.assertEqual(state, found.state, found.message)
        return found

    def counts(self, found):
        counts = {name: found[f"{name}_count"] for name in forget.COUNTS}
        return {name: count for name, count in counts.items() if count}

    def done(self, payload=None, **options):
        delivery = self.queue(payload or {"a": 1}, **options)
        delivery.process_delivery()
        return delivery

    # What is found, and what is left

    def test_nothing_is_left(self):
        """In any column of any table that isn't the contact's own."""
        self.plant(code="mail")
        by_phone = self.done({"call": PHONE})
        about = self.done({"a": "b"}, record=self.contact)
        other = self.done({"email": "someone@example.org"})
        texts = (EMAIL, PHONE, "Zoe Planted")
        self.assertTrue(self.planted(texts))

        found = self.search(self.forget())

        self.assertEqual({"ended": 3}, self.counts(found))
        self.assertTrue(self.planted(texts), "deleted before it was confirmed")
        # By number: Odoo gives another level the name INFO.
        with self.assertLogs(LOGGER, logging.INFO) as log:
            self.delete(found)

        self.assertEqual(("done", 3), (found.state, found.deleted_count))
        self.assertEqual({}, self.planted(texts))
        self.assertTrue(about.content_deleted_at and by_phone.content_deleted_at)
        self.assertIn("a contact was forgotten", about.content_message)
        self.assertFalse(other.content_deleted_at)
        self.assertEqual(EMAIL, self.contact.email)
        line = f"contact={self.contact.id} user={self.admin.id} emptied=3 "
        self.assertIn(line, "".join(log.output))
        self.assertNotIn(EMAIL, "".join(log.output))

    def test_the_note_on_the_contact(self):
        """Says who did it and how many, and has no personal data."""
        self.done({"email": EMAIL})

        self.delete(self.search(self.forget()))

        note = self.contact.message_ids[:1]
        self.assertEqual(self.admin.partner_id, note.author_id)
        self.assertIn("content of 1 webhook deliveries", note.body)
        self.assertNotIn(EMAIL, note.body)
        self.assertNotIn(self.contact.name, note.body)

    def test_in_every_table_that_has_texts(self):
        """Only in a context line, an attempt, a message, an activity, or in a URL."""
        deliveries = [self.done({"n": number}) for number in range(5)]
        line, attempt, message, activity, url = deliveries
        line.write(
            {
                "context_line_ids": [
                    (
                        0,
                        0,
                        {
                            "key_name": "k",
                            "source_kind": "literal",
                            "literal_value": EMAIL.upper(),
                        },
                    )
                ]
            }
        )
        attempt.attempt_ids.response_body = json.dumps({"x": f"<{EMAIL}>"})
        message.message_post(body=EMAIL)
        activity.activity_schedule("mail.mail_activity_data_todo", note=EMAIL)
        url.attempt_ids.target_url = "https://x.example/" + EMAIL.replace("@", "%40")
        self.env.flush_all()

        found = self.search(self.forget())

        self.assertEqual(set(deliveries), set(found.sudo().delivery_ids))
        self.delete(found)
        self.assertEqual({}, self.planted((EMAIL, EMAIL.replace("@", "%40"))))

    def test_records_that_belong_to_the_contact(self):
        """By a stored many2one to it, which a system parameter names."""
        user = new_test_user(self.env, "forget-owned", "base.group_user")
        user.partner_id = self.contact
        self.env.cr.execute(
            "UPDATE res_users SET partner_id = %s WHERE id = %s",
            (self.contact.id, user.id),
        )
        self.env.invalidate_all()
        delivery = self.done({"n": 1}, record=user)
        bank = self.env["res.partner.bank"].create(
            {"acc_number": "42", "partner_id": self.contact.id, "active": False}
        )
        archived = self.done({"n": 2}, record=bank)

        found = self.search(self.forget())
        self.assertEqual({delivery, archived}, set(found.sudo().delivery_ids))

        self.env["ir.config_parameter"].set_param(forget_search.PARAMETER, "owner_id")
        found = self.search(self.forget())
        self.assertFalse(found.sudo().delivery_ids)

    def test_an_export_of_the_deliveries(self):
        """The list that opens has what the counts say."""
        self.done({"email": EMAIL})
        self.done({"phone": PHONE})

        found = self.search(self.forget())

        action = found.action_view_deliveries()
        model = self.env[DELIVERY].with_user(self.admin)
        self.assertEqual(2, model.search_count(action["domain"]))

    # What waits

    def waiting(self):
        made = {
            "draft": self.queue({"email": EMAIL}),
            "queued": self.queue({"email": EMAIL}),
            "error": self.queue({"email": EMAIL}),
            "processing": self.queue({"email": EMAIL}),
        }
        for state, each in made.items():
            each.state = state
        self.env.flush_all()
        return made

    def test_waiting_ones_are_left_and_named(self):
        """By default nothing that is yet to be sent loses its content."""
        made = self.waiting()

        found = self.search(self.forget())
        self.assertEqual({"waiting": 3, "in_flight": 1}, self.counts(found))
        self.delete(found)

        self.assertEqual(0, found.deleted_count)
        self.assertIn("4 deliveries have their content", found.message)
        for state, each in made.items():
            self.assertEqual(
                (state, EMAIL), (each.state, json.loads(each.payload_json)["email"])
            )

    def test_waiting_ones_are_canceled_by_choice(self):
        """Those in flight never are: the receiver may have them already."""
        made = self.waiting()

        found = self.search(self.forget())
        found.waiting_choice = "cancel"
        self.delete(found)

        self.assertEqual((3, 3), (found.canceled_count, found.deleted_count))
        flying = made.pop("processing")
        self.assertEqual("processing", flying.state)
        self.assertIn(EMAIL, flying.payload_json)
        for each in made.values():
            self.assertEqual(("canceled", "{}"), (each.state, each.payload_json))

    # References and others

    def test_external_references(self):
        """What is stored with them goes; they go by choice, or are counted."""
        ref = self.env[EXTERNAL_REF].create(
            {
                "external_id": "C-1",
                "reference_scope": "shop",
                "res_model": "res.partner",
                "res_id": self.contact.id,
                "data": json.dumps({"email": EMAIL}),
            }
        )
        found = self.search(self.forget())
        self.assertEqual({"reference": 1}, self.counts(found))
        self.delete(found)
        self.assertEqual(("C-1", False), (ref.external_id, ref.data))

        found = self.search(self.forget(delete_references=True))
        self.delete(found)
        self.assertFalse(ref.exists())

    def test_what_is_no_delivery_is_counted(self):
        """Settings that name the contact are told, since they are not touched."""
        self.endpoint.note = f"<p>{EMAIL}</p>"
        self.endpoint.message_post(body=EMAIL)
        self.env.flush_all()

        found = self.search(self.forget())

        others = json.loads(found.others_json)
        self.assertEqual(1, others["bwt.webhook.outbound.endpoint"])
        self.assertEqual(1, others["mail.message"])
        self.assertIn(": 1", found.remains)

    def test_messages_of_runs(self):
        """The first error of a run may quote a value."""
        action = self.env["ir.actions.server"].create(
            {
                "name": "Queue",
                "model_id": self.env["ir.model"]._get("res.partner").id,
                "state": "bwt_webhook_outbound",
                "bwt_webhook_endpoint_id": self.endpoint.id,
            }
        )
        run = self.env[RUN].create({"name": "R", "action_id": action.id})
        run.not_built_message = f"{EMAIL} is wrong"

        self.delete(self.search(self.forget()))

        self.assertFalse(run.not_built_message)

    # Bad input

    def test_without_email_and_phone(self):
        """Only what refers to it is found, and the form says so."""
        self.contact.write({"email": False, "phone": False})
        about = self.done(record=self.contact)
        self.done({"email": EMAIL})

        found = self.search(self.forget())

        self.assertIn("No text is searched", found.terms_message)
        self.assertEqual(about, found.sudo().delivery_ids)

    def test_short_texts_are_not_searched(self):
        """They are part of almost every payload, and would empty them all."""
        self.contact.write({"email": "a@", "phone": "12-34"})
        self.done({"n": "a@ 12-34"})

        found = self.search(self.forget())

        self.assertIn("shorter than 6 characters", found.terms_message)
        self.assertIn("fewer than 7 digits", found.terms_message)
        self.assertEqual({}, self.counts(found))

    def test_a_shared_email_is_told(self):
        """A common address finds what is about others, so the form warns."""
        self.env["res.partner"].create({"name": "Twin", "email": EMAIL})

        found = self.forget()

        self.assertIn("1 other contacts have the same e-mail", found.terms_message)

    def test_wildcards_are_texts(self):
        """`_` and `%` in an e-mail match themselves."""
        self.contact.email = "zoe_x%@example.org"
        self.done({"email": "zoeAxB@example.org"})
        hit = self.done({"email": "zoe_x%@example.org"})

        found = self.search(self.forget())

        self.assertEqual(hit, found.sudo().delivery_ids)

    def test_a_deleted_contact(self):
        """It fails with what to do, and touches nothing."""
        delivery = self.done({"email": EMAIL})
        found = self.search(self.forget())
        self.contact.unlink()

        self.delete(found, state="failed")

        self.assertIn("the contact was deleted", found.message)
        self.assertFalse(delivery.content_deleted_at)

    # Rights

    def test_other_companies(self):
        """Theirs are counted and not touched; their administrator finds them."""
        other = self.env["res.company"].create({"name": "Other"})
        theirs = self.make_endpoint("theirs", company_id=other.id)
        delivery = theirs.queue_delivery({"email": EMAIL})
        delivery.process_delivery()
        own = self.done({"email": EMAIL})

        found = self.search(self.forget())
        self.assertEqual({"ended": 1, "inaccessible": 1}, self.counts(found))
        self.delete(found)
        self.assertTrue(own.content_deleted_at)
        self.assertIn(EMAIL, delivery.payload_json)

        user = new_test_user(
            self.env,
            "forget-other",
            ADMINISTRATOR,
            company_id=other.id,
            company_ids=[(6, 0, other.ids)],
        )
        found = self.search(self.forget(user=user))
        self.assertEqual({"ended": 1}, self.counts(found))
        self.delete(found)
        self.assertEqual("{}", delivery.payload_json)

    def test_who_may(self):
        """Administrators; no field that jobs record can be written by a client."""
        operator = new_test_user(self.env, "forget-operator", OPERATOR)
        with self.assertRaises(AccessError):
            self.forget(user=operator)
        found = self.forget()
        with self.assertRaises(AccessError):
            found.with_user(operator).action_search()
        for vals in (
            {"state": "found"},
            {"user_id": self.env.ref("base.user_admin").id},
            {"company_ids_json": [1, 2]},
            {"delivery_ids": [(4, self.queue().id)]},
        ):
            with self.subTest(vals), self.assertRaises(AccessError):
                found.write(vals)
            with self.subTest(vals), self.assertRaises(AccessError):
                self.forget(**vals)

    def test_a_contact_that_the_user_may_not_read(self):
        """Otherwise its deliveries would be found by its address."""
        hidden = self.env["res.partner"].create({"name": "Hidden", "email": "h@x.org"})
        self.env["ir.rule"].create(
            {
                "name": "Hidden",
                "model_id": self.env["ir.model"]._get("res.partner").id,
                "domain_force": f"[('id', '!=', {hidden.id})]",
            }
        )
        with self.assertRaises(AccessError):
            self.forget(hidden)

    def test_started_ones_are_fixed(self):
        """Another contact under the same counts would delete what nobody has seen."""
        found = self.search(self.forget())
        with self.assertRaises(UserError):
            found.partner_id = self.env.company.partner_id
        found.action_cancel_forget()
        with self.refused("it is in state Canceled"):
            found.action_delete_content()

    # Jobs

    def test_in_steps(self):
        """Bounded transactions, and none finds or deletes twice after a kill."""
        for number in range(7):
            self.done({"email": EMAIL, "n": number})
        with (
            patch.object(forget_search, "ROWS_AT_ONCE", 2),
            patch.object(forget_search, "STEP_SECONDS", -1),
            patch.object(forget, "BATCH", 3),
        ):
            found = self.forget()
            found.action_search()
            steps = 0
            while found.state == "searching":
                with self.env.cr.savepoint() as killed:
                    found.sudo().run_forget()
                    killed.rollback()
                found.sudo().run_forget()
                steps += 1
            self.assertGreater(steps, 8)
            self.assertEqual({"ended": 7}, self.counts(found))
            found.action_delete_content()
            counts = []
            while found.state == "deleting":
                found.sudo().run_forget()
                counts.append(found.deleted_count)
        self.assertEqual([3, 6, 7], counts)

    def test_a_lost_job_is_requested_again(self):
        """By the scheduled action, within a minute."""
        found = self.forget()
        found.action_search()
        key = [("identity_key", "=", job_sql.forget_key(found.id))]
        waiting = self.env["queue.job"].search(key)
        self.assertEqual(1, len(waiting))
        self.env.flush_all()
        self.env.cr.execute("DELETE FROM queue_job WHERE id = %s", (waiting.id,))
        self.env.invalidate_all()

        self.env[FORGET]._wake_interrupted()
        self.env[FORGET]._wake_interrupted()

        self.assertEqual(1, self.env["queue.job"].search_count(key))

    def test_from_the_contact(self):
        """The Action menu of a contact opens it with the contact chosen."""
        action = self.env.ref(
            "bwt_webhooks_outbound.action_webhook_outbound_forget_contact"
        )
        self.assertEqual("res.partner", action.binding_model_id.model)
        model = self.env[FORGET].with_user(self.admin)
        with Form(model.with_context(default_partner_id=self.contact.id)) as form:
            self.assertEqual(self.contact, form.partner_id)
            self.assertIn(EMAIL, form.terms_message)
        self.assertFalse(form.record.message)
