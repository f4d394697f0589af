"""What holds for all tests."""

import pytest

from micrograd_like import extend, ops
from micrograd_like.__main__ import main


@pytest.fixture(autouse=True)
def own_rows():
    """Takes away what a test adds to the table."""
    rows, functions = dict(ops.TABLE), dict(ops.FUNCTIONS)
    yield
    for table, before in ((ops.TABLE, rows), (ops.FUNCTIONS, functions)):
        table.clear()
        table.update(before)
    extend._own.clear()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder, where the commands run."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(capsys):
    """Runs a command; returns its exit status and what it printed on stdout and on stderr."""

    def run(*arguments):
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as end:  # argparse's
            status = end.code
        return status, *capsys.readouterr()

    return run
