"""One tree of errors: who catches a user's mistake catches every one of them."""

import pickle

import pytest

import data_catalog.errors
import model.errors
from data_catalog.base.errors import LongdanceError, RejectedError
from flows.cli.main import explain


@pytest.mark.parametrize("module", [data_catalog.errors, model.errors], ids=lambda module: module.__name__)
def test_every_error_is_a_user_s_mistake_that_the_command_line_says_in_its_own_words(module: object) -> None:
    kinds = [kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert len(kinds) > 5
    for kind in kinds:
        assert issubclass(kind, LongdanceError), kind
        error = kind.__new__(kind, "one sentence")
        assert explain(error) == str(error)


def test_a_rejection_survives_the_way_back_from_a_worker() -> None:
    back = pickle.loads(pickle.dumps(RejectedError("damaged", "What was found.")))
    assert (back.code, back.detail) == ("damaged", "What was found.")
