"""How many threads are fastest just now: tried, measured, and looked at again.

More threads are not always faster: each phase of a step waits for the slowest of them, and a thread whose
core is busy with something else is slow. Results do not depend on their number, so it may change whenever
Python is asked for the next steps.
"""

from collections import OrderedDict
from collections.abc import Hashable

SHORTEST = 0.003  # seconds of a slice of work, at least one step; starting threads takes some 0.0002
LONGEST = 0.05
ENOUGH = 0.7  # of the shortest; where slices are cut short, by the end of an epoch, several count as one
PATIENCE = 0.01  # seconds after a change until it counts as made
WAIT = 0.03  # seconds from a change or a look to the next look, at least
PRICE = 100  # times what the last look has lost; it is reached by doubling, with each look in vain,
PRICE_AT_FIRST = 10  # from this
FIRST_LOSS = 0.002  # seconds that the first look may lose; where it may lose more, it waits
FIRST_PRICE = 15
MEMORY = 0.02  # seconds of work that a measurement outlives
WORTH = 0.97  # a change is made for steps that take less than this share of the time
REMEMBERED = 64  # kinds of work that a process remembers
UNKNOWN = float("inf")


class Pace:
    """The choice for one kind of work, made of equal steps.

    Work is done in slices: `choose` says on how many threads the next one runs and how long it should take,
    `note` what it took. Now and then a slice is a look at another number of threads, so seldom that looks
    lose about a hundredth of the time. Where the threads in use become slower than others last were, the
    change is made at once. A change is judged by what follows: a look is short, and may be lucky.

    Parameters
    ----------
    most : int
        Threads, at least 1; this number is tried, half of it, and so on down to 1.
    known : Pace or None
        Of the same work, whose choice and measurements are taken over.

    Attributes
    ----------
    current : int
        Threads that are fastest as far as is known.
    """

    def __init__(self, most: int, known: "Pace | None" = None) -> None:
        self._choices = [most]
        while self._choices[-1] > 1:
            self._choices.append(self._choices[-1] // 2)
        self.current = most
        self._seconds: dict[int, float] = {}  # of a step, by number of threads
        self._due = 0.0  # seconds of work until the next look
        self._slice = SHORTEST
        self._part = (0, 0, 0.0)  # threads, steps and seconds of a slice that was cut short
        self._looking: int | None = None
        self._before: int | None = None  # the number in use before a change that is not judged yet
        self._since = (0.0, 0)  # seconds and steps since that change
        self._upwards = False
        self._price = PRICE_AT_FIRST  # of the next look in vain
        if known is not None:
            self.current, self._seconds = known.current, dict(known._seconds)
            self._due, self._price = known._due, known._price

    def choose(self) -> tuple[int, float]:
        """Threads of the next slice, and seconds that it should take."""
        if self._looking is not None:
            return self._looking, SHORTEST
        if self.current not in self._seconds:
            return self.current, SHORTEST
        if self._before is None and self._due <= 0.0:
            other = self._neighbour()
            if other is not None:
                self._looking = other
                return other, SHORTEST
        return self.current, self._slice

    def note(self, threads: int, steps: int, seconds: float) -> None:
        """Note the seconds that a slice of some steps took on a number of threads."""
        if steps < 1 or threads not in self._choices:
            return
        self._due -= seconds
        if self._part[0] == threads:
            steps, seconds = steps + self._part[1], seconds + self._part[2]
        self._part = (threads, steps, seconds)
        if seconds < ENOUGH * SHORTEST:
            return
        self._part = (0, 0, 0.0)
        now = seconds / steps
        if threads == self._looking:
            self._looking = None
            self._seconds[threads] = now
            self._after_look(threads, steps, seconds)
            return
        if not self._seconds and max(now, SHORTEST) > 2 * FIRST_LOSS:
            self._due = FIRST_PRICE * now / 2  # another number of threads may take twice as long
        known = self._seconds.get(threads, now)
        self._seconds[threads] = known + min(1.0, seconds / MEMORY) * (now - known)
        if threads != self.current:  # fewer came than were asked for
            return
        self._slice = min(2 * self._slice, LONGEST)
        if self._before is not None:
            self._after_change(steps, seconds)
            return
        others = self._seconds.keys() - {threads}
        fastest = min(others, key=self._seconds.__getitem__, default=threads)
        if now > known / WORTH and self._seconds[fastest] < WORTH * now:
            self._seconds[threads] = now
            self._change(fastest)

    def _change(self, threads: int) -> None:
        self._before, self.current = self.current, threads
        self._since, self._slice = (0.0, 0), SHORTEST

    def _after_look(self, threads: int, steps: int, seconds: float) -> None:
        usual = self._seconds[self.current]
        if seconds / steps < WORTH * usual:
            self._change(threads)
        else:
            self._rest(seconds - steps * usual)

    def _after_change(self, steps: int, seconds: float) -> None:
        assert self._before is not None
        spent, made = self._since
        self._since = spent, made = spent + seconds, made + steps
        if spent < PATIENCE:
            return
        usual = self._seconds[self._before]
        self._seconds[self.current] = spent / made
        if spent / made > usual:
            self.current, self._slice = self._before, SHORTEST
            self._rest(spent - made * usual)
        else:
            self._due, self._price = WAIT - spent, PRICE_AT_FIRST
        self._before = None

    def _rest(self, lost: float) -> None:
        """Wait until the next look, the longer the more seconds the last has lost.

        At first for a short time only: threads may be slow only for a moment, as while threads of another
        library still spin after a product of matrices.
        """
        self._due = max(WAIT, self._price * lost)
        self._price = min(2 * self._price, PRICE)

    def _neighbour(self) -> int | None:
        """The number of threads to look at next: more and fewer in turn."""
        place = self._choices.index(self.current)
        around = self._choices[max(place - 1, 0) : place] + self._choices[place + 1 : place + 2]
        if not around:
            return None
        self._upwards = not self._upwards
        return around[0] if self._upwards else around[-1]


_known: OrderedDict[Hashable, Pace] = OrderedDict()  # its operations are atomic


def recall(work: Hashable, most: int) -> Pace:
    """A pace for a kind of work that starts from the measurements of earlier fits in this process."""
    return Pace(most, _known.get((work, most)))


def remember(work: Hashable, most: int, pace: Pace) -> None:
    """Keep the measurements for later fits."""
    _known[work, most] = pace
    _known.move_to_end((work, most))
    while len(_known) > REMEMBERED:
        _known.popitem(last=False)
