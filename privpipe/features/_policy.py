"""The policy of the table that a spec writes."""

from __future__ import annotations

from privpipe.features._exact_model import FeatureSpec
from privpipe.policy import Policy, format_path, parse_policy, yaml_key

__all__ = ["written_policy"]


def written_policy(spec: FeatureSpec) -> Policy:
    """Every written column by name, as the spec's `columns:` has it. Raises: PolicyError."""
    lines = "".join(
        f"  {yaml_key(format_path((name,)))}: {said}\n" for name, said in spec.protections.items()
    )
    text = f"version: 1\ntable: {yaml_key(spec.name)}\ncolumns:\n{lines}"
    return parse_policy(text, name=f"{spec.file} columns")
