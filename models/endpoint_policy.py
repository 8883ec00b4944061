# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Part of the endpoint: retries, limits, order and the settle window.

The settle window is built on due dates and superseding alone: each change queues a
delivery that is due later, and cancels the one that waits. Lanes know nothing of it.
"""

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from odoo import SUPERUSER_ID, api, fields, models

from ..lane import sql
from ..services.errors import ServiceError
from ..services.rate_limit import TokenBucket
from ..services.retry import RetrySchedule, StatusSet
from . import endpoint_health, endpoint_summary
from .const import GROUP_OPERATOR
from .errors import misconfigured, refused, translate

SECONDS_MAX = 86_400


class SettleWindow(NamedTuple):
    """How long a record must be quiet before it is sent, both in seconds.

    longest: after the first change it is sent, however often it changes
    """

    seconds: float
    longest: float

    def due_at(self, first_at, now):
        """When a delivery is due that is queued `now`, `first_at` the first change."""
        quiet_at = now + timedelta(seconds=self.seconds)
        return max(now, min(quiet_at, first_at + timedelta(seconds=self.longest)))


def window_message(env, seconds, longest):
    """What is wrong with the fields of a settle window; None if nothing is."""
    if 0 <= seconds <= longest <= SECONDS_MAX or not seconds:
        return None
    return env._(
        "the settle window is %(seconds)s seconds and the longest one %(longest)s. "
        "Enter seconds from 0 to %(most)s, the longest one not below the other.",
        seconds=seconds,
        longest=longest,
        most=SECONDS_MAX,
    )


def read_settle(endpoint, given, supersede):
    """The settle window of one request; None without one.

    :param given: argument `settle` of `queue_delivery`: None for the endpoint's, False
        or 0 for none, seconds, or a pair of seconds and the longest wait
    :param supersede: whether the delivery replaces earlier ones
    :raise ValidationError: the argument is invalid, or nothing is superseded
    """
    if given is None:
        if not supersede or not endpoint.settle_seconds:
            return None
        return SettleWindow(endpoint.settle_seconds, endpoint.settle_max_seconds)
    if isinstance(given, list | tuple) and len(given) == 2:
        found = SettleWindow(*given)
    else:
        longest = max(endpoint.settle_max_seconds, _number(given) or 0)
        found = SettleWindow(given, longest)
    seconds, longest = map(_number, found)
    if seconds is None or longest is None or not seconds <= longest <= SECONDS_MAX:
        raise refused(
            endpoint,
            endpoint.env._(
                "settle=%(settle)s is not a valid window. Give seconds, or a pair of "
                "seconds and the longest wait, from 0 to %(most)s, such as (3, 30).",
                settle=repr(given)[:80],
                most=SECONDS_MAX,
            ),
        )
    if not seconds:
        return None
    if not supersede:
        raise refused(
            endpoint,
            endpoint.env._(
                "settle needs supersede: later deliveries replace the one that waits. "
                "Give supersede=True, or leave settle out."
            ),
        )
    return SettleWindow(seconds, longest)


def _number(given):
    """A finite number of 0 or more; None for anything else."""
    if given is False:
        return 0
    if isinstance(given, bool) or not isinstance(given, int | float):
        return None
    return given if math.isfinite(given) and given >= 0 else None


def apply_settle(endpoint, requested, now):
    """Set the due dates of requests with a settle window.

    A delivery that waits for the same key passes on the time of the first change, so
    that a record that keeps changing is sent, too.

    :param endpoint: with sudo
    :param requested: list of `QueueRequest`
    """
    waiting = [each for each in requested if each.settle]
    if not waiting:
        return
    keys = list({each.vals["ordering_key"] for each in waiting})
    endpoint.env.flush_all()
    endpoint.env.cr.execute(sql.first_changes(endpoint.id, keys))
    first_changes = dict(endpoint.env.cr.fetchall())
    for each in waiting:
        first_at = first_changes.setdefault(each.vals["ordering_key"], now)
        due_at = each.settle.due_at(first_at, now)
        each.vals["settle_started_at"] = first_at
        each.vals["next_attempt_at"] = max(each.vals["next_attempt_at"], due_at)


TIMEOUT_MAX = 60
IN_FLIGHT_MAX = 256
LANES_MAX = 16
RATE_PERIODS = {"second": 1, "minute": 60, "hour": 3600}
BOUNDS = {
    "timeout_seconds": (1, TIMEOUT_MAX),
    "max_in_flight": (1, IN_FLIGHT_MAX),
    "parallel_lanes": (1, LANES_MAX),
    "rate_limit": (0, 1_000_000),
    "circuit_threshold": (0, 1_000_000),
    "retention_days": (0, 36_500),
    "failed_retention_days": (0, 36_500),
    "content_days": (0, 36_500),
    "settle_seconds": (0, SECONDS_MAX),
    "settle_max_seconds": (0, SECONDS_MAX),
}


@dataclass(frozen=True)
class DeliveryPolicy:
    """How an endpoint's deliveries are sent and retried (durations in seconds)."""

    timeout: float  # total deadline of one request
    schedule: RetrySchedule
    retry_on: StatusSet  # responses that are retried
    max_in_flight: int
    parallel_lanes: int
    ordering: str  # none, key, endpoint
    rate_limit: int  # requests per rate_period; 0 = no limit
    rate_period: float
    circuit_threshold: int  # consecutive failures that open it; 0 = never

    def bucket(self, tokens: float, at) -> TokenBucket | None:
        """The endpoint's rate-limit bucket as of `at`; None without a limit."""
        if not self.rate_limit:
            return None
        return TokenBucket(self.rate_limit, self.rate_period, tokens, at)


