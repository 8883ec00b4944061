# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Processor time per delivery by process, and a model of rates that is built on it.

The model of docs/scaling.md has two limits: what the lanes' processes can do (`share`
is the part of a core that one lane keeps busy when it has enough to do), and what all
cores can do. It holds for as many lanes as cores: more of them take each other's time.
Its figures come from runs of one lane; then other runs are compared with
what it predicts.
"""

import os
import time
from dataclasses import dataclass, replace

from benchmarks.offering import Backlog, Offer
from benchmarks.processes import Meter
from benchmarks.report import Row, median, percentile
from tools.console import say

CORES = os.cpu_count()


@dataclass(frozen=True)
class Model:
    """Microseconds per delivery, of one lane that has enough to do."""

    lane: float  # the lane's process
    postgres: float  # while deliveries are sent and recorded
    receiver: float  # on this machine here
    caller: float  # queueing in bulk
    queueing: float  # PostgreSQL's part of it
    share: float  # of a core that the lane's process uses
    start: float = 0.0  # of all processes, for a wake-up that starts a lane

    def lanes_limit(self, lanes) -> float:
        """Deliveries a second that so many lanes can send."""
        return lanes * self.share / self.lane * 1e6

    def cores_limit(self, cores, offered=0) -> float:
        """Deliveries a second for so many cores, while so many are queued."""
        left = cores - offered * (self.caller + self.queueing) / 1e6
        return max(left, 0) / (self.lane + self.postgres + self.receiver) * 1e6

    def rate(self, lanes, offered=0) -> float:
        """Deliveries a second: the lower limit."""
        return min(self.lanes_limit(lanes), self.cores_limit(CORES, offered))

    def cores(self, rate, wake_ups=0) -> float:
        """Cores that a rate keeps busy, queueing included.

        :param wake_ups: lanes that start in a second; one per transaction at most
        """
        each = (self.lane, self.postgres, self.receiver, self.caller, self.queueing)
        return (rate * sum(each) + wake_ups * self.start) / 1e6


def costs(ground, size):
    """The figures of the model, and predicted against measured."""
    for number in range(2):
        ground.endpoint(f"cost-{number}")
    ground.endpoint("cost-all", parallel_lanes=CORES)
    ground.endpoint("cost-more", parallel_lanes=2 * CORES)
    _one_lane(ground, size.costs // 2)  # loads what is loaded once
    found = [_one_lane(ground, size.costs) for _round in range(size.pairs)]
    model = Model(*(median(values) for values in zip(*found, strict=True)))
    first = _at_rate(ground, size.cost_rates[0], size.cost_seconds)
    model = replace(model, start=first.start_cost(model))
    samples = {"rounds": found}
    for name, value in vars(model).items():
        unit = "of a core" if name == "share" else "us"
        yield Row(
            f"model: {TITLES[name]}", "", value, is_ratio=False, unit=unit,
            samples=samples,
        )  # fmt: skip
    for title, lanes, codes in (
        ("two endpoints, a lane each", 2, ("cost-0", "cost-1")),
        ("one endpoint, a lane per core", CORES, ("cost-all",)),
        ("one endpoint, two lanes per core", 2 * CORES, ("cost-more",)),
    ):
        rates = []
        ground.run(*codes, count=size.costs // 2)
        for _round in range(size.pairs):
            ground.clear()
            meter = Meter(ground, time.monotonic)
            rates.append(ground.run(*codes, count=size.costs).rate)
            say(f"    {rates[-1]:,.0f}/s   {meter.read()}")
        yield _compared(f"{title}: predicted : measured", model.rate(lanes), rates)
    yield from _at_rates(ground, size, model)
    yield from _overload(ground, size, model)


TITLES = {
    "lane": "lane's process per delivery",
    "postgres": "PostgreSQL per delivery sent",
    "receiver": "receiver per delivery",
    "caller": "queueing in bulk per delivery, Odoo",
    "queueing": "queueing in bulk per delivery, PostgreSQL",
    "share": "share that a busy lane uses",
    "start": "start of a lane, all processes",
}


def _one_lane(ground, count):
    """Fields of `Model`, of one run."""
    ground.clear()
    before = ground.target.receiver.total
    meter = Meter(ground, time.monotonic)
    queued = ground.queue("cost-0", count=count)
    queueing = meter.read().per(count)
    meter = Meter(ground, time.monotonic)
    run = ground.finish(queued, ["cost-0"], count, before)
    usage = meter.read()
    each = usage.per(count)
    # The lane may have begun before the second span did.
    share = each["lanes"] / 1e6 * run.rate
    say(f"    {run.rate:,.0f}/s   {usage}")
    return (
        each["lanes"] + queueing["lanes"],
        each["postgres"],
        each["receiver"],
        queueing["caller"],
        queueing["postgres"],
        share,
    )


@dataclass(frozen=True)
class Steady:
    """What a rate that the lanes can keep up with cost."""

    rate: float  # offered
    cores: float  # busy
    wake_ups: float  # lanes that started in a second

    def start_cost(self, model) -> float:
        """Microseconds per start of a lane: what deliveries don't explain."""
        return max(self.cores - model.cores(self.rate), 0) / self.wake_ups * 1e6


