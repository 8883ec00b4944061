# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Runs over existing records and checks of them, while workers and servers are killed.

`BWT_BACKFILL=20000:30` is the long form: records and kills. Records per minute are
`BWT_BACKFILL_PACE`.
"""

import contextlib
import json
import os
import random
import signal
import threading
import time
from collections import Counter

from stage import serving, stage, wait_for_runner, wait_until

from receiver import Receiver

RECORDS, FAULTS = map(int, os.environ.get("BWT_BACKFILL", "600:6").split(":"))
PACE = int(os.environ.get("BWT_BACKFILL_PACE", 1800))  # a minute
STILL = 150  # seconds; see `faulty_run.STILL`

PREPARE = """
shop = env["bwt.webhook.outbound.endpoint"].search([("code", "=", code)])
category = env["res.partner.category"].create({"name": code})
env["res.partner"].create([
    {"name": f"{code} {n}", "category_id": [(6, 0, category.ids)]}
    for n in range(count)
])
action = env["ir.actions.server"].create({
    "name": code,
    "model_id": env["ir.model"]._get("res.partner").id,
    "state": "bwt_webhook_outbound",
    "bwt_webhook_endpoint_id": shop.id,
    "bwt_webhook_field_ids": [
        (0, 0, {"usage": "field", "source_expression": "name"})
    ],
})
run = shop.backfill(action, [("category_id", "in", category.ids)], pace=pace)
result = env["res.partner"].search([("category_id", "in", category.ids)]).ids
"""

CHECKED_RECORDS, CHECK_KILLS = map(
    int, os.environ.get("BWT_CHECK", "100000:3").split(":")
)
CHECKED_MISSING = 50
# Contacts that were all written after their delivery: each payload is compared.
CHECKED = """
shop = env["bwt.webhook.outbound.endpoint"].search([("code", "=", code)])
action = env["ir.actions.server"].create({
    "name": code,
    "model_id": env["ir.model"]._get("res.partner").id,
    "state": "bwt_webhook_outbound",
    "bwt_webhook_endpoint_id": shop.id,
    "bwt_webhook_field_ids": [
        (0, 0, {"usage": "field", "source_expression": "name"})
    ],
})
env.cr.execute('''
    INSERT INTO res_partner (name, complete_name, ref, active, create_date, write_date)
    SELECT 'Contact ' || n, 'Contact ' || n, %s, TRUE, at, at
    FROM generate_series(1, %s) AS n, (SELECT now() AT TIME ZONE 'UTC' AS at) AS moment
    RETURNING id''', [code, count])
ids = sorted(row[0] for row in env.cr.fetchall())
env.cr.execute('''
    INSERT INTO bwt_webhook_outbound_delivery (
        name, message_uid, state, payload_json, request_headers_json, queue_number,
        endpoint_id, company_id, server_action_id, res_model, res_id, create_date
    ) SELECT name, 'msg_' || id, 'done',
        json_build_object('_model', 'res.partner', '_id', id, '_action', %s,
            'name', name),
        '{}', nextval('bwt_webhook_outbound_queue_number'), %s, %s, %s, 'res.partner',
        id, write_date - interval '1 minute'
    FROM res_partner WHERE id = ANY(%s)''', [
        f"{code}(#{action.id})", shop.id, shop.company_id.id, action.id, ids[missing:],
    ])
