"""What is wrong with a release is told with its code, before anything is charged or written."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from privpipe import parse_policy
from privpipe.catalog import ledger
from privpipe.dp import Budget
from privpipe.errors import PrivpipeError
from privpipe.features import Spec, parse_features
from privpipe.spark import Home
from privpipe.spark._home import Mode
from privpipe.spark.features import _run
from privpipe.spark.features._source import find_source
from privpipe.spark.features._unit import check_unit
from tests.spark._project import make_home, policy_text

pytest.importorskip("opendp", reason="the extra `dp` is not installed")

SPEC = """\
version: 1
features: clinic.costs
source: {source}
unit: person
groups: {{sex: [f, m]}}
bounds: {{groups: 1, rows: 2}}
aggregates:
  n: count
  s: {{sum: cost, low: 0, high: 100, step: 0.01}}
privacy: {{budget: clinic, epsilon: 1, delta: 1e-9}}
"""
COLUMNS = {
    "person": "{protect: pseudonymize, output: uuid}",
    "ssn": "keep",
    "sex": "keep",
    "city": "encrypt",
    "cost": "keep",
    "day": "keep",
    "big": "keep",
    "zip": "{protect: mask, show: {first: 2}}",
    "seen": "{protect: shift, days: 5, subject: sex}",
}
_MOST = (1 << 63) - 1
HINT = "hint: protect it first: `ssn: {protect: pseudonymize, output: uuid}`"

GROUPS = "groups:"


def over(time: str, windows: str = "[7d]") -> str:
    """The lines of windows, before those of the groups."""
    return f"event_time: {time}\nas_of: 2024-01-01\nwindows: {windows}\ngroups:"


# Of the spec, what is replaced by what; the code, and what is said.
BAD: dict[str, tuple[str, str, str, str]] = {
    "no unit": ("unit: person\n", "", "PP-POL-02", "no key unit"),
    "an empty unit": ("unit: person", "unit:", "PP-POL-02", ":4 unit"),
    "no bounds": ("bounds: {groups: 1, rows: 2}\n", "", "PP-POL-02", "how much of a unit is kept"),
    "half of the bounds": (", rows: 2", "", "PP-POL-02", "no key rows"),
    "no clamp": ("high: 100, ", "", "PP-POL-02", "no key high"),
    "clamps the wrong way round": ("high: 100", "high: -1", "PP-POL-02", "not below the upper"),
    "a bound of nothing": ("rows: 2", "rows: 0", "PP-POL-02", "a whole number from 1 to"),
    "bounds where a row is one": ("unit: person", "unit: row", "PP-POL-02", "a row counts once"),
    "a clamp that is NaN": ("high: 100", "high: .nan", "PP-POL-02", ":9 aggregates.s"),
    "a clamp that is infinite": ("high: 100", "high: .inf", "PP-POL-02", ":9 aggregates.s"),
    "an epsilon that is NaN": ("epsilon: 1", "epsilon: .nan", "PP-POL-02", ":10 privacy"),
    "an epsilon that is infinite": ("epsilon: 1", "epsilon: .inf", "PP-POL-02", ":10 privacy"),
    "a raw identifier": ("unit: person", "unit: ssn", "PP-POL-02", HINT),
    "a masked unit": ("unit: person", "unit: zip", "PP-POL-02", "zip stands under `mask`"),
    "groups that are neither": ("[f, m]", "", "PP-POL-02", "which groups exist would tell"),
    "groups of the data": ("[f, m]", "all", "PP-POL-02", "which groups exist would tell"),
    "a selection without a delta": (
        "[f, m]", "select", "PP-POL-02", "groups by `select` need a delta"),
    "a masked column": ("sum: cost", "sum: zip", "PP-POL-02", "zip stands under `mask`"),
    "different values of a masked column": (
        "n: count", "n: {distinct: zip}", "PP-POL-02", ":8 aggregates.n: zip stands under `mask`"),
    "a sum beside different values": (
        "n: count", "n: {distinct: seen}\n  m: {sum: seen, low: 0, high: 1}", "PP-POL-02",
        ":9 aggregates.m: seen stands under `shift`"),
    "an unknown protection": (
        "delta: 1e-9}", "delta: 1e-9}\ncolumns:\n  n: keep\n  s: encryptt", "PP-POL-01",
        ":13 columns.s.protect: unknown protection"),
    "an unknown protection of a group": (
        "delta: 1e-9}", "delta: 1e-9}\ncolumns: {sex: encryptt}", "PP-POL-01",
        ":11 columns.sex.protect: unknown protection"),
    "groups by doubles": ("{sex: [f, m]}", "{cost: select}", "PP-DAT-03", "groups by a double"),
    "groups by spellings": ("{sex: [f, m]}", "{city: select}", "PP-DAT-03", "UTF8_LCASE"),
    "a spent budget": ("epsilon: 1,", "epsilon: 99,", "PP-BUD-01", "is left of"),
    "a spent delta": ("delta: 1e-9", "delta: 1e-4", "PP-BUD-01", "is left of"),
    "an unknown budget": ("budget: clinic", "budget: clinik", "PP-BUD-02", "clinik"),
    "another's budget": ("budget: clinic", "budget: other", "PP-BUD-03", "to budget clinic"),
    "a delta too large": ("delta: 1e-9", "delta: 0.01", "PP-BUD-00", "a delta below 0.0005; 1e-9"),
    "sums beyond 64 bits": ("high: 100, step: 0.01", "high: 8e15, step: 1", "PP-DAT-10", "bits"),
    "squares beyond 64 bits": (
        "{sum: cost, low: 0, high: 100, step: 0.01", "{variance: cost, low: 0, high: 1e10",
        "PP-POL-02", "64 bits"),
    "windows of groups": (
        "unit: person", "unit: person\nwindows: [7d]", "PP-POL-02",
        ":5 windows: windows without event_time"),
    "windows of no time": (GROUPS, over("sex"), "PP-DAT-03", ":5 event_time: sex is string"),
    "windows of a masked time": (
        GROUPS, over("zip"), "PP-POL-02", ":5 event_time: zip stands under `mask`"),
    "windows of a shifted time": (
        GROUPS, over("seen"), "PP-POL-02", ":5 event_time: seen stands under `shift`"),
    "windows of an unknown time": (
        GROUPS, over("dya"), "PP-DAT-03", ':5 event_time: unknown column "dya"'),
    "hours of dates": (
        GROUPS, over("day", "[7d, 12h]"), "PP-DAT-03", ":7 windows: 12h is no whole number of"),
    "an hour of dates": (
        GROUPS, over("day").replace("01-01", "01-01T12:00"), "PP-DAT-03",
        ":6 as_of: 2024-01-01T12:00:00 is no beginning of a day"),
    "groups by the unit": ("{sex: [f, m]}", "{person: select}", "PP-POL-02", "none can be shown"),
    "listed units": ("{sex: [f, m]}", "{Person: [p1]}", "PP-POL-02", ":5 groups.Person: groups by"),
    "rows beyond any table": ("rows: 2", "rows: 1e15", "PP-POL-02", "from 1 to 2,147,483,648"),
    "a unit beyond 64 bits": (
        "rows: 2}\naggregates:\n  n: count\n  s: {sum: cost, low: 0, high: 100, step: 0.01",
        "rows: 1000000}\naggregates:\n  n: count\n  s: {sum: cost, low: 0, high: 9e15, step: 1",
        "PP-DAT-10", ":9 aggregates.s: a unit could add more"),
    "a sum of text": ("sum: cost", "sum: sex", "PP-DAT-03", ":9 aggregates.s: a sum, mean or quan"),
    "an unknown column": ("sum: cost", "sum: cst", "PP-DAT-03", ":9 aggregates.s: unknown column"),
    "an unknown unit": ("unit: person", "unit: persom", "PP-DAT-03", ":4 unit: unknown column"),
    "a public value of another type": (
        "{sex: [f, m]}", "{day: [2024-03-01, hello]}", "PP-POL-02", "'hello' is no date"),
    "a public date of no calendar": (
        "{sex: [f, m]}", "{day: ['-0044-03-15']}", "PP-POL-02", "'-0044-03-15' is no date"),
    "a budget in rho": (
        "epsilon: 1,", "rho: 0.1,", "PP-BUD-00", "is in epsilon, and the release costs rho"),
    "no such source": ("source: /", "source: /nowhere/", "PP-DAT-01", ":3 source, /nowhere/"),
}  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Home:
    home = make_home(tmp_path_factory.mktemp("home") / "home", spark)
    ledger.open_budget(home.catalog, "clinic", Budget.of_epsilon(90, delta="1e-5"))
    ledger.open_budget(home.catalog, "other", Budget.of_epsilon(90, delta="1e-5"))
    return home


@pytest.fixture(scope="module")
def spec(home: Home, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A spec that is right, of which one release was made."""
    folder = tmp_path_factory.mktemp("tables")
    people = spark.sql(
        "select concat('p', id % 50) as person, concat('s', id % 50) as ssn, "
        "if(id % 2 = 0, 'f', 'm') as sex, 'x' collate UTF8_LCASE as city, "
        f"cast(id as double) as cost, '12345' as zip, {_MOST} as big, "
        "date_add(date'2024-03-01', cast(id div 50 as int)) as day, "
        "date'2024-03-01' as seen from range(2000)"
    )
    home.protect(parse_policy(policy_text("clinic.people", COLUMNS)), people, folder / "people")
    text = SPEC.format(source=folder / "people")
    (folder / "right.yaml").write_text(text)
    assert home.features(folder / "right.yaml", folder / "right").rows == 2
    return text


