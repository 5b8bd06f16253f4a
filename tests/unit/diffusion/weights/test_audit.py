"""An audit that many ask for."""

import threading
from concurrent.futures import ThreadPoolExecutor

from deployments.diffusion.weights.audit import Audit
from tests.polling import wait_until


def test_those_who_ask_at_once_share_one_walk_and_what_it_found_ages() -> None:
    walks: list[int] = []
    go_on = threading.Event()

    def walk() -> int:
        walks.append(7)
        assert go_on.wait(60)
        return sum(walks)

    audit, aged = Audit(walk), Audit(walk, good_s=0.0)
    with ThreadPoolExecutor(4) as crowd:
        asked = [crowd.submit(audit.found_bytes) for _ in range(4)]
        wait_until(lambda: walks, 60)
        go_on.set()
        assert [one.result(60) for one in asked] == [7] * 4

    assert (aged.found_bytes(), aged.found_bytes()) == (14, 21)


def test_a_walk_that_fails_is_made_again() -> None:
    outcomes = iter([ValueError("gone"), 3])

    def walk() -> int:
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    audit = Audit(walk)
    failed = ThreadPoolExecutor(1).submit(audit.found_bytes)
    assert isinstance(failed.exception(60), ValueError)
    assert audit.found_bytes() == 3
