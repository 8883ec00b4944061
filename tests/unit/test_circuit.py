# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The circuit breaker."""

from datetime import datetime, timedelta

import pytest

from services.circuit import Circuit

NOW = datetime(2024, 5, 1, 12, 0, 0)


def later(seconds):
    return NOW + timedelta(seconds=seconds)


def opened(threshold=3):
    circuit = Circuit(threshold=threshold)
    for _ in range(threshold):
        circuit = circuit.after_failure(NOW)
    return circuit


def test_opens_at_the_threshold():
    """So many failures in a row open it, one less doesn't."""
    circuit = Circuit(threshold=3).after_failure(NOW).after_failure(NOW)
    assert ("closed", "all") == (circuit.state, circuit.may_send(NOW))

    circuit = circuit.after_failure(NOW)

    assert ("open", 3, NOW) == (circuit.state, circuit.streak, circuit.opened_at)
    assert "none" == circuit.may_send(NOW)
    assert later(60) == circuit.next_probe_at


def test_a_success_ends_the_row():
    """Failures count only in a row."""
    circuit = Circuit(threshold=2).after_failure(NOW).after_success(NOW)

    assert "closed" == circuit.after_failure(NOW).state


def test_threshold_zero_never_opens():
    """With 0 nothing is held back, also on a circuit that was open before."""
    circuit = Circuit(threshold=0)
    for _ in range(100):
        circuit = circuit.after_failure(NOW)

    assert ("closed", 100) == (circuit.state, circuit.streak)
    assert "all" == Circuit("open", 9, 0, NOW).may_send(NOW)


def test_a_probe_after_the_cooldown():
    """When the cooldown is over, one delivery may be sent; how it ends: tests/orm."""
    circuit = opened()

    assert "none" == circuit.may_send(later(59.9))
    assert "probe" == circuit.may_send(later(60))


def test_a_result_that_says_nothing_changes_nothing():
    """A request that was refused or not built isn't a result of the target."""
    assert Circuit() == Circuit().after_ignored(NOW)
    assert opened() == opened().after_ignored(NOW)


def test_late_failures_change_no_times():
    """What was in flight when it opened may fail without moving the probe."""
    circuit = opened()
    late = circuit.after_failure(later(30))

    assert (later(60), 60, 4) == (late.next_probe_at, late.cooldown, late.streak)


def test_forced_open_waits_for_a_user():
    """After 410 Gone neither time nor a late success closes it."""
    circuit = Circuit().force_open(NOW)

    assert ("manual", NOW) == (circuit.state, circuit.opened_at)
    for changed in (circuit.after_success(NOW), circuit.after_failure(NOW)):
        assert "manual" == changed.state
        assert "none" == changed.may_send(later(10**7))


def test_manual_applies_even_without_threshold():
    """A receiver that said 410 is left alone, whatever the threshold is."""
    assert "none" == Circuit(threshold=0).force_open(NOW).may_send(NOW)


def test_a_clock_set_back_does_not_block():
    """After a jump back of a year sending continues at once, not in a year."""
    assert "probe" == opened().may_send(NOW - timedelta(days=365))
    assert "none" == opened().may_send(later(-5))


@pytest.mark.parametrize("state", ["open", "half_open"])
def test_the_next_probe_is_found_without_its_column(state):
    """A circuit read from state, start and cooldown alone knows its next probe."""
    circuit = Circuit(state, 10, 10, NOW, 120.0)

    assert later(120) == circuit.next_probe_at
    assert "probe" == Circuit(state, 10, 10).may_send(NOW)


def test_a_receiver_may_request_a_pause():
    """Nothing is sent until then, whatever the threshold, for at most an hour."""
    for threshold in (0, 10):
        held = Circuit(threshold=threshold).back_off(600, NOW)

        assert ("closed", "none") == (held.state, held.may_send(later(599)))
        assert "all" == held.may_send(later(600))
    assert later(3600) == Circuit().back_off(86400, NOW).next_probe_at


def test_a_pause_outlasts_what_was_sent_before():
    """A request in flight that succeeds or fails neither ends nor shortens it."""
    held = Circuit(threshold=3).back_off(600, NOW)

    for after in (held.after_success(later(1)), held.after_failure(later(1))):
        assert "none" == after.may_send(later(599))
    failed = held
    for _ in range(3):
        failed = failed.after_failure(later(1))
    assert ("open", "none") == (failed.state, failed.may_send(later(599)))
    assert "probe" == failed.may_send(later(601))
    assert Circuit(threshold=3) == held.after_success(later(601))


def test_a_pause_that_is_shorter_changes_nothing():
    """The cooldown of an open circuit stays; a longer pause puts the probe off."""
    assert opened() == opened().back_off(30, NOW)
    assert "none" == opened().back_off(600, NOW).may_send(later(599))
    assert "probe" == opened().back_off(600, NOW).may_send(later(600))
    assert Circuit() == Circuit().back_off(0, NOW)
    stopped = Circuit().force_open(NOW)
    assert stopped == stopped.back_off(600, NOW)


def test_a_pause_ends_when_the_clock_was_set_back():
    """No pause is longer than an hour, so a later one is a mistake of the clock."""
    held = Circuit().back_off(600, later(86400))

    assert "all" == held.may_send(NOW)
