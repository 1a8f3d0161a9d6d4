"""Names beside points: none over another, none over a mark, all in the frame."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.evaluation.comparing import LONGEST
from calibration.evaluation.naming import LINE, MARK, Box, place_names
from calibration.evaluation.tradeoff_chart import FRAME
from runtime.errors import UsageError

WITHIN = st.tuples(st.floats(FRAME.left, FRAME.right), st.floats(FRAME.top, FRAME.bottom))
NAMED = st.tuples(st.text("aW", min_size=1, max_size=LONGEST), WITHIN)


@given(st.lists(NAMED, min_size=1, max_size=6))
def test_six_names_find_a_place_wherever_the_points_are(
    named: list[tuple[str, tuple[float, float]]],
) -> None:
    names, spots = [name for name, _ in named], [spot for _, spot in named]
    boxes = place_names(names, spots, [], FRAME)
    marks = [Box(x - MARK, y - MARK, x + MARK, y + MARK) for x, y in spots]
    assert not any(one.meets(other) for one, other in combinations(boxes, 2))
    assert not any(box.meets(mark) for box in boxes for mark in marks)
    for box in boxes:
        assert FRAME.left <= box.left < box.right <= FRAME.right
        assert FRAME.top <= box.top < box.bottom <= FRAME.bottom + 1e-6


def test_a_point_with_room_has_its_name_level_with_it_and_to_its_right() -> None:
    ((left, top, _, bottom),) = place_names(["one"], [(200.0, 150.0)], [], FRAME)
    assert (left, (top + bottom) / 2) == (209.0, pytest.approx(150, abs=1))


def test_an_interval_is_avoided_where_that_costs_little() -> None:
    whisker = Box(229, 140, 231, 160)
    (box,) = place_names(["one long name"], [(200.0, 150.0)], [whisker], FRAME)
    assert not box.meets(whisker)
    tall = Box(229, FRAME.top, 231, FRAME.bottom)
    both = [tall, tall._replace(left=169, right=171)]
    (box,) = place_names(["one long name"], [(200.0, 150.0)], both, FRAME)
    assert box.middle == pytest.approx(150, abs=1)


def test_too_many_in_one_place_are_refused() -> None:
    with pytest.raises(UsageError, match="too close"):
        place_names(["name"] * 60, [(200.0, 150.0)] * 60, [], FRAME)


@pytest.mark.parametrize(
    ("other", "meets"),
    [
        (Box(5, 5, 6, 6), True),
        (Box(10, 0, 20, 10), False),
        (Box(0, -LINE, 10, 0), False),
        (Box(9, 9, 20, 20), True),
    ],
)
def test_boxes_meet_where_they_share_more_than_an_edge(other: Box, meets: bool) -> None:
    box = Box(0, 0, 10, 10)
    assert box.meets(other) is other.meets(box) is meets
