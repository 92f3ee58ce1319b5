"""Random use of the estimators: a short run of bench/fuzz.py, and what it does about hangs and crashes."""

import time
import warnings

import pytest

for library in ("pandas", "polars"):
    pytest.importorskip(library)

from bench.fuzzing import pool  # noqa: E402
from bench.fuzzing.make import make_case  # noqa: E402
from bench.fuzzing.run import run  # noqa: E402

CASES = 300
LIMIT = 300.0  # seconds of a case, in which a busy machine compiles what it needs


def test_a_short_run_finds_nothing():
    found, calls = {}, 0
    for number, outcome in pool.check(seed=0, numbers=range(CASES), processes=2, limit=LIMIT):
        calls += sum(n for name, n in outcome.counts.items() if name.endswith("good"))
        for finding in outcome.findings:
            found.setdefault(finding.what, []).append(number)
    assert not found, f"repeat a case by python bench/fuzz.py --seed 0 --only NUMBER: {found}"
    assert calls > CASES  # most of them do something


def test_a_case_depends_on_seed_and_number_alone():
    assert make_case(3, 5).source() == make_case(3, 5).source()
    assert make_case(3, 5).source() != make_case(3, 6).source() != make_case(4, 6).source()


def test_the_source_of_a_case_is_a_program():
    """One that runs, where no call is refused."""
    case = next(case for case in (make_case(0, number) for number in range(50)) if not run(case).refusals)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(case.source(), "case.py", "exec"), {"__name__": "case"})


def test_a_hang_and_a_crash_are_findings():
    worker = pool._Worker(seed=0, limit=0.0)
    try:
        while not worker.is_ready:
            worker.hear()
            time.sleep(0.01)
        assert worker.fault() is None or "hang" not in worker.fault()
        assert worker.give(0)
        assert "hang" in worker.fault()
        worker.process.kill()
        worker.process.join()
        assert "crash" in worker.fault()
    finally:
        worker.end()
