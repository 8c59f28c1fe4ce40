"""What a plan makes of settings: types, keys, contexts, and what a reviewer is warned of."""

from __future__ import annotations

import pytest

from privpipe.errors import PolicyError
from privpipe.kernels import generate_pair
from privpipe.policy import SEALED, LeafPlan, Plan, parse_policy, plan_table
from tests.policy._build import table

PUBLIC = generate_pair("x25519")[1]
HEAD = "version: 1\ntable: clinic.visits\nunlisted: keep\ncolumns:\n"


def plan(rules: str, **types: str) -> Plan:
    return plan_table(parse_policy(HEAD + rules, name="p.yaml"), table(**types))


def leaf(rule: str, kind: str, **types: str) -> LeafPlan:
    return plan(f"  a: {rule}", a=kind, **types).leaves[0]


@pytest.mark.parametrize(
    ("rule", "kind", "becomes"),
    [
        ("encrypt", "array<int>", "binary"),
        ("{protect: encrypt, prefix: raw}", "int", "binary"),
        ("encrypt_deterministic", "date", "binary"),
        ("{protect: tokenize, alphabet: digits}", "varchar(9)", "string"),
        ("{protect: vault, vault: v}", "bigint", "string"),
        ("pseudonymize", "bigint", "string"),
        ("{protect: pseudonymize, output: int64}", "string", "bigint"),
        ("{protect: shift, days: 3, subject: k}", "timestamp", ""),
        ("mask", "char(3)", "string"),
        ("redact", "struct<x:int>", ""),
        ("{protect: replace, value: 1}", "int", ""),
        ("{protect: replace, value: x}", "varchar(3)", ""),
        ("{protect: replace, dictionary: [a, b]}", "varchar(3)", "string"),
        ("{protect: generalize, width: 10}", "int", "string"),
        ("{protect: generalize, bounds: [1, 2]}", "decimal(5,2)", "string"),
        ("{protect: generalize, to: month}", "timestamp", ""),
        ("{protect: generalize, to: age, on: 2026-01-01}", "date", "int"),
        ("{protect: generalize, to: age, on: 2026-01-01, width: 5}", "date", "string"),
        ("{protect: generalize, prefix: 2}", "string", ""),
        ("{protect: generalize, prefix: 2}", "varchar(9)", "string"),
        ("{protect: generalize, network: {}}", "string", "string"),
        ("{protect: generalize, round: 2}", "double", ""),
        ("{protect: bucket, width: 10}", "double", "string"),
        ("fernet", "int", "string"),
    ],
)
def test_what_a_value_becomes(rule: str, kind: str, becomes: str) -> None:
    assert leaf(rule, kind, k="int").becomes == becomes


