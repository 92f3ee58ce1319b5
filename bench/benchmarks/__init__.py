"""The asv suite: how fastbp's own figures change from commit to commit.

    cd bench
    asv machine --yes
    asv run --python=same --quick

Compilation is kept out of every figure but those named so: each `setup` does once what is then timed.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
