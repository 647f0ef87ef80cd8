"""For every kind of test: the package of this checkout, what unit tests share, and how to accept new golden files."""
import os
import sys

import pytest

TESTS = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(os.path.dirname(TESTS), "plugin"), os.path.join(TESTS, "unit")]
# pytest shows the values of their asserts, too
pytest.register_assert_rewrite("cases", "harness", "workloads")


def pytest_addoption(parser):
    parser.addoption("--update-golden", action="store_true", help="write tests/golden/*.txt anew instead of comparing")
