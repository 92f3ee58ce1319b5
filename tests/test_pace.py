"""The number of threads is tried, measured and looked at again: against machines that are made up."""

import itertools
import math

import pytest

from fastbp import BPClassifier
from fastbp.engines.cpu import batches, pace
from fastbp.engines.cpu.pace import Pace, recall, remember
from tests.data import digits


class Machine:
    """A clock of its own: ``seconds(threads, time)`` of a step."""

    def __init__(self, seconds, most=2):
        self.seconds, self.time, self.steps = seconds, 0.0, 0
        self.pace = Pace(most)
        self.used = []

    def run(self, until):
        latest = math.inf
        while self.time < until:
            threads, wanted = self.pace.choose()
            steps, started = max(1, int(wanted / latest)), self.time
            for _ in range(steps):
                self.time += self.seconds(threads, self.time)
            latest = (self.time - started) / steps
            self.pace.note(threads, steps, self.time - started)
            self.steps += steps
            self.used.append((started, threads))
        return self


def fixed(seconds, threads, until):
    """Steps made by `until` on a number of threads that does not change."""
    time, steps = 0.0, 0
    while time < until:
        time += seconds(threads, time)
        steps += 1
    return steps


@pytest.mark.parametrize("step", [5e-5, 2e-4, 1e-3, 2e-2])
@pytest.mark.parametrize("gain", [0.4, 0.8, 1.3, 3.0])
def test_a_steady_machine_is_used_at_the_better_number_for_about_a_hundredth(step, gain):
    def seconds(threads, time):
        return step if threads == 1 else step / gain

    machine = Machine(seconds).run(20.0)
    assert machine.pace.current == (2 if gain > 1 else 1)
    best = max(fixed(seconds, threads, machine.time) for threads in (1, 2))
    assert machine.steps > 0.97 * best


def test_a_machine_that_becomes_busy_and_free_again_is_followed():
    def seconds(threads, time):
        return 1e-4 if threads == 1 else 2e-4 if 1 < time < 2 else 6e-5

    machine = Machine(seconds).run(0.9)
    assert machine.pace.current == 2
    machine.run(1.15)
    assert machine.pace.current == 1
    machine.run(3.0)
    assert machine.pace.current == 2
    assert machine.steps > 0.95 * (2 / 6e-5 + 1 / 1e-4)


def test_a_core_that_is_taken_away_for_milliseconds_at_a_time_does_not_fool_it():
    """Two threads are fast for 4 ms of 8 and stand still in between: one is faster on the whole."""

    def seconds(threads, time):
        if threads == 1:
            return 1e-4
        return 6e-5 if time % 0.008 < 0.004 else 0.008 - time % 0.008 + 1e-5

    machine = Machine(seconds).run(10.0)
    assert machine.steps > 0.95 * fixed(seconds, 1, machine.time)


@pytest.mark.parametrize("step", [1e-4, 1.5e-3, 2e-2])
def test_fits_that_begin_beside_threads_of_another_library_use_two_threads_soon_after(step):
    """These spin for 33 ms after a product of matrices, and make two threads slow in each fit of 0.2 s."""

    def seconds(threads, time):
        return step if threads == 1 else 1.8 * step if time % 0.2 < 0.033 else 0.65 * step

    machine, known = Machine(seconds), None
    for fit in range(1, 31):
        machine.pace = Pace(2, known)
        machine.run(0.2 * fit)
        known = machine.pace
    assert machine.steps > 0.88 * max(fixed(seconds, threads, machine.time) for threads in (1, 2))


def test_many_numbers_of_threads_are_tried_down_to_the_fastest():
    for fastest in (16, 8, 4, 2, 1):

        def seconds(threads, time, fastest=fastest):
            return 1e-4 * (1 + abs(math.log2(threads / fastest)))

        assert Machine(seconds, most=16).run(2.0).pace.current == fastest


def test_long_steps_are_not_tried_on_fewer_threads_before_that_is_cheap():
    machine = Machine(lambda threads, time: 0.03 / threads).run(0.15)
    assert all(threads == 2 for _, threads in machine.used)
    assert any(threads == 1 for _, threads in machine.run(3.0).used)


def test_what_was_found_out_serves_later_fits_of_the_same_work():
    machine = Machine(lambda threads, time: 1e-4 * threads).run(1.0)
    assert machine.pace.current == 1
    remember("work", 2, machine.pace)
    assert recall("work", 2).current == 1
    assert recall("work", 4).current == 4 and recall("other work", 2).current == 2
    for i in range(2 * pace.REMEMBERED):
        remember(i, 2, machine.pace)
    assert len(pace._known) == pace.REMEMBERED


def test_slices_on_other_numbers_of_threads_than_asked_for_change_nothing():
    """Another fit of the process may hold the threads."""
    one = Pace(4)
    for _ in range(50):
        one.choose()
        one.note(3, 10, 0.001)
        one.note(4, 0, 0.001)
    assert one.current == 4


def test_weights_do_not_depend_on_changes_of_the_number_of_threads(monkeypatch):
    """Every slice of every fit on another number of threads, and of another length."""
    X, y = digits()
    settings = {"hidden_layer_sizes": (40, 30), "batch_size": 50, "max_iter": 6, "random_state": 0}
    monkeypatch.setattr("fastbp.engines.cpu.threads.available_threads", lambda n_jobs: n_jobs or 3)
    monkeypatch.setattr("fastbp.engines.cpu.batches.useful_threads", lambda *work: 3)
    plain = BPClassifier(**settings, n_jobs=1).fit(X, y)
    numbers, used = itertools.cycle([1, 3, 2, 2, 3, 1, 1]), []

    class Restless(Pace):
        def choose(self):
            return next(numbers), 1e-9 * len(used)

        def note(self, threads, steps, seconds):
            used.append(threads)

    monkeypatch.setattr(batches, "recall", lambda work, most: Restless(most))
    restless = BPClassifier(**settings).fit(X, y)
    assert set(used) == {1, 2, 3}
    for ours, its in zip(restless.coefs_, plain.coefs_, strict=True):
        assert (ours == its).all()
    assert restless.loss_curve_ == plain.loss_curve_


def test_epochs_shorter_than_a_slice_are_measured_together():
    """With early stopping Python looks at each epoch: of a small fit it may take less than a millisecond."""
    seconds = {1: 1e-4, 2: 3e-4}
    short, used = Pace(2), []
    for _ in range(400):
        threads, _ = short.choose()
        short.note(threads, 4, 4 * seconds[threads])
        used.append(threads)
    assert short.current == 1 and used.count(2) < 20


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_an_epoch_that_ends_with_a_slice_is_scored(monkeypatch, steps):
    """Else the scores, and with them the weights that are kept, depend on when slices end."""
    monkeypatch.setattr(batches.Batches, "_next_slice", lambda self: steps)
    X, y = digits()
    fit = BPClassifier((8,), max_iter=6, batch_size=len(y), early_stopping=True, random_state=0)
    model = fit.set_params(batch_size=(len(y) * 9 // 10 + 1) // 2).fit(X, y)  # two steps an epoch
    assert len(model.validation_scores_) == model.n_iter_ == 6
