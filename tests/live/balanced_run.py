# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A run with two servers behind a load balancer, killed in turn while callers queue."""

import http.client
import json
import random
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field

from faulty_run import BY_KEY, LOOSE, STILL, Result, Run
from stage import ATTEMPT, DELIVERY, connected_to, tally, wait_until

# Deliveries queued at a stretch. All are sent before the next ones are queued: lanes
# end and new ones start on both servers, else all would stay on the one that survived.
BURST = 600
ON_THE_WIRE = 0.1  # seconds after a kill: what arrives then was sent before it
PAUSE = (0.5, 5.0)  # seconds between a server's start and the next kill, at least
SPREAD_WITHIN = 8  # seconds to wait for lanes on all servers, after that
CALL_TIMEOUT = 30  # seconds
# Runs inside `odoo shell`: an API key, and a server action that queues what it gets,
# since methods that queue can't be called over RPC.
SET_UP = """
user = env['res.users'].browse(2)
key = env['res.users.apikeys'].with_user(user).sudo()._generate(None, 'shop', None)
action = env['ir.actions.server'].create({
    'name': 'Queue', 'state': 'code',
    'model_id': env['ir.model']._get('bwt.webhook.outbound.endpoint').id,
    'code': "made = model.search([('code', '=', env.context['queue_for'])])"
        ".queue_deliveries(env.context['requests'])\\n"
        "action = {'message_uids': made.mapped('message_uid')}",
})
result = [key, action.id]
"""


@dataclass
class BalancedResult(Result):
    """What a run behind a balancer came to.

    In `moving` is the slower one of the two endpoints.
    """

    first: list[float] = field(default_factory=list)  # seconds to any next arrival
    recovered: list[float] = field(default_factory=list)  # until none is interrupted
    runners: int = 0  # kills that hit the server whose runner started the jobs
    spread: int = 0  # kills while lanes ran on all servers
    calls: int = 0
    failed_calls: int = 0
    unstored: list[str] = field(default_factory=list)  # message ids given to a caller

    @property
    def amiss(self) -> list[str]:
        found = [f"returned to a caller, not stored: {each}" for each in self.unstored]
        if not self.spread:
            found.append("never did lanes run on both servers")
        return super().amiss + found

    def __str__(self):
        first, recovered = (
            f"{sorted(each)[len(each) // 2]:.1f} s (at most {max(each):.1f})"
            for each in (self.first, self.recovered)
        )
        return (
            f"{super().__str__()}; {self.runners} kills hit the runner, {self.spread} "
            f"while lanes ran on both servers; any next arrival after {first}, "
            f"interrupted deliveries recovered after {recovered}, medians; "
            f"{self.calls} calls through the balancer, {self.failed_calls} failed"
        )


