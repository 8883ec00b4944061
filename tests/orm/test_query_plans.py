# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The hot path reads the partial indexes, whatever lies in the history."""

import json
from ast import literal_eval
from unittest.mock import patch

from lxml import etree

from odoo.tests import new_test_user, tagged
from odoo.tools import SQL

from odoo.addons.bwt_webhooks_outbound.lane import job_sql, sql
from odoo.addons.bwt_webhooks_outbound.lane.clock import utcnow
from odoo.addons.bwt_webhooks_outbound.models import content_retention, delivery
from odoo.addons.bwt_webhooks_outbound.models.overview import failures_sql, waiting_sql
from odoo.addons.bwt_webhooks_outbound.models.reconciliation_check import (
    last_deliveries,
    stored_payloads,
)
from odoo.addons.bwt_webhooks_outbound.models.record_button import count_and_last

from ..constants import ATTEMPT, DELIVERY, OPERATOR
from .common import OutboundCase

FINISHED = 100_000
TABLE = "bwt_webhook_outbound_delivery"


def nodes(plan):
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


@tagged("post_install", "-at_install", "any_database")
class TestQueryPlans(OutboundCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.other = cls.make_endpoint("other")
        cr = cls.env.cr
        # Finished rows of this endpoint and another, with keys, as years leave them.
        cr.execute(
            """INSERT INTO bwt_webhook_outbound_delivery (
                name, endpoint_id, company_id, message_uid, state, queue_number,
                ordering_key, ordering_group, supersede, processed_at, attempt_count,
                request_headers_json, payload_json, create_date
            ) SELECT 'old', CASE WHEN n %% 4 = 0 THEN %s ELSE %s END, %s, 'm' || n,
                CASE WHEN n %% 50 = 0 THEN 'dead_letter' WHEN n %% 49 = 0
                    THEN 'canceled' ELSE 'done' END,
                n, 'k' || n %% 1000, 'k' || n %% 1000, FALSE,
                now() - n * interval '5 minutes', 1, '{}', '{}', now()
            FROM generate_series(1, %s) n""",
            (cls.other.id, cls.endpoint.id, cls.endpoint.company_id.id, FINISHED),
        )
        cr.execute(
            """INSERT INTO bwt_webhook_outbound_delivery_attempt (
                name, delivery_id, endpoint_id, company_id, attempt_number, state,
                started_at, http_method, request_body_mode, target_url,
                request_headers_json, payload_json
            ) SELECT name, id, endpoint_id, company_id, 1, 'done', processed_at, 'post',
                'json', 'http://127.0.0.1/', '{}', '{}'
            FROM bwt_webhook_outbound_delivery WHERE name = 'old'"""
        )
        cr.execute(
            """INSERT INTO queue_job (
                uuid, state, identity_key, model_name, method_name, date_created
            ) SELECT 'old' || n, CASE WHEN n %% 100 = 0 THEN 'pending' ELSE 'done' END,
                'bwt_webhook_outbound:lane:' || n %% 500 + 1000000 || ':' || n,
                'bwt.webhook.outbound.endpoint', 'run_lane', now()
            FROM generate_series(1, %s) n""",
            (FINISHED,),
        )
        cls.endpoint.ordering = "key"
        cls.endpoint.queue_deliveries(
            [{"payload": n, "ordering_key": f"k{n % 50}"} for n in range(300)]
        )
        cls.env.flush_all()
        cr.execute(f"ANALYZE {TABLE}, queue_job, {TABLE}_attempt (id, endpoint_id)")
        cls.env[ATTEMPT].init()  # as an update does that has added a column

    def plan(self, query):
        self.env.cr.execute(SQL("EXPLAIN (FORMAT JSON) %s", query))
        [[found]] = self.env.cr.fetchall()
        found = found if isinstance(found, list) else json.loads(found)
        return list(nodes(found[0]["Plan"]))

    def assertPlan(self, query, *indexes):
        """Reads these indexes and no table from end to end, ours or queue_job's."""
        plan = self.plan(query)
        used = {node.get("Index Name") for node in plan}
        for index in indexes:
            self.assertIn(index, used)
        scanned = {
            node.get("Relation Name")
            for node in plan
            if node["Node Type"] == "Seq Scan"
        }
        self.assertFalse(scanned & {TABLE, f"{TABLE}_attempt", "queue_job"}, plan)

    def test_button_on_a_record(self):
        """The form of a record reads its own deliveries, for users of a company too."""
        user = new_test_user(self.env, "plan-button", OPERATOR)
        deliveries = self.env[DELIVERY].with_user(user)
        about = [("res_model", "=", "res.partner"), ("res_id", "=", 7)]

        query = count_and_last(deliveries._search(about))

        self.assertPlan(query, f"{TABLE}_about")

    def test_claims(self):
        """Each claim finds its rows by the index of what is due, or of the groups."""
        now, due, line = utcnow(), f"{TABLE}_due", f"{TABLE}_line"
        endpoint_id = self.endpoint.id
        self.assertPlan(sql.claim(endpoint_id, now, 100), due)
        self.assertPlan(sql.claim_first_in_group(endpoint_id, now, 100, 500), due, line)
        self.assertPlan(sql.claim_heads(endpoint_id, now, 100), line)
        share = (0, 2)
        first = sql.claim_first_in_group(endpoint_id, now, 100, 500, share)
        self.assertPlan(first, due, line)
        self.assertPlan(sql.claim_heads(endpoint_id, now, 100, share), line)
        self.assertPlan(sql.groups_of_others(endpoint_id, now, share, 160), due)
        self.assertPlan(sql.claim_interrupted(endpoint_id, now, False), due)
        both = sql.claim_interrupted_or_due(endpoint_id, now, 100)
        self.assertPlan(both, due)
        self.assertPlan(sql.claim_interrupted(endpoint_id, now, True), due, line)
        first = self.env[DELIVERY].search([("endpoint_id", "=", endpoint_id)], limit=1)
        self.assertPlan(sql.claim_one(first.id))
        self.assertPlan(sql.claim_marked(first.id, now))
        self.assertPlan(sql.queued_bytes(first.ids))
        self.assertPlan(sql.mark_build(first.id))

    def test_runs(self):
        """What waits is counted by the index of what is due, and no job is searched."""
        due = sql.count_due(self.endpoint.id, utcnow(), 100, False)
        self.assertPlan(due, f"{TABLE}_due")
        due = sql.count_due(self.endpoint.id, utcnow(), 100, True)
        self.assertPlan(due, f"{TABLE}_due", f"{TABLE}_line")
        self.assertPlan(job_sql.hasten(job_sql.run_key(7), utcnow()))
        self.assertPlan(job_sql.runs_without_job(utcnow()))
        self.assertPlan(job_sql.checks_without_job())
        self.assertPlan(job_sql.forgets_without_job())

    def test_reconciliation(self):
        """By the index on the record, one lookup each: the history isn't scanned."""
        ids = list(range(1, 2001))
        self.assertPlan(last_deliveries(7, "res.partner", ids), f"{TABLE}_about")
        self.assertPlan(stored_payloads(self.env[DELIVERY].search([], limit=9).ids))

    def test_what_was_sent_before(self):
        """By the attempts of the delivery, or of the record, however many there are."""
        deliveries = self.env[DELIVERY].search([("name", "=", "old")], limit=100)
        self.assertPlan(sql.sent_requests(deliveries.ids, 1, 1024))
        self.assertPlan(sql.sent_payload(deliveries.attempt_ids[:1].id))
        compared = f"{TABLE}_attempt_compared"
        self.assertPlan(sql.compares_requests(self.endpoint.id), compared)
        subjects = [f"res.partner,{number}" for number in range(100)]
        self.assertPlan(sql.last_requests(self.endpoint.id, subjects), compared)

    def test_content_that_is_stored_once(self):
        """Attempts are compared with, and completed from, their deliveries alone."""
        self.env.cr.execute(f"ANALYZE {TABLE}_attempt (delivery_id)")
        deliveries = self.env[DELIVERY].search([("name", "=", "old")], limit=100)
        row = (
            *("a", 2, "processing", None, "post", "json", "https://x.example", "{}"),
            *("{}", *[None] * 7, 1),
        )
        rows = [(delivery_id, *row) for delivery_id in deliveries.ids]
        company_id = self.endpoint.company_id.id
        self.assertPlan(
            sql.open_attempts(self.endpoint.id, company_id, "job", utcnow(), rows),
            f"{TABLE}_pkey",
        )
        for names in (["payload_json"], list(sql.SHARED)):
            self.assertPlan(
                sql.complete_attempts(deliveries.ids, names),
                f"{TABLE}_attempt_number_unique",
            )
        attempts = self.env[ATTEMPT].search([("delivery_id", "in", deliveries.ids)])
        query = attempts._as_query(ordered=False)
        self.assertPlan(
            query.select(attempts._field_to_sql(attempts._table, "payload_json")),
            f"{TABLE}_pkey",
        )

    def test_results(self):
        """Each result finds its delivery by id, however many are in flight.

        PostgreSQL expected one delivery in flight, and compared each of n results with
        n of them: 280 took up to 52 ms, and now 15.
        """
        ids = self.env[DELIVERY].search([("state", "=", "queued")]).ids
        self.assertEqual(300, len(ids))
        self.env.cr.execute(sql.mark_processing(ids, "job", 0, utcnow(), attempts=1))
        result = ("done", None, None, 0, utcnow(), 200, "{}", "", None, None, None)
        rows = [(delivery_id, *result) for delivery_id in ids]

        plan = self.plan(sql.record_deliveries("job", utcnow(), rows))

        used = {node.get("Index Name") for node in plan}
        self.assertIn(f"{TABLE}_pkey", used)
        self.assertNotIn(f"{TABLE}_in_flight", used)
        self.assertFalse([node for node in plan if "Join Filter" in node], plan)

    def test_polls(self):
        """The last check, and recovery read what is unfinished alone."""
        endpoint_id, now = self.endpoint.id, utcnow()
        self.assertPlan(sql.next_due(endpoint_id, False), f"{TABLE}_due")
        self.assertPlan(sql.next_due(endpoint_id, True), f"{TABLE}_line")
        self.assertPlan(sql.slots_in_use(endpoint_id), f"{TABLE}_in_flight")
        self.assertPlan(
            sql.release_interrupted(endpoint_id, 0, now, limit=5, note="", error=""),
            f"{TABLE}_in_flight",
        )
        self.assertPlan(
            sql.interrupt_attempts(endpoint_id, 0, now, ""), f"{TABLE}_in_flight"
        )
        self.assertPlan(sql.interrupted_hooks(endpoint_id), f"{TABLE}_attempt_hook_due")

    def test_wake_ups(self):
        """Superseding finds an endpoint's wake-ups among 100,000 old jobs by index."""
        supersede = job_sql.supersede_wake_ups(self.endpoint.id, utcnow(), "x")
        self.assertPlan(supersede)
        by_key = {
            "bwt_webhook_outbound_wake_index",
            # queue_job's own serves as well where the database sorts as C does.
            "queue_job_identity_key_state_partial_index",
        }
        used = {node.get("Index Name") for node in self.plan(supersede)}
        self.assertTrue(used & by_key, used)
        self.assertPlan(job_sql.started_lane_job("x", 1, SQL("FALSE")))
        self.assertPlan(job_sql.push_watchdog("x", "y", utcnow()))
        self.assertPlan(job_sql.close_watchdog("x", utcnow()))
        self.assertPlan(job_sql.others_waiting(self.endpoint.id, utcnow()))
        self.assertPlan(job_sql.dead_lane_jobs())
        self.assertPlan(job_sql.close_killed([1], utcnow(), "x"))

    def test_sweep(self):
        """The sweep of every minute reads no history, of deliveries or of jobs."""
        self.assertPlan(
            sql.stuck_endpoints(utcnow()),
            f"{TABLE}_due",
            f"{TABLE}_in_flight",
            f"{TABLE}_attempt_hook_due",
        )

    def test_what_needs_attention(self):
        """Its list and Recover read what failed, not what arrived in years.

        Planned with the few failures of an ordinary day.
        """
        cr = self.env.cr
        cr.execute(
            f"UPDATE {TABLE} SET state = 'done' "
            "WHERE state = 'dead_letter' AND queue_number % 40 > 0"
        )
        cr.execute(f"ANALYZE {TABLE}")
        for domain in (
            [
                "|",
                ("state", "=", "dead_letter"),
                "&",
                ("state", "=", "error"),
                ("next_attempt_at", "=", False),
            ],
            [
                ("endpoint_id", "=", self.endpoint.id),
                ("state", "in", ["dead_letter", "error"]),
            ],
        ):
            query = self.env[DELIVERY]._search(domain, limit=80)
            self.assertPlan(query.select(), f"{TABLE}_failed")

    def test_groups_of_what_needs_attention(self):
        """Endpoints and reasons are counted from what failed, not from the history."""
        cr = self.env.cr
        cr.execute(
            f"UPDATE {TABLE} SET state = 'done' "
            "WHERE state = 'dead_letter' AND queue_number % 40 > 0"
        )
        cr.execute(f"ANALYZE {TABLE}")
        deliveries = self.env[DELIVERY]
        for domain in (
            literal_eval(domain)
            for name, domain in self.filters()
            if name in ("needs_attention", "error", "dead_letter")
        ):
            for group in ("endpoint_id", "detailed_reason"):
                query = deliveries._search(domain)
                expression = deliveries._read_group_groupby(TABLE, group, query)
                query.groupby = expression
                plan = query.select(expression, SQL("count(*)"))
                self.assertPlan(plan, f"{TABLE}_failed")

    def test_groups_of_what_needs_attention_read_no_table(self):
        """Failures are counted by endpoint and reason from the index alone.

        With 40,000 failures on as many pages of the table, the list took half a second
        of the database. For an operator, whose companies are a part of the index, too.
        """
        operator = new_test_user(self.env, "plan-groups", OPERATOR)
        deliveries = self.env[DELIVERY].with_user(operator)
        filters = dict(self.filters())
        # The pages of an open transaction are never all visible, so that the planner
        # would rather read them: the plan is whether it could do without.
        self.env.cr.execute("SET LOCAL enable_bitmapscan = off")
        self.env.cr.execute("SET LOCAL enable_seqscan = off")
        for name in ("needs_attention", "error", "dead_letter"):
            for group in ("endpoint_id", "detailed_reason"):
                with self.subTest(filter=name, group=group):
                    domain = literal_eval(filters[name])
                    query = deliveries._search(domain)
                    expression = deliveries._read_group_groupby(TABLE, group, query)
                    query.groupby = expression
                    plan = self.plan(query.select(expression, SQL("count(*)")))
                    reads = {
                        node["Node Type"]: node.get("Index Name")
                        for node in plan
                        if node.get("Alias") == TABLE
                    }
                    self.assertEqual({"Index Only Scan": f"{TABLE}_failed"}, reads)

    def test_an_opened_group_reads_one_page(self):
        """A group of Needs Attention finds its page by the index, then reads that page.

        The list is in the order of the index; by date it read each of 100,000 failures.
        """
        operator = new_test_user(self.env, "plan-opened", OPERATOR)
        deliveries = self.env[DELIVERY].with_user(operator)
        domain = [
            *literal_eval(dict(self.filters())["needs_attention"]),
            ("endpoint_id", "=", self.endpoint.id),
            ("detailed_reason", "=", "http_404"),
        ]
        view = self.env.ref(
            "bwt_webhooks_outbound.view_webhook_outbound_attention_list"
        )
        order = etree.fromstring(view.arch).get("default_order")
        self.env.cr.execute(
            f"UPDATE {TABLE} SET failure_reason = 'http_4xx', "
            "response_status_code = 404 WHERE state = 'dead_letter'"
        )
        self.env.cr.execute("SET LOCAL enable_bitmapscan = off")
        self.env.cr.execute("SET LOCAL enable_seqscan = off")

        plan = self.plan(deliveries._search(domain, limit=80, order=order).select())
        found = deliveries.search_fetch(domain, ["name"], limit=80, order=order)

        reads = [node["Node Type"] for node in plan if node.get("Alias") == TABLE]
        self.assertEqual(["Index Only Scan"], reads)
        self.assertNotIn("Sort", {node["Node Type"] for node in plan})
        self.assertEqual(80, len(found))
        self.assertEqual(sorted(found.ids, reverse=True), found.ids)

    def test_searches_read_no_history(self):
        """By record, message id, reason and period: indexes, not 100,000 rows.

        Halving the ids takes one lookup per step; the models that occur one per model.
        """
        partner = self.env["res.partner"].create({"name": "Azure Interior"})
        delivery = self.endpoint.queue_delivery({"a": 1}, record=partner)
        self.env.cr.execute(
            f"UPDATE {TABLE} SET create_date = create_date - interval '60 days' "
            "WHERE name = 'old'"
        )
        self.env.cr.execute(f"ANALYZE {TABLE}")
        deliveries = self.env[DELIVERY]
        for domain in (
            [("record_name", "ilike", "azure")],
            [("message_ref", "=", delivery.message_uid)],
            [("payload_json", "ilike", "a"), ("age_days", "<=", 7)],
        ):
            with self.subTest(domain=domain):
                before = self.env.cr.sql_log_count
                query = deliveries._search(domain, limit=80)
                self.assertPlan(query.select())
                self.assertIn(delivery, deliveries.search(domain))
                self.assertLess(self.env.cr.sql_log_count - before, 15)

    def test_overview_reads_no_history(self):
        """No statement of the Overview reads deliveries or attempts from end to end.

        Each statement that it runs is planned, with the rights of an operator. It is
        read every 30 seconds by everybody who has it open.
        """
        cr = self.env.cr
        cr.execute(
            f"UPDATE {TABLE} SET state = 'done' "
            "WHERE state = 'dead_letter' AND queue_number % 400 > 0"
        )
        cr.execute(f"ANALYZE {TABLE}")
        operator = new_test_user(self.env, "plan-operator", OPERATOR)
        page = self.env["bwt.webhook.outbound.overview"].with_user(operator)
        page.action_read_overview()  # fills caches: labels, rights
        statements, execute = [], cr.execute

        def noting(query, *arguments, **options):
            execute(query, *arguments, **options)
            statements.append(cr.query.decode())

        for period in ("hours", "days"):
            self.env.invalidate_all()
            with patch.object(cr, "execute", noting):
                shown = page.action_read_overview(period)
            self.assertTrue(shown["groups"])
        selects = [each for each in statements if each.lstrip().startswith("SELECT")]
        self.assertGreater(len(selects), 8)
        self.assertLess(len(selects), 40)
        for statement in selects:
            with self.subTest(statement=statement):
                self.assertPlan(SQL(statement.replace("%", "%%")))
        ids = (self.endpoint + self.other).ids
        deliveries = self.env[DELIVERY].with_user(operator)
        self.assertPlan(failures_sql(deliveries, ids), f"{TABLE}_failed")
        self.assertPlan(waiting_sql(deliveries, ids), f"{TABLE}_due")

    def test_figures_are_found_by_index(self):
        """What a lane adds to the figures finds its row among the hours of years."""
        hours = "bwt_webhook_outbound_endpoint_hour"
        self.env.cr.execute(
            f"""INSERT INTO {hours} (endpoint_id, hour, lane_slot, succeeded)
            SELECT %s, '2026-01-01'::timestamp + n * interval '1 hour', 0, 1
            FROM generate_series(1, 5000) n""",
            self.endpoint.ids,
        )
        self.env.cr.execute(f"ANALYZE {hours}")
        hour = utcnow().replace(minute=0, second=0, microsecond=0)
        counts = {"succeeded": 1, "ms_5": 1}

        plan = self.plan(sql.count_attempts(self.endpoint.id, 0, hour, counts))

        self.assertIn(f"{hours}_lane_unique", {each.get("Index Name") for each in plan})

    def test_screens_need_few_queries(self):
        """The list opens, filters and groups 100,000 deliveries in a few queries.

        Each filter and group of the search view, as the web client requests it. One
        query more per row shown would make every click as slow as the history is long;
        the times themselves are in `make bench`, scenario screens.
        """
        deliveries = self.env[DELIVERY]
        fields = etree.fromstring(deliveries.get_view(view_type="list")["arch"])
        names = {field.get("name"): {} for field in fields.iter("field")}
        counts = {}
        for name, domain, group in self.searches():
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            if group:
                deliveries.web_read_group(domain, [group], ["__count"], limit=80)
            else:
                deliveries.web_search_read(domain, names, limit=80, count_limit=10_001)
            counts[name] = self.env.cr.sql_log_count - before

        many = {name: count for name, count in counts.items() if count > 10}
        self.assertFalse(many)

    def filters(self):
        """Name and domain of each filter of the search view."""
        view = self.env[DELIVERY].get_view(view_type="search")
        for entry in etree.fromstring(view["arch"]).iter("filter"):
            yield entry.get("name"), entry.get("domain", "[]")

    def searches(self):
        """Name, domain and group of each entry of the search view; none comes first."""
        yield "all", [], False
        view = self.env[DELIVERY].get_view(view_type="search")
        for entry in etree.fromstring(view["arch"]).iter("filter"):
            context = literal_eval(entry.get("context", "{}"))
            domain = literal_eval(entry.get("domain", "[]"))
            yield entry.get("name"), domain, context.get("group_by")

    def test_superseded_lookup(self):
        """Finding what replaced a delivery reads the few that replace, no history."""
        self.endpoint.ordering = "none"
        plan = self.plan(sql.claim(self.endpoint.id, utcnow(), 100))
        inner = {
            node.get("Index Name") for node in plan if node.get("Alias", "") == "s"
        }
        self.assertEqual({f"{TABLE}_superseding"}, inner)

    def test_retention(self):
        """Expired rows are found by the index of what ended, endpoint by endpoint."""
        self.env.cr.execute("EXPLAIN SELECT 1")
        before = self.env.cr.sql_log_count
        found = self.env[DELIVERY]._lock_expired(100)
        self.assertEqual(100, len(found))
        self.assertEqual(2, self.env.cr.sql_log_count - before)
        for index in ("ended", "failed_ended", "emptied"):
            self.assertPlan(delivery.expired(utcnow(), 100), f"{TABLE}_{index}")

    def test_content_retention(self):
        """The same for content: deliveries without any are not read again."""
        self.env.cr.execute("UPDATE bwt_webhook_outbound_endpoint SET content_days = 5")
        for index in ("ended", "failed_ended"):
            query = content_retention.expired(utcnow(), 100)
            self.assertPlan(query, f"{TABLE}_{index}")
