# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Nothing is lost while servers and databases are killed (long form: soak.py).

The seed of a run is printed; `BWT_SEED=7` draws the same faults again.
"""

import os
import random

import pytest
from soak import SCENARIOS

SIZES = {  # deliveries, faults
    "server-killed": (600, 3),
    "workers-killed": (300, 3),
    "ordered-lanes": (3000, 4),
    "backends-ended": (300, 4),
    "database-restarted": (300, 2),
    "two-servers": (300, 2),
}


@pytest.mark.parametrize("scenario", SIZES)
def test_nothing_lost(cluster, origin, scenario):
    """All arrive, what arrives twice was interrupted, all end, each key in order.

    Keeps away what no test in one process shows: work that a dead lane holds, a
    wake-up that died with it, a lane that overwrites its successor.
    """
    seed = int(os.environ.get("BWT_SEED") or random.randrange(10**6))
    print(f"\nseed {seed}")

    result = SCENARIOS[scenario](cluster, origin, seed, *SIZES[scenario])

    print(result)
    assert not result.amiss
