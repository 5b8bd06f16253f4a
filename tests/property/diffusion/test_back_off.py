"""A pause is never shorter than the back-off says, whatever happens and when."""

from hypothesis import given
from hypothesis import strategies as st

from deployments.diffusion.memory.trying import MOST_S, QUIET_S, BackOff

events = st.lists(
    st.tuples(st.integers(0, 2 * int(MOST_S)), st.sampled_from(["begin", "extend", "look"])),
    max_size=60,
)


@given(events)
def test_it_never_comes_back_before_a_quiet_while_that_doubles(
    happens: list[tuple[int, str]],
) -> None:
    now = 0.0
    back_off = BackOff(lambda: now)
    paused, shortage, came_back, pause = False, 0.0, -2 * MOST_S, 0.0
    for seconds, event in happens:
        now += seconds
        if event == "begin":
            if paused and now - shortage >= pause:  # it was tried, and did not work
                paused, came_back = False, now
            if not paused:
                again = now - came_back < MOST_S
                pause = min(2 * pause, MOST_S) if again else QUIET_S
            paused, shortage = True, now
            back_off.begin()
        elif event == "extend":
            shortage = now
            back_off.extend()
        if back_off.due:
            assert paused
            assert now - shortage >= pause >= QUIET_S
            back_off.end()
            paused, came_back = False, now
        assert (back_off.left_s > 0) == paused
        assert back_off.left_s <= pause


@given(st.integers(0, int(QUIET_S)), st.integers(1, 200))
def test_what_is_always_needed_again_is_tried_ever_more_rarely(delay_s: int, tries: int) -> None:
    now = 0.0
    back_off = BackOff(lambda: now)
    for number in range(tries):
        back_off.begin()
        assert back_off.left_s == min(QUIET_S * 2**number, MOST_S)
        now += back_off.left_s
        assert back_off.due
        back_off.end()
        now += delay_s


def test_an_hour_without_need_is_forgotten() -> None:
    now = 0.0
    back_off = BackOff(lambda: now)
    for pause_s in (QUIET_S, 2 * QUIET_S, 4 * QUIET_S):
        back_off.begin()
        assert back_off.left_s == pause_s
        now += pause_s
        back_off.end()
    now += MOST_S
    back_off.begin()
    assert back_off.left_s == QUIET_S
