"""Settings out of their range."""

import math

import pytest

from videolit.ops.checks import check_dropout, check_heads, check_least
from videolit.types import InputError


@pytest.mark.parametrize(
    ("check", "told"),
    [
        (lambda: check_least(("a", 1, 1), ("b", 0, 1)), "b must be at least 1, got 0"),
        (lambda: check_least(("hours", math.nan, 0)), "hours must be at least 0, got nan"),
        (lambda: check_dropout(1.0), r"dropout must be in \[0, 1\), got 1.0"),
        (lambda: check_dropout(-0.1, "token_dropout"), "token_dropout must be in"),
        (lambda: check_dropout(math.nan), "dropout must be in"),
        (lambda: check_heads(10, 4), r"hidden_size must be a multiple of num_heads \(4\), got 10"),
        (lambda: check_heads(15, 3, even=True), "must be even and a multiple of num_heads"),
        (lambda: check_heads(8, 0), "num_heads must be at least 1, got 0"),
        (lambda: check_heads(0, 2, name="num_features"), "num_features must be at least 1"),
    ],
)
def test_what_is_out_of_range_is_named_with_what_would_do(check, told):
    with pytest.raises(InputError, match=told):
        check()


def test_what_is_in_range_or_not_given_passes():
    check_least(("a", 1, 1), ("b", None, 1), ("c", 0.0, 0))
    check_dropout(0.0)
    check_dropout(0.99)
    check_heads(12, 4, even=True)
    check_heads(9, 3)
