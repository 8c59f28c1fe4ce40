"""Policies: one YAML file a table, checked with its lines, and planned against a table's columns.

No keys and no Spark here, so a policy can be checked in continuous integration.
"""

from __future__ import annotations

from privpipe.policy._advice import Advice, advise, cautions, checked_needs
from privpipe.policy._alphabets import ALPHABETS, LEAST_DOMAIN, characters
from privpipe.policy._becomes import SEALED, becomes, is_looked_up
from privpipe.policy._beside import beside_of
from privpipe.policy._check import load_policy, parse_policy
from privpipe.policy._choosing import CHOICES, NEEDS, Choice, choosing_markdown
from privpipe.policy._constant import constant
from privpipe.policy._context import column_context, domain_context, is_context_of
from privpipe.policy._families import family, is_family
from privpipe.policy._flow import rule_line, yaml_key
from privpipe.policy._jsonschema import policy_schema
from privpipe.policy._key_column import REVEALED_BY_KEY_IDS, key_column_of
from privpipe.policy._model import Policy, Rule
from privpipe.policy._numbers import decimals, exact
from privpipe.policy._paths import format_path, parse_path
from privpipe.policy._plan import ColumnPlan, LeafPlan, Plan
from privpipe.policy._planner import plan_table
from privpipe.policy._profile import LOOKS, Charset, Looks, Profile
from privpipe.policy._project import Project, find_project, load_project
from privpipe.policy._returns import returns, takes
from privpipe.policy._settings import (
    VAULT_NAME,
    Bucket,
    Encrypt,
    EncryptDeterministic,
    Ends,
    Fernet,
    Generalize,
    Mask,
    Network,
    Pseudonymize,
    Replace,
    Seal,
    Settings,
    Shift,
    Span,
    Tokenize,
    Vault,
    settings_from,
    settings_json,
)
from privpipe.policy._types import Field, TableSchema, Type
from privpipe.policy._vocabulary import PROTECTIONS, Protection
from privpipe.policy._warnings import leaf_warning

__all__ = [
    "ALPHABETS",
    "CHOICES",
    "LEAST_DOMAIN",
    "LOOKS",
    "NEEDS",
    "PROTECTIONS",
    "REVEALED_BY_KEY_IDS",
    "SEALED",
    "VAULT_NAME",
    "Advice",
    "Bucket",
    "Charset",
    "Choice",
    "ColumnPlan",
    "Encrypt",
    "EncryptDeterministic",
    "Ends",
    "Fernet",
    "Field",
    "Generalize",
    "LeafPlan",
    "Looks",
    "Mask",
    "Network",
    "Plan",
    "Policy",
    "Profile",
    "Project",
    "Protection",
    "Pseudonymize",
    "Replace",
    "Rule",
    "Seal",
    "Settings",
    "Shift",
    "Span",
    "TableSchema",
    "Tokenize",
    "Type",
    "Vault",
    "advise",
    "becomes",
    "beside_of",
    "cautions",
    "characters",
    "checked_needs",
    "choosing_markdown",
    "column_context",
    "constant",
    "decimals",
    "domain_context",
    "exact",
    "family",
    "find_project",
    "format_path",
    "is_context_of",
    "is_family",
    "is_looked_up",
    "key_column_of",
    "leaf_warning",
    "load_policy",
    "load_project",
    "parse_path",
    "parse_policy",
    "plan_table",
    "policy_schema",
    "returns",
    "rule_line",
    "settings_from",
    "settings_json",
    "takes",
    "yaml_key",
]
