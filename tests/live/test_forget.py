# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Forget a contact, while workers and servers are killed.

`BWT_FORGET=3000` is the long form: deliveries about the contact.
"""

import contextlib
import os
import random
import signal

from stage import serving, stage, wait_until

from receiver import Receiver

COUNT = int(os.environ.get("BWT_FORGET", 800))
SHARES = (0.2, 0.5) if COUNT < 3000 else (0.1, 0.4, 0.7)  # deleted when killed
EMAIL = "zoe.planted@shop.example"
STILL = 150  # seconds; see `faulty_run.STILL`
OTHERS = 200  # deliveries about nobody, which keep their content

CONTACT = "result = env['res.partner'].create({'name': 'Zoe', 'email': email}).id"
QUEUE = """
endpoint(code).queue_deliveries([
    {
        "payload": {"n": n, "email": email},
        "context_lines": {"mail": email},
        "record": env["res.partner"].browse(contact),
    }
    for n in range(count)
])
"""
SEARCH = """
forget = env["bwt.webhook.outbound.forget"].create({"partner_id": contact})
forget.action_search()
result = forget.id
"""
DELETE = "env['bwt.webhook.outbound.forget'].browse(forget).action_delete_content()"
# Columns of the addon's tables and of queue_job with the e-mail in them.
FOUND = """
result = []
env.cr.execute('''
    SELECT table_name, column_name FROM information_schema.columns
    WHERE table_schema = 'public'
    AND data_type IN ('text', 'character varying', 'jsonb')
    AND (table_name LIKE 'bwt\\\\_%%' OR table_name LIKE 'queue\\\\_job%%')
''')
for table, column in env.cr.fetchall():
    env.cr.execute(
        f'SELECT count(*) FROM "{table}" WHERE "{column}"::text LIKE %s',
        [f"%{email}%"],
    )
    [count] = env.cr.fetchone()
    if count:
        result.append([f"{table}.{column}", count])
"""


def test_killed(cluster, origin):
    """What is forgotten is forgotten whole, and nothing else is, whatever is killed."""
    seed = int(os.environ.get("BWT_SEED") or random.randrange(10**6))
    print(f"\nseed {seed}")
    drawn = random.Random(seed)
    with (
        stage(cluster, "forget", origin=origin) as shop,
        Receiver() as receiver,
        serving(cluster, shop.database, workers=4, channels="root:3") as server,
    ):

        def forget_of(number):
            [row] = shop.rows(
                f"SELECT * FROM bwt_webhook_outbound_forget WHERE id = {number}"
            )
            return row

        def kill_server():
            server.kill()
            server.start()

        def kill_workers():
            workers = sorted(set(server.processes()) - {server.process.pid})
            for pid in workers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

        shop.endpoint("shop", receiver.url, circuit_threshold=0)
        contact = shop.caller.run(CONTACT, email=EMAIL)
        shop.caller.run(QUEUE, code="shop", contact=contact, email=EMAIL, count=COUNT)
        shop.queue("shop", OTHERS)
        shop.wait_for_states("shop", 300, done=COUNT + OTHERS)
        before = shop.caller.run(FOUND, email=EMAIL)

        forget = shop.caller.run(SEARCH, contact=contact)
        kill_workers()
        wait_until(lambda: forget_of(forget)["state"] == "found", STILL)
        assert COUNT == forget_of(forget)["ended_count"]

        shop.caller.run(DELETE, forget=forget)
        places = []
        for share in SHARES:
            wait_until(
                lambda share=share: forget_of(forget)["deleted_count"] >= share * COUNT,
                STILL,
                instead=lambda: repr(forget_of(forget)),
            )
            drawn.choice([kill_workers, kill_server])()
            places.append(forget_of(forget)["deleted_count"])
        wait_until(lambda: forget_of(forget)["state"] == "done", STILL)
        row = forget_of(forget)
        after = shop.caller.run(FOUND, email=EMAIL)
        kept = shop.rows(
            "SELECT count(*) AS n FROM bwt_webhook_outbound_delivery "
            "WHERE payload_json IS NOT NULL AND payload_json LIKE '{\"n\"%'"
        )

    print(f"{COUNT} deliveries, killed at {places}; before {before}")
    assert before
    assert [] == after
    assert COUNT == row["deleted_count"]
    assert OTHERS == kept[0]["n"]
    assert places[0] < COUNT
