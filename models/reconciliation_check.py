# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What has become of records: a verdict for each, by the deliveries of one action."""

import time
from datetime import timedelta
from typing import NamedTuple

from odoo import SUPERUSER_ID
from odoo.fields import Datetime, Domain
from odoo.tools import SQL

from ..services.jsonable import to_json_value
from .action_guard import guarded
from .action_queue import compile_action
from .content_retention import comparable, compared_without, payload_hash, without
from .run_records import matching

CHUNK = 2000  # records that are read at a time
BUILT_AT_ONCE = 50  # payloads that are compared at a time
STEP_SECONDS = 5.0  # of a transaction

VERDICTS = [
    ("never_queued", "Never Queued"),
    ("failed", "Failed"),
    ("outdated", "Outdated"),
    ("canceled", "Canceled"),
    ("waiting", "Waiting"),
    ("delivered", "Delivered"),
    ("not_checkable", "Not Checkable"),
]
# The receiver doesn't have the record as it is, and nothing is on its way.
MISSING = ("never_queued", "failed", "outdated", "canceled")
# Stored record by record. The others are counted alone: there may be a million.
STORED = (*MISSING, "waiting")


def problem_of(reconciliation):
    """Why no record can be checked; empty if they can."""
    env, user = reconciliation.env, reconciliation.user_id
    action = reconciliation.action_id
    if not action:
        return env._("Its server action was deleted. Choose another one.")
    if action.model_id.model not in env:
        return env._(
            "The model %s isn't installed any more. Choose another server action.",
            reconciliation.res_model,
        )
    if reconciliation._is_of_another_action():
        return env._(
            "Its server action is for another model or endpoint now. Press Check Now."
        )
    if not (user.active or user.id == SUPERUSER_ID):
        return env._(
            "The user who saved it is archived, and records are searched with their "
            "rights. Change its filter or another setting as another user."
        )
    return ""


class LastDelivery(NamedTuple):
    """The last delivery about a record, and the last one that is done.

    known_at: records written before have the values of that one's payload
    """

    res_id: int
    delivery_id: int | None
    state: str | None
    waits: bool | None
    done_id: int | None
    known_at: object


def last_deliveries(action_id: int, res_model: str, ids: list[int]) -> SQL:
    """`LastDelivery` of each of these records, by the index on the record."""
    # One index lookup per record; payloads are not read. OFFSET 0 keeps PostgreSQL from
    # reading all deliveries of the action for each record, by their own index.
    # create_date is when the transaction began, as is a record's write_date: what it
    # wrote after it had queued is compared. A replay repeats an earlier payload.
    return SQL(
        """SELECT r.id, l.id, l.state,
            l.state IN ('draft', 'queued', 'processing')
            OR (l.state = 'error' AND l.next_attempt_at IS NOT NULL),
            n.id, CASE WHEN n.origin IS DISTINCT FROM 'replay' THEN n.create_date END
        FROM unnest(%(ids)s::int[]) AS r (id)
        CROSS JOIN LATERAL (
            SELECT max(d.id) AS last_id, max(d.id) FILTER (WHERE d.state = 'done')
                AS done_id
            FROM (
                SELECT id, state, server_action_id FROM bwt_webhook_outbound_delivery
                WHERE res_model = %(model)s AND res_id = r.id OFFSET 0
            ) d WHERE d.server_action_id = %(action)s
        ) f
        LEFT JOIN bwt_webhook_outbound_delivery l ON l.id = f.last_id
        LEFT JOIN bwt_webhook_outbound_delivery n ON n.id = f.done_id""",
        ids=ids,
        model=res_model,
        action=action_id,
    )


def stored_payloads(ids: list[int]) -> SQL:
    return SQL(
        """SELECT id, payload_json, payload_hash, content_deleted_at IS NOT NULL
        FROM bwt_webhook_outbound_delivery WHERE id = ANY(%s)""",
        ids,
    )


class StoredPayload(NamedTuple):
    """What a delivery has sent; of one whose content was deleted, the hash alone."""

    payload: str | None
    payload_hash: str | None
    is_deleted: bool


