"""What compares strength and speed is a script; only files named test_* are tests. The scripts import each other by name."""

import sys
from pathlib import Path

collect_ignore_glob = ["[!t]*.py"]
sys.path.insert(0, str(Path(__file__).parent))
