"""The asv suite: how fastbp's own figures change from commit to commit.

    cd bench
    asv machine --yes
    asv run --python=same --launch-method spawn

Compilation is kept out of every figure but those named so: fits are timed in several processes that load what
`setup_cache` compiled in another one, and each `setup` does once what is then timed.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