env["bwt.webhook.outbound.reconciliation"].create({
    "action_id": action.id, "domain": f"[('ref', '=', '{code}')]",
}).action_check()
result = ids[:missing]
"""


REPLAY = """
shop = env["bwt.webhook.outbound.endpoint"].search([("code", "=", code)])
action = env["bwt.webhook.outbound.recover"].create({
    "endpoint_id": shop.id, "with_done": True, "pace": pace,
}).action_start_replay()
result = env["bwt.webhook.outbound.run"].browse(action["res_id"]).name
"""


def run_of(shop, code):
    [run] = shop.rows(f"SELECT * FROM bwt_webhook_outbound_run WHERE name = '{code}'")
    return run


def wait_for_progress(shop, server, code, wanted):
    """Wait as long as the run moves; a server that ended by itself is started."""

    def processed():
        return run_of(shop, code)["processed_count"]

    seen, since = processed(), time.monotonic()
    while (now := processed()) < wanted:
        if not server.is_running():
            server.kill()
            server.start()
        if now != seen:
            seen, since = now, time.monotonic()
        if time.monotonic() - since > STILL:
            raise TimeoutError(f"{now} of {wanted}: {run_of(shop, code)}")
        time.sleep(0.02)


def test_killed(cluster, origin):
    """Each record is queued once and arrives, whatever is killed meanwhile.

    A batch that lost its place would queue records twice, one that moved on without
    its deliveries would leave them out.
    """
    seed = int(os.environ.get("BWT_SEED") or random.randrange(10**6))
    print(f"\nseed {seed}")
    drawn = random.Random(seed)
    with (
        stage(cluster, "backfill", origin=origin) as shop,
        Receiver() as receiver,
        serving(cluster, shop.database, workers=4, channels="root:3") as server,
    ):

        def kill_server():
            server.kill()
            server.start()

        def kill_worker():
            # Any of them: one that runs a batch, one that sends, an idle one.
            workers = sorted(set(server.processes()) - {server.process.pid})
            for pid in drawn.sample(workers, min(2, len(workers))):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

        shop.endpoint("shop", receiver.url, circuit_threshold=0)
        ids = shop.caller.run(PREPARE, code="shop", count=RECORDS, pace=PACE)
        began = time.monotonic()
        moments = sorted(drawn.sample(range(10, int(RECORDS * 0.9)), FAULTS))
        for moment in moments:
            wait_for_progress(shop, server, "shop", moment)
            drawn.choice([kill_worker, kill_worker, kill_server])()
            print(f"{moment} {time.monotonic() - began:.1f} s", flush=True)
        wait_for_progress(shop, server, "shop", RECORDS)
        wait_until(lambda: run_of(shop, "shop")["state"] == "done", STILL)
        wait_until(lambda: shop.states("shop") == {"done": RECORDS}, STILL)
        took = time.monotonic() - began
        deliveries = shop.deliveries("shop")
        run = run_of(shop, "shop")

    counts = Counter(each["res_id"] for each in deliveries)
    arrived = receiver.counts()
    print(
        f"{RECORDS} records, {FAULTS} kills, {took:.0f} s at a pace of {PACE}: missing "
        f"{len(set(ids) - set(counts))}, twice {sum(n > 1 for n in counts.values())}, "
        f"arrived {len(arrived)}"
    )
    assert dict.fromkeys(ids, 1) == counts
    assert {"backfill"} == {each["origin"] for each in deliveries}
    assert {each["message_uid"] for each in deliveries} == set(arrived)
    assert (RECORDS, RECORDS, 0) == (
        run["processed_count"],
        run["queued_count"],
        run["not_built_count"],
    )


def test_replay_killed(cluster, origin):
    """Each past delivery is queued again once, whatever is killed meanwhile.

    The same delivery with its message ID: every further arrival belongs to an attempt
    that a kill has interrupted.
    """
    seed = int(os.environ.get("BWT_SEED") or random.randrange(10**6))
    print(f"\nseed {seed}")
    drawn = random.Random(seed)
    count, kills = 300, 3
    with (
        stage(cluster, "replay", origin=origin) as shop,
        Receiver() as receiver,
        serving(cluster, shop.database, workers=4, channels="root:3") as server,
    ):
        shop.endpoint("shop", receiver.url, circuit_threshold=0)
        uids = shop.queue("shop", count)
        shop.wait_for_states("shop", done=count)
        name = shop.caller.run(REPLAY, code="shop", pace=PACE)
        for moment in sorted(drawn.sample(range(10, count - 50), kills)):
            wait_for_progress(shop, server, name, moment)
            server.kill()
            server.start()
        wait_for_progress(shop, server, name, count)
        wait_until(lambda: run_of(shop, name)["state"] == "done", STILL)
        wait_until(lambda: shop.states("shop") == {"done": count}, STILL)
        run, attempts = run_of(shop, name), shop.attempts("shop")
        states = shop.states("shop")

    arrived = receiver.counts()
    interrupted = sum(each["state"] == "interrupted" for each in attempts)
    print(f"{count} replayed, {kills} kills: {sum(arrived.values())} arrivals")
    assert {"done": count} == states
    assert (count, count) == (run["queued_count"], run["processed_count"])
    assert set(uids) == set(arrived)
    assert 2 == min(arrived.values())
    assert sum(arrived.values()) <= 2 * count + interrupted


def test_check_killed(cluster, origin):
    """A check that is killed again and again finds exactly what is missing.

    A step that was stored without its place would count records twice.
    """
    seed = int(os.environ.get("BWT_SEED") or random.randrange(10**6))
    print(f"\nseed {seed}")
    drawn = random.Random(seed)
    with (
        stage(cluster, "check", origin=origin) as shop,
        serving(cluster, shop.database, workers=4, channels="root:3") as server,
    ):
        shop.endpoint("shop", "http://127.0.0.1:9", state="draft")
        missing = shop.caller.run(
            CHECKED, code="shop", count=CHECKED_RECORDS, missing=CHECKED_MISSING
        )
        rows = "SELECT * FROM bwt_webhook_outbound_reconciliation"

        def runs():
            """Whether a step runs, or the check has ended."""
            if not server.is_running():
                server.kill()
                server.start()
            started = "SELECT 1 FROM queue_job_lock l JOIN queue_job j ON j.id = "
            started += "l.queue_job_id WHERE j.method_name = 'run_check' AND j.state = "
            return shop.rows(started + "'started'") or check()["state"] == "idle"

        def check():
            return shop.rows(rows)[0]

        places = []
        for _kill in range(CHECK_KILLS):
            wait_until(runs, STILL)
            time.sleep(drawn.uniform(1, 9))  # in the middle of a step, or between two
            places.append(check()["last_id"])
            if drawn.random() < 0.5:
                server.kill()
                server.start()
            else:
                for pid in set(server.processes()) - {server.process.pid}:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: runs() and check()["state"] == "idle", STILL)
        seen = check()
        found = shop.rows(
            "SELECT res_id, verdict FROM bwt_webhook_outbound_reconciliation_result"
        )

    print(f"{CHECKED_RECORDS} records, killed at {places}: {len(found)} missing")
    assert not seen["message"]
    assert sorted(missing) == sorted(each["res_id"] for each in found)
    assert (CHECKED_RECORDS - CHECKED_MISSING, CHECKED_MISSING) == (
        seen["delivered_count"],
        seen["never_queued_count"],
    )


def test_written_while_a_batch_is_queued(cluster, origin):
    """What a user writes meanwhile is queued behind the batch, or the batch waits.

    Otherwise the receiver would get the older values last, and keep them.
    """
    with stage(cluster, "written", origin=origin) as shop:
        shop.endpoint("shop", "http://127.0.0.1:9")
        ids = shop.caller.run(PREPARE, code="shop", count=3, pace=PACE)
        write = """
