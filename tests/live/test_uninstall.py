# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The addon removed while it has work."""

from stage import serving, stage, wait_until

from tools.databases import Databases
from tools.workspace import ADDON


def test_uninstalled_with_jobs_pending(cluster, origin, receiver, code):
    """Nothing of ours is in the log once the addon is gone, pending jobs or not.

    queue_job can't load a job whose model is gone: it would request it for ever.
    """
    with stage(cluster, "uninstall", origin=origin) as shop:
        shop.endpoint(code, receiver.url)
        shop.queue(code, 3)
        shop.queue(code, 1, eta="2100-01-01 00:00:00")
        pending = [job["uuid"] for job in shop.jobs(code) if job["state"] == "pending"]
        assert 2 == len(pending)

        Databases(cluster).uninstall(shop.database, ADDON)
        with serving(cluster, shop.database) as server:
            # The runner has checked all jobs once it has run this one.
            other = _job_of_another_addon(cluster, shop.database)
            wait_until(lambda: _state(shop, other) == "done")
            log = server.log()

        assert {"cancelled"} == {_state(shop, uuid) for uuid in pending}
        assert "bwt.webhook" not in log
        assert "bwt_webhook_outbound" not in log
        assert not [uuid for uuid in pending if uuid in log]
        assert 0 == receiver.total


def _job_of_another_addon(cluster, database):
    script = (
        "job = env['queue.job'].with_delay()._test_job()\n"
        "env.cr.commit()\n"
        "print(job.uuid)\n"
    )
    return Databases(cluster).shell(database, script).split()[-1]


def _state(shop, uuid):
    [job] = shop.rows(f"SELECT state FROM queue_job WHERE uuid = '{uuid}'")
    return job["state"]
