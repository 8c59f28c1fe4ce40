"""k-anonymity and its kin on Spark: what a table in clear tells of people, and making it coarser.

Weaker than differential privacy: see docs/anonymity.md for what these do not protect from.
"""

from __future__ import annotations

from privpipe.spark.risk._anonymized import Anonymized
from privpipe.spark.risk._generalize import generalize_to_k
from privpipe.spark.risk._measure import measure_risk
from privpipe.spark.risk._report import AttackRisk, RiskReport, SensitiveReport, SizeBand
from privpipe.spark.risk._suppress import suppress

__all__ = [
    "Anonymized",
    "AttackRisk",
    "RiskReport",
    "SensitiveReport",
    "SizeBand",
    "generalize_to_k",
    "measure_risk",
    "suppress",
]