class Check:
    """Verdicts on records of a reconciliation.

    :param reconciliation: as superuser
    :param now: naive UTC
    """

    def __init__(self, reconciliation, now):
        self.reconciliation = reconciliation
        self.env = reconciliation.env
        self.action = reconciliation.action_id
        self.records = matching(reconciliation, reconciliation.user_id)
        self.now = now
        self.path = compared_without(self.action)
        endpoint = reconciliation.endpoint_id
        days = endpoint.retention_days, endpoint.failed_retention_days
        days = min((each for each in days if each > 0), default=0)
        self.horizon = now - timedelta(days=days) if days else None

    def domain(self):
        """The filter, and since when."""
        reconciliation = self.reconciliation
        domain = self.records.domain
        if days := reconciliation.since_days:
            start = self.now - timedelta(days=days)
            domain &= Domain(reconciliation.date_field, ">=", start)
        return domain

    def behind(self, last_id):
        """The next records in the order of their ids."""
        model = self.records.model
        names = {self.reconciliation.date_field, "create_date", "write_date"}
        return model.search_fetch(
            self.domain() & Domain("id", ">", last_id),
            [name for name in names if name in model._fields],
            order="id",
            limit=CHUNK,
        )

    def verdicts(self, records, deadline=None):
        """Id of each record -> (verdict, id of its last delivery).

        :param records: in the order of their ids
        :param deadline: monotonic seconds; after it, of the first records alone
        """
        self.env.flush_all()
        self.env.cr.execute(
            last_deliveries(self.action.id, records._name, list(records.ids))
        )
        found, compared = {}, {}
        by_id = {record.id: record for record in records}
        for row in self.env.cr.fetchall():
            last = LastDelivery(*row)
            verdict = self._verdict(by_id[last.res_id], last)
            if verdict is None:
                compared[last.res_id] = last
            else:
                found[last.res_id] = verdict, last.delivery_id
        ids = sorted(compared)
        for start in range(0, len(ids), BUILT_AT_ONCE):
            if start and deadline and time.monotonic() > deadline:
                return {each: found[each] for each in found if each < ids[start]}
            part = ids[start : start + BUILT_AT_ONCE]
            found |= self._compare(
                records.browse(part), {each: compared[each] for each in part}
            )
        return found

    def _verdict(self, record, last):
        """The verdict; None if payloads have to be compared."""
        if last.delivery_id is None:
            return "not_checkable" if self._is_too_old(record) else "never_queued"
        if last.waits:
            return "waiting"
        if last.state in ("error", "dead_letter"):
            return "failed"
        if last.state == "canceled":
            if last.done_id:
                return None
            # It may be canceled because nothing had changed since one that is deleted.
            return "not_checkable" if self._is_too_old(record) else "canceled"
        written = self._date(record, "write_date")
        if written and last.known_at and written < last.known_at:
            return "delivered"
        return None

    def _is_too_old(self, record):
        """Whether its delivery may have been deleted after the retention.

        Whatever has been written since may be book-keeping: a record is as old as its
        creation, or as the date that was chosen.
        """
        if self.horizon is None:
            return False
        name = self.reconciliation.date_field
        date = self._date(record, "create_date" if name == "write_date" else name)
        return bool(date and date < self.horizon)

    def _date(self, record, name):
        value = record[name] if name in record._fields else None
        return Datetime.to_datetime(value) if value else None

    def _compare(self, records, lasts):
        """Whether the payload of today is that of the last delivery that is done."""
        self.env.cr.execute(stored_payloads([each.done_id for each in lasts.values()]))
        stored = {row[0]: StoredPayload(*row[1:]) for row in self.env.cr.fetchall()}
        built = self._built(records)
        found = {}
        for record_id, last in lasts.items():
            sent = stored.get(last.done_id)
            is_same = record_id in built and self._is_same(built[record_id], sent)
            if is_same is None:
                verdict = "not_checkable"
            elif is_same:
                verdict = "delivered"
            else:
                verdict = "canceled" if last.state == "canceled" else "outdated"
            found[record_id] = verdict, last.delivery_id
        return found

    def _is_same(self, built, stored):
        """Whether the payload was delivered; None if that isn't known any more."""
        if stored is None or not stored.is_deleted:
            return built == comparable(stored and stored.payload, self.path)
        return stored.payload_hash and payload_hash(built) == stored.payload_hash

    def _built(self, records):
        """Record id -> its payload of today; without those that can't be built."""
        action = self.action.with_env(records.env).sudo()
        build = compile_action(action)
        with guarded(self.env) as outcome:
            requests = build(records)
        if outcome.error is not None:  # of one record: find out which
            if len(records) < 2:
                return {}
            half = len(records) // 2
            return self._built(records[:half]) | self._built(records[half:])
        return {
            each["record"].id: without(to_json_value(each["payload"]), self.path)
            for each in requests
        }


