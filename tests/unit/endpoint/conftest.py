"""served.py is beside the tests that use it."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
