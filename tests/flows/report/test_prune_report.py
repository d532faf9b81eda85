"""What a prune prints says what is unknown."""

import math

import pytest

from flows.report.prune_report import shown


@pytest.mark.parametrize("value", [None, math.nan])
def test_what_is_not_known_is_said_to_be_unknown(value):
    assert shown(value, ".3f") == "unknown"
    assert shown(0.5, ".1%") == "50.0%"
