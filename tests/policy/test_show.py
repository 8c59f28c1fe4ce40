from __future__ import annotations

from dataclasses import replace

from privpipe.keys import KeyRef, OpenerRef
from privpipe.policy import parse_policy, plan_table
from tests.policy._build import table


class Keys:
    """A keyring that holds one key."""

    def ref(self, scope: str, primitive: str, *, family: str | None = None) -> KeyRef:
        return KeyRef(scope=scope, primitive=primitive, wrapped="{}", kek_uri="file:/k", key_id=7)

    opener: OpenerRef | None = None

    def find(self, scope: str, primitive: str) -> KeyRef | None:
        return self.ref(scope, primitive) if primitive == "AES256_GCM" else None


def test_a_notebook_sees_the_plan_and_no_markup_of_the_source() -> None:
    policy = parse_policy(
        "version: 1\ntable: t\nunlisted: drop\ncolumns:\n  a: encrypt\n  <b>: keep\n"
        "  f: undecided\n  d: encrypt_deterministic\n  c.x: keep\n"
    )
    schema = table(
        **{"a": "string", "<b>": "int", "d": "boolean", "f": "int"}, c="struct<x:int,y:int>"
    )
    plan = plan_table(policy, schema)
    shown = replace(plan, keys=Keys())._repr_html_()
    for text in (
        "<td>a</td><td>string</td><td>encrypt</td><td>table:t</td><td>7</td>",
        "<td>d</td><td>boolean</td><td>encrypt_deterministic</td><td>table:t</td><td>new</td>",
        "<td>&lt;b&gt;</td><td>int</td><td>keep</td><td></td><td></td><td>everything</td>",
        "<td>c.y</td><td></td><td>drop</td>",
        "<td>not decided yet: protect refuses it</td>",
        "<li>&lt;policy&gt;:8 columns.d: a boolean has 2 values",
    ):
        assert text in shown
    assert "<b>int" not in shown
    assert "<td>7</td>" not in plan._repr_html_()
