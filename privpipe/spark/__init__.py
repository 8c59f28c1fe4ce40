"""privpipe on Spark: protect a DataFrame, release it once, reveal it again.

The one room that imports Spark. `open_home` is the common way; `protect`, `reveal` and `release`
are plain functions for pipelines that hold their own DataFrames. `open_k2` and `open_foreign` read
what other programs encrypted; `inspect` tells what a table seems to hold. How well the rows of a
table in clear hide, and making it coarser until they do, is in `privpipe.spark.risk`.
"""

from __future__ import annotations

from privpipe.spark._findings import Finding, session_findings
from privpipe.spark._foreign import open_foreign
from privpipe.spark._home import Home
from privpipe.spark._inspect import Kind, Seen, inspect
from privpipe.spark._java import check_java
from privpipe.spark._k2 import open_k2
from privpipe.spark._k2_to import open_k2_to
from privpipe.spark._open_home import open_home
from privpipe.spark._output import Revealed
from privpipe.spark._profile import profile
from privpipe.spark._protect import protect
from privpipe.spark._release import Run
from privpipe.spark._released import release
from privpipe.spark._repair import Settled
from privpipe.spark._reveal import reveal
from privpipe.spark._rotation import Rotated, Stale
from privpipe.spark._vaults import VaultReport
from privpipe.spark._verify import Damage, VerifyReport

__all__ = [
    "Damage",
    "Finding",
    "Home",
    "Kind",
    "Revealed",
    "Rotated",
    "Run",
    "Seen",
    "Settled",
    "Stale",
    "VaultReport",
    "VerifyReport",
    "check_java",
    "inspect",
    "open_foreign",
    "open_home",
    "open_k2",
    "open_k2_to",
    "profile",
    "protect",
    "release",
    "reveal",
    "session_findings",
]