def _at_rate(ground, rate, seconds) -> Steady:
    ground.clear()
    offer = Offer(ground, "cost-0", rate, seconds).start()
    meter = Meter(ground, time.monotonic)
    offer.join()
    usage = meter.read()
    ground.wait_for_done(["cost-0"])
    ground.wait_for_idle()
    [(started,)] = ground.query(
        "SELECT count(date_started) FROM queue_job WHERE method_name = 'run_lane'"
    )
    wake_ups = started / (offer.sent[-1][0] - offer.began)
    say(f"    {offer.offered:,.0f}/s, {wake_ups:.1f} lanes started a second   {usage}")
    return Steady(offer.offered, usage.cores, wake_ups)


def _at_rates(ground, size, model):
    """Cores that lower rates keep busy: lanes end and start meanwhile."""
    for rate in size.cost_rates[1:]:
        found = _at_rate(ground, rate, size.cost_seconds)
        predicted = model.cores(found.rate, found.wake_ups)
        yield Row(
            f"{rate:,}/s offered, queueing included: cores, predicted : measured",
            f"{predicted:.2f} : {found.cores:.2f}",
            predicted / found.cores,
            samples=vars(found),
        )


def _overload(ground, size, model):
    """More than the cores can do: what arrives meanwhile, and where the rest waits."""
    ground.clear()
    rate, seconds = size.overload, size.overload_seconds
    before = ground.target.receiver.total
    offer = Offer(ground, "cost-all", rate, seconds).start()
    meter = Meter(ground, time.monotonic)
    offer.join()
    usage, ended = meter.read(), offer.sent[-1][0]
    in_flight = ground.query(
        "SELECT count(*) FROM bwt_webhook_outbound_delivery WHERE state = 'processing'"
    )[0][0]
    ground.wait_for_done(["cost-all"])
    last = time.time()
    arrivals = sorted(moment for _uid, moment in ground.target.arrivals)
    waiting = Backlog(offer, arrivals).at(ended)
    arrived = sum(moment <= ended for moment in arrivals)
    spent = ended - offer.began
    say(f"    {usage}")
    what = f"{rate:,}/s offered for {seconds} s"
    yield Row(
        f"{what}: share that arrived meanwhile",
        f"queued {offer.offered:,.0f}/s, arrived {arrived / spent:,.0f}/s, "
        f"then {waiting:,} waited as queued and {in_flight:,} in flight",
        arrived / offer.count,
        samples={"usage": vars(usage), "total": ground.target.receiver.total - before},
    )
    yield Row(
        f"{what}: until the rest is done",
        f"p95 of all delays {percentile(_delays(offer, arrivals), 0.95):,.1f} s",
        last - ended,
        is_ratio=False,
        unit="s",
    )
    predicted = model.rate(CORES, offer.offered)
    yield _compared(f"{what}: predicted : measured", predicted, [arrived / spent])


def _delays(offer, arrivals):
    """Seconds, as if deliveries arrived in the order in which they were queued."""
    commits = []
    for committed, first, last in offer.sent:
        commits += [committed] * (last - first + 1)
    return [seen - sent for seen, sent in zip(arrivals, commits, strict=False)]


def _compared(scenario, predicted, rates):
    measured = median(rates)
    return Row(
        scenario,
        f"{predicted:,.0f}/s : {measured:,.0f}/s",
        predicted / measured,
        samples={"predicted": predicted, "measured": rates},
    )