# What is not in the file has no line there; nor has the head of several faults.
_OF_THE_FILE = ("no key unit", "how much of a unit is kept", "unknown protection")


def is_refused(home: Home, text: str, folder: Path, code: str, *words: str) -> bool:
    """With that code and the line of the spec, no event in the ledger, and no table."""
    file, target, told = folder / "bad.yaml", folder / "never", home.catalog.budget_events()
    file.write_text(text)
    try:
        home.features(file, target)
    except PrivpipeError as error:
        said = str(error)
        right = error.code == code and all(each in said for each in words)
        line = r"" if any(each in said for each in _OF_THE_FILE) else r":\d+ \w"
        assert re.match(rf"\[{code}\] {re.escape(str(file))}{line}", said), said
        assert right, said
        return home.catalog.budget_events() == told and not target.exists()
    return False


def test_bad_input_costs_nothing_and_releases_nothing(
    home: Home, spec: str, tmp_path: Path
) -> None:
    left = ledger.standing(home.catalog, "clinic").left
    for name, (old, new, code, words) in BAD.items():
        text = spec.replace(old, new, 1)
        if name == "a selection without a delta":
            text = text.replace(", delta: 1e-9", "")
        assert text != spec, name
        assert is_refused(home, text, tmp_path, code, words), name
    assert ledger.standing(home.catalog, "clinic").left == left
    assert not [run for run in home.catalog.runs() if run.target.endswith("never") and
                run.state == "COMMITTED"]  # fmt: skip
    assert not (tmp_path / "never").exists()