record = env["res.partner"].browse(record_id)
record.name = name
action = env["ir.actions.server"].search([("name", "=", "shop")])
action.with_context(active_model="res.partner", active_ids=record.ids).run()
"""
        batch = 'env["bwt.webhook.outbound.run"].search([]).run_batch()'

        with shop.caller.transaction() as late:
            late.run("env.cr.execute('SELECT 1 FROM res_partner LIMIT 1')")
            shop.caller.run(write, record_id=ids[0], name="first")
            late.run(batch)
            late.commit()
        origins = {each["origin"] for each in shop.deliveries("shop")}
        assert origins == {"live"}
        assert "another transaction is writing" in run_of(shop, "shop")["message"]

        with shop.caller.transaction() as user, shop.caller.transaction() as late:
            user.run(write, record_id=ids[1], name="second")
            late.run(batch)
            late.commit()
            user.commit()
        assert run_of(shop, "shop")["processed_count"] == 0

        with shop.caller.transaction() as late:
            late.run(batch)
            with shop.caller.transaction() as user:
                writing = threading.Thread(
                    target=lambda: (
                        user.run(write, record_id=ids[2], name="third"),
                        user.commit(),
                    )
                )
                writing.start()
                wait_until(
                    lambda: shop.rows(
                        "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
                        f"AND datname = '{shop.database}'"
                    )
                )
                late.commit()
                writing.join()
        last = {each["res_id"]: each for each in shop.deliveries("shop")}

    assert names_of(last) == {ids[0]: "first", ids[1]: "second", ids[2]: "third"}


def names_of(deliveries):
    return {
        key: json.loads(each["payload_json"])["name"]
        for key, each in deliveries.items()
    }


def test_pace(house, house_server, receiver, code):
    """A run is no faster than its pace, and a job waits between batches."""
    wait_for_runner(house_server)
    house.endpoint(code, receiver.url)
    house.caller.run(PREPARE, code=code, count=300, pace=1200)
    wait_for_progress(house, house_server, code, 1)
    began, first = time.monotonic(), run_of(house, code)["processed_count"]

    wait_for_progress(house, house_server, code, 300)

    took = time.monotonic() - began
    rate = (300 - first) / took * 60
    print(f"{300 - first} records in {took:.1f} s: {rate:.0f} a minute of 1200")
    house.wait_for_states(code, done=300)
    assert rate <= 1.1 * 1200
