"""The golden files."""
import pathlib

import pytest


@pytest.fixture
def golden(request):
    """golden(name, text): `text` is what NAME.txt has; with --update-golden it is written there first."""
    def compare(name, text):
        path = pathlib.Path(__file__).with_name(name + ".txt")
        if request.config.getoption("--update-golden"):
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8")
    return compare