PLANTED: dict[str, tuple[str, Callable[..., Any]]] = {
    "a raw identifier": ("check_unit", lambda *_: Fraction(0)),
    "sums beyond 64 bits": ("check_sum", lambda *_: None),
}


@pytest.mark.parametrize("name", PLANTED)
def test_what_is_let_through_is_found(
    home: Home, spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    old, new, code, words = BAD[name]
    monkeypatch.setattr(_run, *PLANTED[name])
    assert not is_refused(home, spec.replace(old, new, 1), tmp_path, code, words)


EXACT = """\
version: 1
features: clinic.exact
source: {source}
unit: person
groups: {{sex: select}}
aggregates: {{n: count}}
privacy: {{k_anonymity: 10}}
"""
DAYS = """\
version: 1
features: clinic.days
source: {source}
entity: person
event_time: at
grain: day
windows: [7d]
aggregates: {{n: count}}
privacy: none
"""
# Of exact figures, and of entities.
OTHERS: dict[str, tuple[str, str, str, str]] = {
    "a sum of text": ("n: count", "s: {sum: sex}", "PP-DAT-03", "not string (column sex)"),
    "different masked values": (
        "n: count",
        "s: {distinct: zip}",
        "PP-POL-02",
        ": zip stands under `mask`",
    ),
    "a sum beyond its type": (
        "n: count",
        "s: {sum: big}",
        "PP-DAT-08",
        "s: a sum is beyond",
    ),
    "an unknown column": ("n: count", "s: {sum: cst}", "PP-DAT-03", "aggregates.s: unknown column"),
    "no such source": ("source: /", "source: /nowhere/", "PP-DAT-01", ":3 source, /nowhere/"),
    "an unknown unit": (": person", ": persom", "PP-DAT-03", ":4 "),
    "no time": ("event_time: at", "event_time: sex", "PP-DAT-03", ":5 event_time: sex is string"),
}


def test_exact_figures_and_entities_are_refused_on_their_lines(
    home: Home, spec: str, tmp_path: Path
) -> None:
    place = spec.split("source: ")[1].split("\n", maxsplit=1)[0]
    tried = set()
    for kind, text in enumerate((EXACT, DAYS.replace("event_time: at", "event_time: day"))):
        right = text.format(source=place)
        for at, (name, (old, new, code, words)) in enumerate(OTHERS.items()):
            folder = tmp_path / f"{kind}_{at}"
            folder.mkdir()
            wrong = right.replace(old.replace(": at", ": day"), new, 1)
            if wrong != right:
                assert is_refused(home, wrong, folder, code, words), name
                tried.add(name)
    assert tried == OTHERS.keys()


REST = dict.fromkeys(("sex", "cost", "visit", "at"), "keep")
UUID = "{protect: pseudonymize, output: uuid}"
INT64 = "{protect: pseudonymize, output: int64}"
BOUND = "{protect: encrypt_deterministic, bind: [visit]}"
KEYED = "{protect: tokenize, alphabet: digits, key_column: true}"
# Of one person's fifty rows: what the column goes through, table by table, and what is said.
SEVERAL: dict[str, tuple[tuple[str, ...], str]] = {
    "bound": ((BOUND,), "person has one token for each value of visit"),
    "of ciphertexts": (("encrypt", UUID), "where person stands under `encrypt`"),
    "of what was kept of ciphertexts": (
        ("encrypt", "keep", UUID), "where person stands under `encrypt`"),
    "of bound ones": ((BOUND, UUID), "where person has one token for each value of visit"),
    "of masked ones": (
        ("{protect: mask, show: {first: 2}}", "{protect: encrypt_deterministic}"),
        "where person stands under `mask`"),
}  # fmt: skip


class Tables:
    """Tables of one person's rows, each of another: what a unit goes through."""

    def __init__(self, home: Home, spark: SparkSession, folder: Path) -> None:
        self.home, self.folder = home, folder
        self.rows = spark.sql(
            "select '4111111111111' as person, 'f' as sex, 1.5D as cost, cast(id as int) as visit, "
            "date'2024-01-01' + cast(id as int) as at from range(50)"
        )

    def put(self, name: str, rule: str, source: str | None = None, mode: Mode = "error") -> str:
        """The table's place; its `person` under that rule."""
        columns = {"person": rule, **REST}
        policy = parse_policy(policy_text(f"clinic.{name}", columns, "unlisted: drop\n"))
        read = self.rows if source is None else source
        self.home.protect(policy, read, self.folder / name, mode)
        return str(self.folder / name)

    def chain(self, name: str, rules: tuple[str, ...]) -> str:
        """Each made from the one before."""
        place: str | None = None
        for at, rule in enumerate(rules):
            place = self.put(f"{name.replace(' ', '_')}{at}", rule, place)
        assert place is not None
        return place

    def refused(self, place: str, words: str, unit: str = "person") -> bool:
        """As noisy figures and as exact ones, with the line of the unit and a hint."""
        told = ("bad.yaml:4 unit: ", words, "hint: ")
        texts = (text.format(source=place) for text in (SPEC, EXACT))
        return all(
            is_refused(
                self.home,
                text.replace("unit: person", f"unit: {unit}"),
                self.folder,
                "PP-POL-02",
                *told,
            )
            for text in texts
        )

    def shown(self, place: str, name: str) -> bool:
        """Whether exact figures of the table are made."""
        (self.folder / "right.yaml").write_text(EXACT.format(source=place))
        return self.home.features(self.folder / "right.yaml", self.folder / name).rows == 0


def test_who_may_have_several_tokens_is_no_unit(
    home: Home, spark: SparkSession, tmp_path: Path
) -> None:
    tables = Tables(home, spark, tmp_path)
    for name, (rules, words) in SEVERAL.items():
        assert tables.refused(tables.chain(name, rules), words), name
    # One pseudonym of one is as good as it is.
    assert tables.shown(tables.chain("twice", (UUID, UUID)), "of_twice")

    # Tokens of two keys, and what is made of them, though they are brought under one again.
    keyed = tables.put("keyed", KEYED)
    assert tables.shown(keyed, "of_one_key")
    fact = next(each for each in home.catalog.columns() if each.protection == "tokenize")
    home.rotate(fact.scope, fact.primitive)
    tables.put("keyed", KEYED, mode="append")
    assert tables.refused(keyed, "person has tokens under 2 keys")
    again = tables.put("again", UUID, keyed)
    assert tables.refused(again, "where person had tokens under 2 keys")
    home.rekey(keyed)
    assert tables.shown(keyed, "of_rekeyed")
    spark.sql(f"RESTORE TABLE delta.`{keyed}` TO VERSION AS OF 1")
    assert tables.refused(keyed, "person has tokens under 2 keys")

    # A table put back to another protection; what is made of its right version stays right.
    back = tables.put("back", "encrypt")
    tables.put("back", UUID, mode="overwrite")
    (tmp_path / "days.yaml").write_text(DAYS.format(source=back))
    days = str(tmp_path / "days")
    assert home.features(tmp_path / "days.yaml", days).rows
    exact = EXACT.format(source=days)
    (tmp_path / "of_days.yaml").write_text(exact.replace("groups: {sex: select}\n", ""))
    assert home.features(tmp_path / "of_days.yaml", tmp_path / "of_days").rows == 0
    spark.sql(f"RESTORE TABLE delta.`{back}` TO VERSION AS OF 0")
    assert tables.refused(back, "gives another")

    # A column in clear whose name reads like the path of a protected field.
    dots = spark.sql(
        "select named_struct('b', concat('t', id)) as a, 'alice' as `a.b`, 'f' as sex, 1D as cost "
        "from range(5)"
    )
    columns = {"a.b": UUID, "'`a.b`'": "keep", "sex": "keep", "cost": "keep"}
    home.protect(parse_policy(policy_text("clinic.dots", columns)), dots, tmp_path / "dots")
    assert tables.refused(str(tmp_path / "dots"), "the unit a.b stands in clear", "a.b")


def test_two_people_of_one_number_stay_one_whatever_is_made_of_it(
    home: Home, spark: SparkSession, tmp_path: Path
) -> None:
    tables = Tables(home, spark, tmp_path)
    direct, after = tables.chain("number", (INT64,)), tables.chain("number_then", (INT64, UUID))
    found = []
    for place in (direct, after, tables.chain("numbers", (INT64, INT64))):
        spec = parse_features(SPEC.format(source=place))
        assert isinstance(spec, Spec)
        source = find_source(home._work, spec, place)
        found.append(check_unit(home._work, source.table, source.spec, 50))
    assert found == [Fraction(2500, 2**65), Fraction(2500, 2**65), Fraction(5000, 2**65)]
    for place in (direct, after):
        pure = SPEC.format(source=place).replace(", delta: 1e-9", "")
        assert is_refused(home, pure, tmp_path, "PP-BUD-00", "two units have one token"), place
