"""A spec that asks for every figure."""

from __future__ import annotations

from privpipe.features import Spec, parse_features

TEXT = """\
version: 1
features: census.wages
source: warehouse/people
unit: person
groups: {edu: [a, b, c], sex: [f, m]}
bounds: {groups: 2, rows: 4}
aggregates:
  people: units
  rows: count
  total: {sum: wage, low: 0, high: 100, step: 0.5}
  avg: {mean: wage, low: 0, high: 100, step: 0.5}
  var: {variance: wage, low: 0, high: 100}
  med: {quantile: wage, low: 0, high: 100, bins: 10, at: 0.5}
  parts: {quantile: wage, low: 0, high: 100, bins: 10, at: [0.25, 0.75]}
  hist: {histogram: wage, edges: [0, 10, 50, 100]}
  firms: {distinct: firm}
privacy: {budget: census, epsilon: 1, delta: 1e-8}
columns: {total: {protect: encrypt_deterministic, domain: money}}
"""
SELECTED = TEXT.replace("edu: [a, b, c]", "edu: select")
EASY = TEXT.replace("epsilon: 1,", "epsilon: 100000000,")
"""So much budget that the noise is all but none"""


def parse_groups(text: str, *, name: str = "<features>") -> Spec:
    """A spec of groups."""
    spec = parse_features(text, name=name)
    assert isinstance(spec, Spec)
    return spec