def step(reconciliation, now):
    """Check the next records for some seconds, and store the verdicts.

    :return: whether all are checked
    """
    check = Check(reconciliation, now)
    deadline = time.monotonic() + STEP_SECONDS
    counts = dict.fromkeys(dict(VERDICTS), 0)
    last_id, is_end = reconciliation.last_id, False
    while True:
        records = check.behind(last_id)
        if not records:
            is_end = True
            break
        found = check.verdicts(records, deadline)
        is_end = len(found) == len(records) < CHUNK
        for verdict, _delivery_id in found.values():
            counts[verdict] += 1
        _store(reconciliation, records._name, found)
        last_id = max(found)
        if is_end or time.monotonic() > deadline:
            break
        records.env.invalidate_all()  # memory stays that of one chunk
    reconciliation.write(
        {"last_id": last_id}
        | {
            f"{name}_count": reconciliation[f"{name}_count"] + counts[name]
            for name in counts
        }
    )
    return is_end


def _store(reconciliation, res_model, found):
    rows = [
        (
            reconciliation.id,
            reconciliation.company_id.id or None,
            reconciliation.check_number,
            res_model,
            record_id,
            verdict,
            delivery_id,
        )
        for record_id, (verdict, delivery_id) in sorted(found.items())
        if verdict in STORED
    ]
    if rows:
        reconciliation.env.cr.execute_values(
            """INSERT INTO bwt_webhook_outbound_reconciliation_result (
                reconciliation_id, company_id, check_number, res_model, res_id, verdict,
                delivery_id
            ) VALUES %s""",
            rows,
            page_size=CHUNK,
        )


class MatchingResults:
    """The records of a run that queues what a check has found.

    Each is checked again before it is queued: it may have been delivered since.
    """

    def __init__(self, run):
        self.run = run
        self.reconciliation = run.reconciliation_id
        self.wanted = run.verdicts.split(",")

    def _ids(self, last_id, limit):
        self.run.env.flush_all()
        self.run.env.cr.execute(
            SQL(
                """SELECT res_id FROM bwt_webhook_outbound_reconciliation_result
                WHERE reconciliation_id = %s AND verdict = ANY(%s) AND res_id > %s
                AND check_number = %s ORDER BY res_id LIMIT %s""",
                self.reconciliation.id,
                self.wanted,
                last_id,
                self.run.check_number,
                limit,
            )
        )
        return [row[0] for row in self.run.env.cr.fetchall()]

    def count(self):
        self.run.env.flush_all()
        results = self.run.env["bwt.webhook.outbound.reconciliation.result"].sudo()
        return results.search_count(
            [
                ("reconciliation_id", "=", self.reconciliation.id),
                ("verdict", "in", self.wanted),
                ("check_number", "=", self.run.check_number),
            ]
        )

    def behind(self, last_id, limit, now):
        """The next records that are still missing.

        :return: values of a `Batch`
        """
        ids = self._ids(last_id, limit)
        check = Check(self.reconciliation, now)
        records = matching(self.run, self.run.user_id)
        found = records.model.search(
            records.domain & Domain("id", "in", ids), order="id"
        )
        if found:
            verdicts = check.verdicts(found)
            found = found.filtered(lambda each: verdicts[each.id][0] in self.wanted)
        return found, len(ids), ids[-1] if ids else last_id, len(ids) < limit
