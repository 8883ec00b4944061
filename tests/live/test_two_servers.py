# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Two servers behind a load balancer, as docs/servers.md configures them.

The long form: make soak SEED=7 ARGS="--faults 20 balanced-servers"
"""

import os
import random

from soak import SCENARIOS

DELIVERIES, KILLS = 1000, 4
# Seconds. The other server's runner tries to become the runner every 5 s, and a killed
# lane's watchdog is due 5 s later; without the two it would be queue_job's own minute.
TAKEN_OVER = 60


def test_servers_killed_in_turn(cluster, origin):
    """Nothing is lost, each key stays in order, and the other server continues.

    Keeps away what one server can't show: two runners at work, a job that the balancer
    starts twice or never, a lane on one server beside its successor on the other.
    """
    seed = int(os.environ.get("BWT_SEED") or random.randrange(10**6))
    print(f"\nseed {seed}")

    result = SCENARIOS["balanced-servers"](cluster, origin, seed, DELIVERIES, KILLS)

    print(result)
    assert not result.amiss
    assert KILLS == len(result.moving)
    assert max(result.moving) < TAKEN_OVER