def test_a_sealed_value_is_a_struct_and_has_no_keyset(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    base = tmp_path_factory.mktemp("seal")
    (base / "a.pem").write_bytes(PUBLIC)
    policy = parse_policy(f"{HEAD}  a: {{protect: seal, public_key: a.pem}}", base=base)
    (made,) = plan_table(policy, table(a="int")).leaves
    assert (made.becomes, made.keyset, made.scope, made.primitive) == (SEALED, None, None, None)
    assert made.context == "pp1:c:clinic.visits/a:int"
    assert made.file is not None
    assert made.file.text.encode() == PUBLIC


@pytest.mark.parametrize(
    ("rule", "kinds"),
    [
        ("{protect: tokenize, alphabet: digits}", {"string", "varchar(9)", "char(9)"}),
        ("{protect: shift, days: 3, subject: k}", {"date", "timestamp", "timestamp_ntz"}),
        ("mask", {"string", "varchar(9)", "char(9)"}),
        ("{protect: replace, value: 7}", {"int", "bigint", "decimal(12,2)", "float", "double"}),
        ("{protect: replace, value: true}", {"boolean"}),
        ("{protect: replace, dictionary: [a, b]}", {"string", "varchar(9)", "char(9)"}),
        ("{protect: generalize, to: year}", {"date", "timestamp", "timestamp_ntz"}),
        ("{protect: generalize, prefix: 1}", {"string", "varchar(9)", "char(9)"}),
        ("{protect: generalize, network: {}}", {"string", "varchar(9)", "char(9)"}),
        ("{protect: generalize, round: 1}", {"float", "double", "decimal(12,2)"}),
        ("{protect: bucket, width: 10}", {"int", "bigint", "decimal(12,2)", "float", "double"}),
        ("{protect: vault, vault: v}", {
            "string", "varchar(9)", "char(9)", "int", "bigint", "decimal(12,2)", "date",
            "timestamp", "timestamp_ntz", "boolean", "binary",
        }),
    ],
)  # fmt: skip
def test_what_each_is_for(rule: str, kinds: set[str]) -> None:
    every = {
        "string", "varchar(9)", "char(9)", "int", "bigint", "decimal(12,2)", "float", "double",
        "date", "timestamp", "timestamp_ntz", "boolean", "binary", "array<int>", "struct<x:int>",
        "map<int,int>", "variant",
    }  # fmt: skip
    taken = set()
    for kind in every:
        error = None
        try:
            leaf(rule, kind, k="int")
        except PolicyError as caught:
            error = caught
        if error is None:
            taken.add(kind)
        else:
            assert error.where == "p.yaml:5 columns.a"
            assert error.hint
    assert taken == kinds


def test_keys_are_of_their_own_primitive() -> None:
    made = plan(
        "  a: {protect: encrypt, prefix: raw}\n"
        "  b: {protect: pseudonymize, domain: d}\n"
        "  c: {protect: pseudonymize, algorithm: hmac}\n"
        "  d: {protect: tokenize, alphabet: digits, domain: d}\n"
        "  e: {protect: vault, vault: v}\n"
        "  g: {protect: replace, dictionary: [a, b]}\n"
        "  h: {protect: replace, value: x, domain: other}\n"
        "  i: fernet\n"
        "  j: mask\n"
        "  k: {protect: fernet, key: 'imported:legacy'}\n",
        **dict.fromkeys("abcdeghijk", "string"),
    )
    assert [leaf.keyset for leaf in made.leaves] == [
        ("table:clinic.visits", "AES256_GCM_RAW"),
        ("domain:d", "AES_CMAC_PRF"),
        ("table:clinic.visits", "HMAC_SHA256_PRF"),
        ("domain:d", "HKDF_SHA256_PRF"),
        ("vault:v", "HKDF_SHA256_PRF"),
        ("table:clinic.visits", "HKDF_SHA256_PRF"),
        None,
        ("table:clinic.visits", "HKDF_SHA256_PRF"),
        None,
        ("imported:legacy", "FERNET"),
    ]
    assert ("domain:d", "AES_CMAC_PRF", "text") in made.scopes
    assert all(scope != "domain:other" for scope, _, _ in made.scopes)


def test_the_dates_of_a_subject_share_a_context() -> None:
    rule = "{protect: shift, days: 30, subject: k}"
    made = plan(f"  a: {rule}\n  b: {rule}", a="date", b="timestamp", k="int")
    assert {leaf.context for leaf in made.leaves} == {"pp1:s:clinic.visits"}
    told = "nullness, roughly when, intervals within a subject"
    assert [leaf.reveals for leaf in made.leaves] == [told, f"{told}, the time of day"]
    # In a domain, the family is the subject's, whatever the dates are.
    shared = "{protect: shift, days: 30, subject: k, domain: patient}"
    made = plan(f"  a: {shared}\n  b: {shared}", a="date", b="timestamp", k="int")
    assert {(leaf.context, leaf.family) for leaf in made.leaves} == {("pp1:s::patient", "integer")}
    with pytest.raises(PolicyError, match="family text"):
        plan(
            f"  a: {shared}\n  b: {shared.replace('subject: k', 'subject: l')}",
            a="date", b="date", k="int", l="string",
        )  # fmt: skip


def test_what_joins_shares_its_domains_context() -> None:
    made = plan(
        "  a: {protect: pseudonymize, domain: d}\n  b: {protect: tokenize, alphabet: digits, "
        "domain: d}\n  c: {protect: replace, dictionary: [x, y], domain: d}",
        a="string", b="string", c="string",
    )  # fmt: skip
    assert {leaf.context for leaf in made.leaves} == {"pp1:d:d:text"}
    assert "equality across domain d" in made.leaves[0].reveals


TOLD = [
    (
        "{protect: tokenize, alphabet: digits, tweak: k}",
        "string",
        "its tokens hang on k as well: where that is edited later, they come back as another value",
    ),
    (
        "{protect: encrypt_deterministic, bind: [k]}",
        "int",
        "equal values meet only where k are equal too: bound, it no longer joins by itself",
    ),
    (
        "{protect: pseudonymize, output: int64}",
        "int",
        "two of 1,000,000 values meet in an int64 with a probability of up to 2.7e-08; say "
        "`distinct:` where there are more",
    ),
    (
        "{protect: pseudonymize, output: int64, distinct: 5000000}",
        "int",
        "two of 5,000,000 values meet in an int64 with a probability of up to 6.8e-07",
    ),
    (
        "{protect: mask, show: {first: 2, last: 2}}",
        "string",
        "it shows 4 characters, which may tell whose they are",
    ),
    (
        "{protect: mask, keep: '0123'}",
        "string",
        "it keeps letters or digits wherever they stand, which may tell whose they are",
    ),
    (
        "{protect: generalize, prefix: 4}",
        "string",
        "it shows 4 characters, which may tell whose they are",
    ),
    (
        "{protect: generalize, round: 4}",
        "double",
        "4 decimals tell a place to about 11 m, and so perhaps a home",
    ),
    (
        "{protect: generalize, network: {v4: 28}}",
        "string",
        "so small a network may be one household",
    ),
    (
        "{protect: pseudonymize, domain: d}",
        "boolean",
        "a boolean has 2 values at most, so counting equal stand-ins tells them apart; use encrypt "
        "unless it must join",
    ),
]


@pytest.mark.parametrize(("rule", "kind", "text"), TOLD)
def test_a_reviewer_is_warned(rule: str, kind: str, text: str) -> None:
    made = plan(f"  a: {rule}\n  k: keep", a=kind, k="int")
    assert f"p.yaml:5 columns.a: {text}" in made.warnings


@pytest.mark.parametrize(
    ("rule", "kind"),
    [
        ("{protect: mask, show: {last: 3}, keep: punctuation}", "string"),
        ("{protect: mask, keep: ' -'}", "string"),
        ("{protect: generalize, prefix: 3}", "string"),
        ("{protect: generalize, round: 2}", "double"),
        ("{protect: generalize, network: {}}", "string"),
        ("{protect: generalize, to: month}", "date"),
        ("{protect: bucket, width: 10}", "tinyint"),
        ("redact", "boolean"),
        ("pseudonymize", "string"),
        ("{protect: pseudonymize, algorithm: hmac, context: '', keyset: legacy}", "string"),
        ("{protect: encrypt, bind: [k]}", "string"),
    ],
)
def test_and_not_of_what_is_well(rule: str, kind: str) -> None:
    assert plan(f"  a: {rule}\n  k: keep", a=kind, k="int").warnings == ()


def test_what_holds_for_all_is_said_once() -> None:
    token = "{protect: tokenize, alphabet: digits}"
    made = plan(
        f"  a: {token}\n  b: fernet\n  c.x: {token}\n  d: fernet\n",
        a="string", b="string", c="struct<x:string>", d="int",
    )  # fmt: skip
    assert made.warnings == (
        "p.yaml:5 columns: a token does not say that it was altered: it opens, to another value "
        "(a, c.x)",
        "p.yaml:6 columns: a Fernet token is bound to no place: moved to another row or column, it "
        "opens (b, d)",
    )


def test_columns_that_share_a_sealing_key_and_a_context(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    base = tmp_path_factory.mktemp("seal")
    (base / "a.pem").write_bytes(PUBLIC)
    rule = "{protect: seal, public_key: a.pem, context: x}"
    policy = parse_policy(f"{HEAD}  a: {rule}\n  b: {rule}", base=base, name="p.yaml")
    assert plan_table(policy, table(a="int", b="int")).warnings == (
        'p.yaml:6 columns.b: shares key and context "x" with a: values swapped between them go '
        "unnoticed",
    )


def test_stand_ins_that_meet_by_their_context() -> None:
    rule = "{protect: pseudonymize, context: x}"
    assert plan(f"  a: {rule}\n  b: {rule}", a="int", b="int").warnings == (
        'p.yaml:6 columns.b: shares key and context "x" with a: equal values of the two have equal '
        "stand-ins",
    )
    apart = "  a: {protect: pseudonymize, domain: d}\n  b: {protect: pseudonymize, domain: d}"
    assert plan(apart, a="int", b="int").warnings == ()


@pytest.mark.parametrize(
    ("rule", "shown"),
    [
        (
            "{protect: tokenize, alphabet: digits, keep: '-', preserve: {first: 6, last: 1}}",
            "nullness, length, equality, the first 6 characters, the last 1 character, "
            "where the characters that it keeps stand",
        ),
        ("{protect: replace, dictionary: [a, b]}", "nullness, equality"),
        ("{protect: replace, dictionary: [a, b], domain: d}",
         "nullness, equality across domain d"),
        ("{protect: replace, value: x}", "nullness"),
    ],
)  # fmt: skip
def test_what_it_was_told_to_show_is_told(rule: str, shown: str) -> None:
    assert leaf(rule, "string").reveals == shown


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("{protect: pseudonymize, context: ''}", "there it is HMAC"),
        ("{protect: pseudonymize, context: '', keyset: k}", "there it is HMAC"),
        ("{protect: pseudonymize, algorithm: hmac, context: ''}", "a key that no other column"),
    ],
)
def test_a_bare_prf_is_for_matching_others_alone(rule: str, said: str) -> None:
    with pytest.raises(PolicyError, match=said):
        plan(f"  a: {rule}", a="string")
