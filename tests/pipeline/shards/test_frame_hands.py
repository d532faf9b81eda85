"""Hands follow a sample's crop, flip and steadied picture exactly."""

import io

import numpy as np
import pytest

from data_catalog.base.errors import LongdanceError
from pipeline.clips.crop import Crop, placed
from pipeline.clips.steadying.steady import moved
from pipeline.picture_size import PictureSize
from pipeline.shards.frame_hands import found_hands, hands_in_clip, read_hands, write_hands

SIZE = PictureSize(128, 192)
PLACEMENT = placed(Crop(np.array([[20, 40]]), 200, 300, "full"), (400, 300), SIZE)
SCALE = 128 / 200


def seen(frames: int = 5) -> np.ndarray:
    """Hands in source pixels; the left one is missing in frame 2."""
    hands = np.random.default_rng(2).uniform(50, 200, (frames, 2, 21, 4))
    hands[..., 3] = 1
    hands[2, 0] = 0
    return hands


def test_hands_lie_where_the_clip_shows_them() -> None:
    there = hands_in_clip(seen(), PLACEMENT, flip=False)
    assert there[0, 1, :, 0] == pytest.approx((seen()[0, 1, :, 0] - 20) * SCALE)
    assert there[0, 1, :, 1] == pytest.approx((seen()[0, 1, :, 1] - 40) * SCALE)
    assert there[0, 1, :, 2] == pytest.approx(seen()[0, 1, :, 2] * SCALE)
    assert not there[2, 0].any()
    assert found_hands(there).tolist() == [0.8, 1.0]


def test_a_flip_makes_the_left_hand_the_right_one() -> None:
    there, mirrored = (hands_in_clip(seen(), PLACEMENT, flip) for flip in (False, True))
    assert mirrored[0, 0, :, 0] == pytest.approx(128 - there[0, 1, :, 0])
    assert mirrored[0, 0, :, 1:] == pytest.approx(there[0, 1, :, 1:])
    assert not mirrored[2, 1].any()
    assert mirrored[2, 0].any()


def test_a_steadied_picture_moves_them_frame_by_frame() -> None:
    moves = np.broadcast_to(np.eye(2, 3), (5, 2, 3)).copy()
    moves[:, 0, 2] = np.arange(5)
    there = hands_in_clip(seen(), PLACEMENT, False, moves)
    wanted = hands_in_clip(moved(seen().reshape(5, 42, 4), moves).reshape(5, 2, 21, 4), PLACEMENT, False)
    assert there == pytest.approx(wanted)
    assert (there[3, 1, :, 0] - hands_in_clip(seen(), PLACEMENT, False)[3, 1, :, 0]) == pytest.approx(3 * SCALE)


def test_hands_come_back_from_their_member() -> None:
    hands = hands_in_clip(seen(), PLACEMENT, False)
    assert np.array_equal(read_hands(write_hands(hands)), hands.astype(np.float32))
    wrong = io.BytesIO()
    np.save(wrong, np.zeros((3, 33, 4), np.float32))
    for npy in (b"no array", wrong.getvalue()):
        with pytest.raises(LongdanceError, match=r"hands\.npy"):
            read_hands(npy)