def bounds_message(endpoints, name, value) -> str | None:
    """What is wrong with a field's value; None if nothing is."""
    low, high = BOUNDS.get(name, (value, value))
    if low <= value <= high:
        return None
    return endpoints.env._(
        "%(field)s is %(value)s. Enter a value from %(low)s to %(high)s.",
        field=endpoints._fields[name]._description_string(endpoints.env),
        value=value,
        low=low,
        high=high,
    )


def content_days_message(env, content_days, retention_days) -> str | None:
    """What is wrong with a content retention beside a retention; None: nothing."""
    if content_days <= retention_days or retention_days <= 0:
        return None
    return env._(
        "content is deleted after %(content)s days, and deliveries are deleted after "
        "%(kept)s already. Enter at most %(kept)s as content retention, or a longer "
        "retention.",
        content=content_days,
        kept=retention_days,
    )


class BwtWebhookOutboundEndpointPolicy(models.AbstractModel):
    _name = "bwt.webhook.outbound.endpoint.policy"
    _description = "Outbound Webhook Endpoint: Delivery Policy"

    timeout_seconds = fields.Integer(
        string="Request Timeout Seconds",
        default=30,
        required=True,
        groups=GROUP_OPERATOR,
        help="Total time for one request, from looking up the name to the last byte "
        f"of the response. 1 to {TIMEOUT_MAX} seconds.",
    )
    retry_schedule = fields.Char(
        default="5s,5m,30m,2h,5h,10h,10h",
        groups=GROUP_OPERATOR,
        help="One delay per retry, each a number with s, m, h or d. Every delay is "
        "lengthened by up to 20 % at random. Empty: a failure is not retried.",
    )
    retry_description = fields.Char(
        compute="_compute_retry_description",
        groups=GROUP_OPERATOR,
        help="Summary of the retry schedule.",
    )
    policy_summary = fields.Text(
        compute="_compute_policy_summary",
        groups=GROUP_OPERATOR,
        help="Summary of retry schedule, limits and ordering.",
    )
    retry_on_status = fields.Char(
        default="408,425,429,500-599",
        groups=GROUP_OPERATOR,
        help="HTTP statuses that are retried, as numbers and ranges. Any other "
        "status outside 200-299 ends in Dead Letter at once.",
    )
    rebuild_each_attempt = fields.Boolean(
        string="Rebuild for Each Attempt",
        groups=GROUP_OPERATOR,
        help="A retry sends the body of the attempt before, under the same message "
        "ID, even if the record has changed. Choose this if only current values are "
        "useful to the receiver, such as stock levels: each attempt is then built "
        "from the record as it is.",
    )
    max_in_flight = fields.Integer(
        default=16,
        required=True,
        groups=GROUP_OPERATOR,
        help="Requests in flight at the same time in one lane. Throughput is at "
        "most this number divided by the target's response time.",
    )
    parallel_lanes = fields.Integer(
        default=1,
        required=True,
        groups=GROUP_OPERATOR,
        help="Lanes (queue jobs) that may process this endpoint at the same time. "
        "More than one helps with a fast target, on a server with several "
        "workers. With an ordering per key they share the keys. If all deliveries are "
        "sent one after the other, there is only one.",
    )
    rate_limit = fields.Integer(
        groups=GROUP_OPERATOR,
        help="Requests allowed per rate period; 0: no limit.",
    )
    rate_period = fields.Selection(
        selection=[("second", "Second"), ("minute", "Minute"), ("hour", "Hour")],
        default="second",
        required=True,
        groups=GROUP_OPERATOR,
        help="The period that the rate limit counts in.",
    )
    ordering = fields.Selection(
        selection=[
            ("none", "No Order"),
            ("key", "One after the Other per Key"),
            ("endpoint", "All One after the Other"),
        ],
        default="none",
        required=True,
        groups=GROUP_OPERATOR,
        help="Per key: deliveries with the same ordering key, or about the same "
        "record, are sent one after the other in the order they were queued. A "
        "failed delivery blocks those behind it until it is done, "
        "dead-lettered or canceled.",
    )
    settle_seconds = fields.Integer(
        string="Settle Window",
        groups=GROUP_OPERATOR,
        help="A delivery that supersedes earlier ones is sent once its record hasn't "
        "changed for so many seconds: a record that is saved often is sent once. 0: "
        "it is sent at once.",
    )
    settle_max_seconds = fields.Integer(
        string="Longest Settle Window",
        default=60,
        groups=GROUP_OPERATOR,
        help="So many seconds after its first change a record is sent, however often "
        "it changes.",
    )
    skip_if_unchanged = fields.Boolean(
        string="Skip if Nothing Changed",
        groups=GROUP_OPERATOR,
        help="A delivery about a record is canceled if method, URL, headers and body "
        "are those of the last request about this record, and the receiver accepted "
        "that. It ends the loop of two systems that send each other the same change.",
    )
    circuit_threshold = fields.Integer(
        default=10,
        required=True,
        groups=GROUP_OPERATOR,
        help="Consecutive failures (target not reachable, 408, 429, 5xx) after "
        "which the circuit opens and only probes are sent. 0: never.",
    )
    circuit_reset_at = fields.Datetime(
        copy=False,
        groups=GROUP_OPERATOR,
        help="When the circuit was last closed by hand. An earlier opening has no "
        "effect.",
    )
    circuit_state = fields.Selection(
        selection=endpoint_health.CIRCUIT_STATES,
        string="Circuit",
        compute="_compute_circuit",
        search="_search_circuit_state",
        groups=GROUP_OPERATOR,
        help="Open: the target failed too often in a row; one probe is sent after a "
        "pause. Stopped by Receiver: the target responded with 410 Gone; nothing is "
        "sent until the circuit is closed by hand.",
    )
    failure_streak = fields.Integer(
        string="Consecutive Failures",
        compute="_compute_circuit",
        groups=GROUP_OPERATOR,
        help="Consecutive failures.",
    )
    retention_days = fields.Integer(
        string="Retention (days)",
        default=90,
        required=True,
        groups=GROUP_OPERATOR,
        help="Done and canceled deliveries are deleted after this many days. 0: "
        "never. Errors and dead letters have a retention of their own.",
    )
    failed_retention_days = fields.Integer(
        string="Retention of Failures (days)",
        default=0,
        required=True,
        groups=GROUP_OPERATOR,
        help="Dead letters, and errors that need attention, are deleted after this "
        "many days, whether or not anybody has looked at them. 0: never.",
    )
    content_days = fields.Integer(
        string="Content Retention (days)",
        default=0,
        required=True,
        groups=GROUP_OPERATOR,
        help="Payload, headers, bodies, context lines, files and messages of done, "
        "canceled and dead-lettered deliveries are deleted after this many days. They "
        "can't be retried or replayed then. 0: kept as long as the delivery.",
    )
    responsible_id = fields.Many2one(
        comodel_name="res.users",
        default=lambda self: self.env.uid != SUPERUSER_ID and self.env.user,
        groups=GROUP_OPERATOR,
        help="User who is notified of dead letters and of a failing target. "
        "Default: the user who created the endpoint.",
    )

    def _policy(self) -> DeliveryPolicy:
        """The fields as one value; raises ServiceError for an invalid one."""
        self.ensure_one()
        return DeliveryPolicy(
            timeout=float(self.timeout_seconds),
            schedule=RetrySchedule.parse(self.retry_schedule or ""),
            retry_on=StatusSet.parse(self.retry_on_status or ""),
            max_in_flight=self.max_in_flight,
            parallel_lanes=1 if self.ordering == "endpoint" else self.parallel_lanes,
            ordering=self.ordering,
            rate_limit=self.rate_limit,
            rate_period=float(RATE_PERIODS[self.rate_period]),
            circuit_threshold=self.circuit_threshold,
        )

    @api.depends("retry_schedule")
    @api.depends_context("lang")
    def _compute_retry_description(self):
        for endpoint in self:
            try:
                said = RetrySchedule.parse(endpoint.retry_schedule or "").describe()
            except ServiceError as error:
                said = error
            endpoint.retry_description = translate(self.env, said)

    @api.depends(
        "retry_schedule",
        "retry_on_status",
        "max_in_flight",
        "parallel_lanes",
        "rate_limit",
        "rate_period",
        "ordering",
        "circuit_threshold",
    )
    @api.depends_context("lang")
    def _compute_policy_summary(self):
        for endpoint in self:
            endpoint.policy_summary = endpoint_summary.policy_summary(endpoint)

    @api.depends(
        "health_ids.circuit_state",
        "health_ids.failure_streak",
        "health_ids.opened_at",
        "circuit_reset_at",
        "circuit_threshold",
    )
    def _compute_circuit(self):
        for endpoint in self:
            state, streak = endpoint_health.current_circuit(endpoint)
            endpoint.circuit_state, endpoint.failure_streak = state, streak

    def _search_circuit_state(self, operator, value):
        if operator != "in":
            return NotImplemented
        return endpoint_health.circuit_domain(value)

    @api.constrains("retry_schedule", "retry_on_status")
    def _check_retry(self):
        for endpoint in self:
            try:
                endpoint._policy()
            except ServiceError as error:
                raise misconfigured(endpoint, error) from error

    @api.constrains(*BOUNDS)
    def _check_limits(self):
        for endpoint in self:
            for name in BOUNDS:
                if message := bounds_message(self, name, endpoint[name]):
                    raise misconfigured(endpoint, message)

    @api.constrains("retention_days", "content_days")
    def _check_content_days(self):
        for endpoint in self:
            content, kept = endpoint.content_days, endpoint.retention_days
            if message := content_days_message(endpoint.env, content, kept):
                raise misconfigured(endpoint, message)

    @api.constrains("settle_seconds", "settle_max_seconds")
    def _check_settle_window(self):
        for endpoint in self:
            window = endpoint.settle_seconds, endpoint.settle_max_seconds
            if message := window_message(self.env, *window):
                raise misconfigured(endpoint, message)

    @api.constrains("ordering", "parallel_lanes")
    def _check_one_lane_keeps_order(self):
        for endpoint in self:
            if endpoint.ordering == "endpoint" and endpoint.parallel_lanes > 1:
                raise misconfigured(
                    endpoint,
                    self.env._(
                        "%(lanes)s parallel lanes can't send all deliveries one after "
                        "the other. Set Parallel Lanes to 1, or order them per key.",
                        lanes=endpoint.parallel_lanes,
                    ),
                )
