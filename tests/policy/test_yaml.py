"""What stands in a policy's place and is none."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privpipe.errors import PolicyError
from privpipe.policy import load_policy, parse_policy

HEAD = "version: 1\ntable: t\ncolumns:\n"

NOT_A_POLICY = [
    ("", "<policy>", "the file is empty"),
    ("# nothing but a comment\n", "<policy>", "the file is empty"),
    ("- a\n- b\n", "<policy>:1", "found a list at the top; wanted a mapping of keys"),
    ("just text", "<policy>:1", 'found the text "just text" at the top; wanted a mapping of keys'),
    ("a: b: c", "<policy>:1", "not YAML: mapping values are not allowed here"),
    (
        HEAD + "\ta: keep",
        "<policy>:4",
        "not YAML: found character '\\t' that cannot start any token",
    ),
    ("a: [1, 2", "<policy>:1", "not YAML: expected ',' or ']', but got '<stream end>'"),
    ("a: 1\n---\nb: 2\n", "<policy>:2", "not YAML: but found another document"),
    ("a: \x00", "<policy>", "not a text file: it holds control characters"),
    ("[" * 5000, "<policy>", "nested too deep"),
    ("a: *b", "<policy>:1", "not YAML: found undefined alias 'b'"),
    ("x" * (5 << 20), "<policy>", "longer than 4,194,304 characters"),
    (
        HEAD + "  a: !!python/object:os.system {}",
        "<policy>:4 columns.a",
        'the YAML tag "tag:yaml.org,2002:python/object:os.system" is not read here',
    ),
    (
        HEAD + "  a: keep\n  a: drop",
        "<policy>:5 columns.a",
        "given twice; first on line 4",
    ),
    (
        HEAD + "  a: &x {protect: keep}\n  b: {<<: *x, protect: keep}",
        "<policy>:5 columns.b",
        "a key is a name here: no merge (<<), list or mapping",
    ),
    (
        HEAD + "  ? [a, b]\n  : keep",
        "<policy>:4 columns",
        "a key is a name here: no merge (<<), list or mapping",
    ),
    (
        HEAD + '  "\\ud800": keep',
        "<policy>:4 columns",
        "holds half of a surrogate pair, which is no character",
    ),
]


@pytest.mark.parametrize(("text", "where", "message"), NOT_A_POLICY)
def test_what_is_no_policy_is_refused(text: str, where: str, message: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse_policy(text)
    assert (caught.value.where, caught.value.message) == (where, message)


def test_a_backtick_in_front_needs_quotes() -> None:
    with pytest.raises(PolicyError) as caught:
        parse_policy(HEAD + "  `a.b`.c: encrypt")
    assert caught.value.where == "<policy>:4"
    assert caught.value.hint is not None
    assert "'`a.b`.c': encrypt" in caught.value.hint


def test_aliases_are_read_and_do_not_explode() -> None:
    policy = parse_policy(HEAD + "  a: &x {protect: encrypt}\n  b: *x")
    assert [rule.protect for rule in policy.rules] == ["encrypt", "encrypt"]
    layers = ["l0: &l0 [x]"]
    layers += [f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]" for i in range(1, 15)]
    start = time.process_time()
    with pytest.raises(PolicyError, match="aliases that unfold without end"):
        parse_policy("\n".join(layers))
    assert time.process_time() - start < 5


def test_an_alias_to_what_holds_it_ends() -> None:
    with pytest.raises(PolicyError, match="nested too deep"):
        parse_policy("a: &a [*a]")


def test_keys_are_taken_as_their_text() -> None:
    policy = parse_policy(HEAD + "".join(f"  {k}: keep\n" for k in ("on", "no", "1", "2.50", "~")))
    assert list(policy.columns) == ["on", "no", "1", "2.50", "~"]


def test_a_byte_order_mark_and_crlf_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + (HEAD + "  a: keep\n").replace("\n", "\r\n").encode())
    assert list(load_policy(path).columns) == ["a"]


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "people.yaml").write_text(HEAD)
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    for name, message, hint in [
        ("peopel.yaml", "no such file", "in that folder: people.yaml"),
        ("", "a folder, not a file", "in that folder: people.yaml"),
        ("binary", "not a text file: its bytes are not UTF-8", "mend the policy"),
    ]:
        with pytest.raises(PolicyError) as caught:
            load_policy(tmp_path / name)
        assert caught.value.where == str(tmp_path / name)
        assert caught.value.message == message
        assert (caught.value.hint or "").startswith(hint)


WORDS = [
    "version",
    "table",
    "columns",
    "protect",
    "encrypt",
    "keep",
    "domain",
    "allow",
    "a",
    "1",
    "~",
    "&x",
    "*x",
    "!!",
    "{}",
    "[]",
]
PIECES = st.sampled_from([*WORDS, *"-{}[],'\"|#`", ": ", "\n", "\n  "])


@given(st.one_of(st.text(), st.lists(PIECES).map("".join)))
def test_any_text_is_a_policy_or_a_coded_error(text: str) -> None:
    for given_text in (text, HEAD + "  " + text):
        try:
            policy = parse_policy(given_text)
        except PolicyError:
            continue
        assert parse_policy(policy.canonical_json).hash == policy.hash