@dataclass
class BalancedRun(Run):
    """Servers are killed in turn; callers queue through the balancer meanwhile."""

    balancer: object = None
    keys: int = 199
    delay: float = 0.05

    def __post_init__(self):
        super().__post_init__()
        self.arrived_at = {"/loose": [], "/by-key": []}  # monotonic clock
        self.returned, self.refused = [], None
        self.calls = self.failed_calls = 0
        self.is_over = threading.Event()

    def execute(self, name, deliveries, faults) -> BalancedResult:
        """Queue at least so many deliveries and until the last of `faults` kills."""
        began = time.monotonic()
        policy = {
            "max_in_flight": 8,
            "circuit_threshold": 0,
            "retry_schedule": ",".join(["1s"] * 20),
        }
        url = self.receiver.url
        for path in self.arrived_at:
            self.receiver.script(path, self._respond)
        self.shop.endpoint(LOOSE, url, "/loose", **policy)
        ordered = {"ordering": "key", "parallel_lanes": 2}
        self.shop.endpoint(BY_KEY, url, "/by-key", **policy, **ordered)
        self.key, self.action = self.shop.caller.run(SET_UP)
        queueing = threading.Thread(target=self._queue_until_over, daemon=True)
        queueing.start()
        try:
            self._wait_for(lambda: min(map(len, self.arrived_at.values())), 1)
            moving, first, recovered, runners, spread = [], [], [], 0, 0
            victim = self.servers[0]
            for _number in range(faults):
                # In turn it would always be the one whose runner is at work.
                if self.random.random() < 0.7:
                    victim = next(each for each in self.servers if each is not victim)
                # Once at least: a busy machine needs longer to start lanes on both.
                spread += self._pause(SPREAD_WITHIN if spread else STILL)
                runners += self.leader() is victim
                slower, faster, all_recovered = self._kill(victim)
                moving.append(slower)
                first.append(faster)
                recovered.append(all_recovered)
            self._wait_for(lambda: len(self.receiver.counts()), deliveries)
        finally:
            self.is_over.set()
            queueing.join()
        stored = self.shop.rows(f"SELECT message_uid FROM {DELIVERY}")
        self.uids = [row["message_uid"] for row in stored]
        self._wait_for_end()
        attempts = self.shop.attempts(LOOSE) + self.shop.attempts(BY_KEY)
        return BalancedResult(
            name,
            self.seed,
            tally(self.receiver, self.uids, attempts, self.shop.states()),
            moving,
            self._disorder(),
            self.restarts,
            time.monotonic() - began,
            first,
            recovered,
            runners,
            spread,
            self.calls,
            self.failed_calls,
            sorted(set(self.returned) - set(self.uids)),
        )

    def _respond(self, exchange):
        self.arrived_at[exchange.request.path].append(time.monotonic())
        super()._respond(exchange)

    # --- kills

    def _pause(self, patience) -> bool:
        """Until all servers are up, for a drawn time; whether lanes run on all then.

        :param patience: seconds to wait for that
        """
        for server in self.servers:
            server.wait_ready()
        time.sleep(self.random.uniform(*PAUSE))
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if all(connected_to(each, self.receiver.port) for each in self.servers):
                return True
            time.sleep(0.05)
        return False

    def _kill(self, victim):
        """SIGKILL to a whole server, which stays down until both endpoints move.

        Returns the seconds until then, to any arrival, and until no delivery is left
        in flight that was at the kill.
        """
        victim.kill()
        killed = time.monotonic()
        in_flight = self.shop.rows(f"SELECT id FROM {ATTEMPT} WHERE state='processing'")
        ids = ",".join(str(row["id"]) for row in in_flight) or "0"
        still_open = (
            f"SELECT 1 FROM {ATTEMPT} WHERE id IN ({ids}) AND state='processing'"
        )
        after = killed + ON_THE_WIRE
        found = {}

        def moves():
            for path, times in self.arrived_at.items():
                if path not in found and times and times[-1] > after:
                    found[path] = next(each for each in times if each > after) - killed
            if "recovered" not in found and not self.shop.rows(still_open):
                found["recovered"] = time.monotonic() - killed
            return len(found) == 1 + len(self.arrived_at)

        wait_until(moves, STILL, what="arrivals", instead=lambda: f"{found}")
        victim.start()
        recovered = found.pop("recovered")
        return max(found.values()), min(found.values()), recovered

    # --- callers

    def _queue_until_over(self):
        """Queue in transactions of drawn sizes; a failed call is repeated.

        What a failed call stored or not, its caller can't know: it may be twice.
        """
        drawn = random.Random(self.seed)
        number, until = 0, BURST
        while not self.is_over.is_set():
            if number > until:
                if number > len(self.receiver.counts()):
                    time.sleep(0.05)
                    continue
                until = number + BURST
            count = drawn.randint(10, 60)
            requests = [
                {"payload": {"n": n}, "ordering_key": f"k{n % self.keys}"}
                for n in range(number, number + count)
            ]
            code = drawn.choice([LOOSE, BY_KEY])
            while not self._call({"queue_for": code, "requests": requests}):
                if self.is_over.wait(0.2):
                    return
            number += count

    def _call(self, context) -> bool:
        """Run the server action over the JSON API, once."""
        body = {"ids": [self.action], "context": context}
        request = urllib.request.Request(
            f"{self.balancer.url}/json/2/ir.actions.server/run",
            data=json.dumps(body).encode(),
            headers={
                "Content-Type": "application/json",
                "Authorization": f"bearer {self.key}",
                "X-Odoo-Database": self.shop.database,
            },
        )
        self.calls += 1
        try:
            with urllib.request.urlopen(request, timeout=CALL_TIMEOUT) as response:
                self.returned += json.loads(response.read())["message_uids"]
                return True
        except urllib.error.HTTPError as error:
            if error.code < 500:
                self.refused = f"HTTP {error.code}: {error.read()[:2000]}"
        except (OSError, http.client.HTTPException):
            pass  # its server was killed, before or after its commit
        self.failed_calls += 1
        return False

    def _revive(self):
        super()._revive()
        assert not self.refused, self.refused
