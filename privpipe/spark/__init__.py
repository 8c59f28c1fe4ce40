"""privpipe on Spark: protect a DataFrame, release it once, reveal it again.

The one room that imports Spark. `open_home` is the common way; `protect`, `reveal` and `release`
are plain functions for pipelines that hold their own DataFrames.
"""

from __future__ import annotations

from privpipe.spark._findings import Finding, session_findings
from privpipe.spark._home import Home, open_home, release
from privpipe.spark._java import check_java
from privpipe.spark._output import Revealed
from privpipe.spark._profile import open_session, profile
from privpipe.spark._protect import protect
from privpipe.spark._release import Run
from privpipe.spark._repair import Settled
from privpipe.spark._reveal import reveal
from privpipe.spark._verify import Damage, VerifyReport

__all__ = [
    "Damage",
    "Finding",
    "Home",
    "Revealed",
    "Run",
    "Settled",
    "VerifyReport",
    "check_java",
    "open_home",
    "open_session",
    "profile",
    "protect",
    "release",
    "reveal",
    "session_findings",
]
