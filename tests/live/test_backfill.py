# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A run over existing records, while workers and servers are killed."""

import contextlib
import os
import random
import signal
import time
from collections import Counter

from stage import serving, stage, wait_for_runner, wait_until

from receiver import Receiver

RECORDS = 600
FAULTS = 6
PACE = 1800  # a minute
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
        wait_for_progress(shop, server, "shop", RECORDS)
        wait_until(lambda: run_of(shop, "shop")["state"] == "done", STILL)
        wait_until(lambda: shop.states("shop") == {"done": RECORDS}, STILL)
        took = time.monotonic() - began
        deliveries = shop.deliveries("shop")
        run = run_of(shop, "shop")

    counts = Counter(each["res_id"] for each in deliveries)
    arrived = receiver.counts()
    print(
        f"{RECORDS} records, {FAULTS} kills, {took:.0f} s: missing "
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
