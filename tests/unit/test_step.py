# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What a lane does next, rule by rule, without a database."""

import pytest

from lane.step import (
    AWAIT_POLL,
    CAREFUL,
    GRACE,
    PERMIT_WAIT,
    POLL,
    Backlog,
    Caution,
    Situation,
    Step,
    next_step,
)

NOW = 1000.0
MORE = Backlog()
NOTHING = Backlog(NOW, None)
SITUATION = Situation(
    clock=NOW,
    may_claim=True,
    must_release=False,
    has_follow_up=False,
    is_keeping_due=False,
    unrecorded=0,
    must_record=False,
    waiting=0,
    outstanding=0,
    low_water=10,
    room=1000,
    backlog=MORE,
    caution=Caution(),
    permit_wait=None,
)
IN_FLIGHT = SITUATION._replace(waiting=10, outstanding=14)


def step(situation=SITUATION, **changes):
    return next_step(situation._replace(**changes))


def test_claims_while_there_may_be_more():
    """A lane that knows of nothing yet claims; there is no check before."""
    assert Step.CLAIM is step()


def test_ends_when_nothing_more_was_found():
    """The check after the slot is free finds what came meanwhile."""
    assert Step.STOP is step(backlog=NOTHING)


def test_waits_for_responses():
    """With enough requests waiting for a thread, no more are claimed."""
    assert Step.COLLECT is step(IN_FLIGHT)
    assert Step.COLLECT is step(IN_FLIGHT, waiting=0, backlog=NOTHING)


def test_claims_ahead_below_low_water():
    """The threads never run out of requests while there is work."""
    assert Step.CLAIM is step(IN_FLIGHT, waiting=9)


def test_a_response_that_is_not_collected_yet_keeps_the_lane():
    """No thread works and nothing waits, but a response is there.

    The lane ended in this moment, and its delivery was sent again.
    """
    assert Step.COLLECT is step(waiting=0, outstanding=1, backlog=NOTHING)


def test_bodies_that_are_held_limit_the_next_claim():
    """Without room for bytes nothing is claimed until results are recorded."""
    assert Step.COLLECT is step(IN_FLIGHT, waiting=0, room=0)


def test_records_a_full_chunk():
    """Enough responses are written before anything else is claimed."""
    assert Step.COLLECT is step(IN_FLIGHT, unrecorded=3)
    assert Step.RECORD is step(IN_FLIGHT, unrecorded=3, must_record=True)
    assert Step.RECORD is step(IN_FLIGHT, unrecorded=3, must_record=True, waiting=0)


def test_records_the_last_ones():
    """When nothing is in flight, no further response completes a chunk."""
    assert Step.RECORD is step(unrecorded=1)
    assert Step.RECORD is step(unrecorded=1, may_claim=False)


def test_nothing_to_record():
    """A recording that is due by the clock alone isn't a transaction."""
    assert Step.STOP is step(backlog=NOTHING, must_record=True)


@pytest.mark.parametrize("situation", [SITUATION, IN_FLIGHT])
def test_a_circuit_that_opens_releases_what_waits(situation):
    """Before hooks and notifications, since threads continue to send meanwhile."""
    changes = {"must_release": True, "has_follow_up": True, "unrecorded": 5}

    assert Step.RELEASE is step(situation, **changes)


def test_follows_up_before_it_records_again():
    """Each recording is followed up once, before the next one takes its place."""
    changes = {"has_follow_up": True, "unrecorded": 5, "must_record": True}

    assert Step.FOLLOW_UP is step(IN_FLIGHT, **changes)
    assert Step.FOLLOW_UP is step(has_follow_up=True, may_claim=False)


def test_housekeeping_comes_before_a_claim():
    """Superseded wake-ups are for deliveries that the next claim finds."""
    assert Step.KEEP_HOUSE is step(is_keeping_due=True)
    assert Step.KEEP_HOUSE is step(IN_FLIGHT, is_keeping_due=True)
    assert Step.RECORD is step(is_keeping_due=True, unrecorded=1)


def test_time_is_up():
    """What no thread has started is released; what is in flight is waited for."""
    assert Step.RELEASE is step(IN_FLIGHT, may_claim=False)
    assert Step.COLLECT is step(IN_FLIGHT, may_claim=False, waiting=0)
    assert Step.RECORD is step(may_claim=False, unrecorded=4)
    assert Step.STOP is step(may_claim=False)


def test_waits_for_what_is_expected():
    """In a burst the lane stays, since the wake-ups of that time wait for it.

    It checks more often than beside requests: nothing else would notice new work.
    """
    checked = Backlog(NOW - AWAIT_POLL / 2, False)

    assert Step.AWAIT is step(backlog=checked, expects_more=True)
    assert Step.CHECK is step(backlog=Backlog(NOW - 2 * AWAIT_POLL), expects_more=True)
    assert Step.COLLECT is step(IN_FLIGHT, backlog=checked, expects_more=True)
    assert Step.STOP is step(backlog=checked, expects_more=True, may_claim=False)


