"""What holds for all tests."""

import pytest

from micrograd_like import extend, ops


@pytest.fixture(autouse=True)
def own_rows():
    """Takes away what a test adds to the table."""
    rows, functions = dict(ops.TABLE), dict(ops.FUNCTIONS)
    yield
    for table, before in ((ops.TABLE, rows), (ops.FUNCTIONS, functions)):
        table.clear()
        table.update(before)
    extend._own.clear()
