"""Comparisons of strength and speed are scripts that import each other; test_* files are tests."""

import sys
from pathlib import Path

collect_ignore_glob = ["[!t]*.py"]
sys.path.insert(0, str(Path(__file__).parent))