def test_shortage():
    """With due work and nothing in flight, a lane that may not claim ends."""
    assert Step.STOP is step(may_claim=False, backlog=Backlog(NOW, True))
    assert Step.STOP is step(may_claim=False, backlog=NOTHING, permit_wait=0.5)


# Checks ---------------------------------------------------------------------------


def test_checks_now_and_then_for_new_work():
    """A check is a query: only a few times a second while requests are in flight."""
    before = Backlog(NOW - POLL / 2)
    long_before = Backlog(NOW - POLL, False)

    assert Step.COLLECT is step(IN_FLIGHT, waiting=0, backlog=before)
    assert Step.CHECK is step(IN_FLIGHT, waiting=0, backlog=long_before)
    assert Step.COLLECT is step(IN_FLIGHT, backlog=long_before)


def test_claims_what_a_check_found():
    """The claim follows at once."""
    assert Step.CLAIM is step(IN_FLIGHT, waiting=0, backlog=Backlog(NOW, True))
    assert Step.CLAIM is step(backlog=Backlog(NOW, True))


def test_ends_after_a_check_that_found_nothing():
    """Otherwise an idle lane would check for ever."""
    assert Step.CHECK is step(backlog=Backlog(NOW - POLL))
    assert Step.STOP is step(backlog=Backlog(NOW, False))


# Rate limit -----------------------------------------------------------------------


def test_a_permit_within_a_second_is_waited_for():
    """Only if something is due: the check comes first."""
    wait = PERMIT_WAIT / 2

    assert Step.CHECK is step(backlog=NOTHING, permit_wait=wait)
    assert Step.STOP is step(backlog=Backlog(NOW, False), permit_wait=wait)
    assert Step.SLEEP is step(backlog=Backlog(NOW, True), permit_wait=wait)


def test_a_later_permit_is_left_to_a_later_lane():
    """Its wake-up is created when this lane ends."""
    wait = PERMIT_WAIT + 0.001

    assert Step.STOP is step(backlog=Backlog(NOW, True), permit_wait=wait)


@pytest.mark.parametrize("wait", [0.0, -3.0])
def test_claims_when_the_permit_is_there(wait):
    """After the wait, and when responses took longer than it."""
    assert Step.CLAIM is step(backlog=Backlog(NOW, True), permit_wait=wait)


def test_responses_come_before_permits():
    """A lane never sleeps while a response may arrive."""
    due = Backlog(NOW, True)

    assert Step.SLEEP is not step(IN_FLIGHT, waiting=0, backlog=due, permit_wait=0.5)
    assert Step.RECORD is step(unrecorded=1, backlog=due, permit_wait=0.5)


# After a kill ---------------------------------------------------------------------


def test_careful_it_waits_for_the_response_of_the_previous_one():
    """For a moment only: one slow target must not hold up all others."""
    caution = Caution(builds=5, sent_clock=NOW - GRACE / 2)
    flying = IN_FLIGHT._replace(waiting=0, outstanding=1, caution=caution)

    assert Step.COLLECT is next_step(flying)
    assert Step.CLAIM is step(flying, clock=NOW + GRACE)
    assert Step.CLAIM is step(flying, outstanding=0)


def test_careful_it_records_before_it_builds():
    """A kill must not undo what is known; the others are recorded by chunks."""
    careful = {"caution": Caution(builds=5), "waiting": 0, "unrecorded": 1}

    assert Step.RECORD is step(IN_FLIGHT, **careful)
    assert Step.CLAIM is step(IN_FLIGHT, waiting=0, unrecorded=1)


def test_alone_means_nothing_beside_it():
    """An interrupted delivery may end the worker, with all that is in flight."""
    alone = {"caution": Caution(is_alone=True), "waiting": 0}

    assert Step.COLLECT is step(IN_FLIGHT, **alone)
    assert Step.COLLECT is step(IN_FLIGHT, backlog=Backlog(NOW, True), **alone)
    assert Step.CLAIM is step(**alone)


def test_caution_counts_down():
    """One less per claim; the last one that is due ends it."""
    caution = Caution().after_kill()
    assert CAREFUL == caution.builds

    caution = caution.after_claim(is_last=False, is_alone=False, clock=NOW)
    assert Caution(CAREFUL - 1, False, NOW) == caution
    assert 0 == caution.after_claim(is_last=True, is_alone=False, clock=NOW).builds
    plain = Caution().after_claim(is_last=False, is_alone=True, clock=NOW)
    assert Caution(0, True, NOW) == plain


def test_a_suspect_is_built_alone():
    """It keeps a count that has begun, and begins one otherwise."""
    assert Caution(CAREFUL, True) == Caution().after_suspect()
    assert Caution(7, True, NOW) == Caution(7, False, NOW).after_suspect()
