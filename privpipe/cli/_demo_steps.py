"""The demo's steps, each of which checks what it says against the data in clear."""

from __future__ import annotations

import re
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from privpipe.cli._catalog import column_row, table_rows
from privpipe.cli._cells import cell
from privpipe.cli._demo_data import PeopleTable
from privpipe.cli._errors import coded
from privpipe.cli._output import table
from privpipe.cli._plan import plan_rows, show_plan
from privpipe.cli._story import Story
from privpipe.errors import DecryptionError, PrivpipeError

if TYPE_CHECKING:
    from privpipe.policy import Plan
    from privpipe.spark import Home

__all__ = ["Demo"]

_TABLE_HEADS = ("table", "target", "version", "rows", "columns", "key ids")
_COLUMN_HEADS = ("column", "protection", "key id", "type", "keyset", "context")
_KEY = "rec_id"
_SURNAME = "surname"
_ID = "soc_sec_id"
_BORN = "date_of_birth"
_SEALED = "address_2"
_OPENER = "secrets/archive.private.pem"
_JOIN = (
    "SELECT count(*), count_if(a.date_of_birth = b.date_of_birth) "
    "FROM delta.`{a}` a JOIN delta.`{b}` b ON a.soc_sec_id = b.soc_sec_id"
)
_TAMPERED = "UPDATE delta.`{table}` SET {column} = {flipped} WHERE {key} = '{row}'"
_RESTORE = "RESTORE TABLE delta.`{table}` TO VERSION AS OF 0"
# The last byte of the ciphertext with one bit turned.
_FLIPPED = (
    "unhex(concat(substr(hex({column}), 1, 2 * octet_length({column}) - 1), "
    "conv(conv(substr(hex({column}), -1), 16, 10) ^ 1, 10, 16)))"
)


@dataclass(kw_only=True)
class Demo:
    """The demo at work, in the project's folder."""

    story: Story
    home: Home
    tables: Mapping[str, PeopleTable]
    plans: dict[str, Plan] = field(default_factory=dict)

    def plan(self) -> None:
        """Shows what becomes of each column."""
        story = self.story
        story.chapter("What each column becomes")
        story.tell(
            "The policy says it, one line a column, in a file that people review. The plan says "
            "what an onlooker without the key still learns. It writes nothing."
        )
        story.command("privpipe plan policies/people.yaml --source data/people.csv")
        for name in self.tables:
            self.plans[name] = self.home.plan(_policy(name), _source(name))
        planned = self.plans["people"]
        story.draw(lambda console: show_plan(console, planned, plan_rows(planned)))
        story.claim(
            f"{len(planned.leaves)} of {len(planned.columns)} columns will be protected",
            holds=_SURNAME in self._by("encrypt") and not Path(_target("people")).exists(),
        )

    def _by(self, *protections: str) -> list[str]:
        leaves = self.plans["people"].leaves
        return [str(leaf.path[0]) for leaf in leaves if leaf.protection in protections]

    def protect(self) -> None:
        """Protects both tables."""
        story = self.story
        story.chapter("Both tables, protected")
        for name, people in self.tables.items():
            story.command(
                f"privpipe protect {_policy(name)} --source {_source(name)} "
                f"--target {_target(name)}"
            )
            run = self.home.protect(_policy(name), source=_source(name), target=_target(name))
            story.claim(
                f"{run.rows:,} rows in version {run.table_version}, under key ids "
                + ", ".join(str(key_id) for key_id in run.key_ids),
                holds=run.rows == len(people.rows) and run.state == "COMMITTED",
                **{f"{name}_rows": run.rows},
            )

    def steal(self) -> None:
        """Looks at the files as whoever copied them would."""
        story = self.story
        story.chapter("What a thief sees")
        row = self.tables["people"].rows[0]
        story.tell("Someone copies the whole warehouse: tables, logs, catalog, wrapped keysets.")
        frame = self.home.spark.read.format("delta").load(_absolute("people"))
        stolen = frame.where(f"{_KEY} = '{row[_KEY]}'").collect()[0].asDict()
        shown = [(name, cell(row[name]), cell(stolen.get(name))) for name in row]
        story.draw(lambda console: table(console, ["column", "in clear", "as stored"], shown))
        story.claim(
            "what is encrypted is bytes that say nothing",
            holds=all(
                isinstance(stolen[name], bytes)
                for name in self._by("encrypt")
                if row[name] is not None
            ),
        )
        token, name = stolen[_ID], stolen["given_name"]
        story.claim(
            f"{_ID} is another number of seven digits, and the first letter is left of given_name",
            holds=re.fullmatch(r"\d{7}", token) is not None
            and token != row[_ID]
            and name == _masked(row["given_name"]),
        )
        self._search(row)

    def _search(self, row: Mapping[str, str | None]) -> None:
        files = [path for path in Path("warehouse").rglob("*") if path.is_file()]
        contents = [path.read_bytes() for path in files]
        # Short names occur by chance in any megabyte.
        names = {each for each in self.tables["people"].values(_SURNAME) if len(each) >= 6}
        known = row[_SURNAME] or ""
        self.story.command(f"grep -r {known} warehouse/")
        found = [name for name in sorted(names | {known}) if _in(contents, name)]
        self.story.claim(
            f"neither {known} nor any of {len(names):,} surnames of six letters or more is in the "
            f"{len(files)} files",
            holds=not found,
            surnames_searched=len(names),
            surnames_found=len(found),
        )
        kept = row[_KEY] or ""
        self.story.claim(
            f"while {kept}, which the policy keeps, is found by the same search",
            holds=_in(contents, kept),
        )

    def join(self) -> None:
        """Joins the protected tables, with the key out of reach."""
        story = self.story
        story.chapter("Two protected tables, joined without a key")
        story.tell(
            f"{_ID} is tokenized and {_BORN} pseudonymized, each in one domain: equal "
            "values are equal in both tables, whatever they are. The key is moved away first."
        )
        story.line(_JOIN.format(a="people", b="people_b"))
        with _key_away(Path("secrets/kek.json")):
            query = _JOIN.format(a=_absolute("people"), b=_absolute("people_b"))
            counted, agreed = self.home.spark.sql(query).collect()[0]
        story.claim(
            f"{counted:,} pairs, as many as in clear; {agreed:,} of them were born on one day, and "
            "nobody read a date",
            holds=(counted, agreed) == _pairs(self.tables["people"], self.tables["people_b"])
            and agreed > 0,
            joined=counted,
            agreed=agreed,
        )

    def reveal(self) -> None:
        """Gives the values back, and compares every one with the source."""
        story = self.story
        story.chapter("Back again, for those who hold the key")
        opened = self._by("encrypt", "tokenize")
        shown = [_SURNAME, "suburb", _ID]
        story.command(
            f"privpipe reveal warehouse/people --columns {','.join(shown)} "
            "--purpose 'a look at the demo' --limit 3"
        )
        rows = self._revealed(shown, limit=3)
        drawn = [[cell(row[name]) for name in (_KEY, *shown)] for row in rows]
        story.draw(lambda console: table(console, [_KEY, *shown], drawn))
        source = self.tables["people"].by(_KEY)
        back = {row[_KEY]: row for row in self._revealed(opened)}
        same = sum(
            all(row[name] == source[key][name] for name in opened) for key, row in back.items()
        )
        story.claim(
            f"all {same:,} rows, with all {len(opened)} columns opened, equal the source",
            holds=same == len(source) == len(back),
            revealed_equal=same,
        )

    def unseal(self) -> None:
        """Opens the sealed column, which takes another key."""
        story = self.story
        story.chapter("A column that its writer cannot read")
        story.tell(
            f"{_SEALED} is sealed under the archive's public key. The key that opened all else "
            "does not open it; the archive's private key does."
        )
        story.command(f"privpipe reveal warehouse/people --columns {_SEALED} --purpose 'a check'")
        refusal = self._refusal(_SEALED)
        for line in str(refusal).splitlines():
            story.line(line)
        story.command(
            f"privpipe reveal warehouse/people --columns {_SEALED} --purpose 'for the archive' "
            f"--opener {_OPENER} --limit 3"
        )
        rows = self._revealed([_SEALED], opener=_OPENER)
        drawn = [[cell(row[name]) for name in (_KEY, _SEALED)] for row in rows[:3]]
        story.draw(lambda console: table(console, [_KEY, _SEALED], drawn))
        source = self.tables["people"].by(_KEY)
        story.claim(
            "all of it opens, for the archive alone",
            holds=refusal is not None
            and all(row[_SEALED] == source[row[_KEY]][_SEALED] for row in rows),
            sealed=None if refusal is None else refusal.code,
        )

    def _revealed(
        self, columns: list[str], limit: int | None = None, opener: str | None = None
    ) -> list[Any]:
        frame = self.home.reveal(
            _target("people"), columns=columns, purpose="a look at the demo", opener=opener
        )
        return [row.asDict() for row in (frame if limit is None else frame.limit(limit)).collect()]

    def tamper(self) -> None:
        """Changes one bit of one value in the table, and reads it."""
        story = self.story
        story.chapter("A forged value")
        row = next(row for row in self.tables["people"].rows if row[_SURNAME])
        story.tell(
            "Someone who may write to the storage, but has no key, turns one bit of one surname "
            f"(that of {row[_KEY]}). Then the table is read."
        )
        self.home.spark.sql(
            _TAMPERED.format(
                table=_absolute("people"),
                column=_SURNAME,
                key=_KEY,
                row=row[_KEY],
                flipped=_FLIPPED.format(column=_SURNAME),
            )
        ).collect()
        story.command(f"privpipe reveal warehouse/people --columns {_SURNAME} --purpose 'a check'")
        refusal = self._refusal(_SURNAME)
        for line in str(refusal).splitlines():
            story.line(line)
        story.claim(
            "refused with exit code 3, nothing released",
            holds=isinstance(refusal, DecryptionError) and refusal.exit_code == 3,
            refused=None if refusal is None else refusal.code,
        )
        story.command("privpipe verify warehouse/people")
        report = self.home.verify(_target("people"))
        file = Path(report.files[0].file).name if report.files else "none"
        story.claim(
            f"{report.damaged} of {report.values:,} encrypted values is damaged, in {file}",
            holds=report.damaged == 1 and len(report.files) == 1,
        )
        self._restore()

    def _refusal(self, column: str) -> PrivpipeError | None:
        try:
            self._revealed([column])
        except Exception as error:  # noqa: BLE001 (it is looked at, whatever it is)
            return coded(error)
        return None

    def _restore(self) -> None:
        self.story.line(_RESTORE.format(table=_target("people")))
        self.home.spark.sql(_RESTORE.format(table=_absolute("people"))).collect()
        self.story.claim(
            "and with the table's own history it is whole again",
            holds=self.home.verify(_target("people")).ok,
        )

    def look_up(self) -> None:
        """What the catalog knows."""
        story = self.story
        story.chapter("What was done, on record")
        story.command("privpipe catalog tables")
        rows = table_rows(self.home.catalog)
        drawn = [_table_row(row) for row in rows]
        story.draw(lambda console: table(console, _TABLE_HEADS, drawn))
        story.command("privpipe catalog columns warehouse/people")
        facts = self.home.catalog.columns()
        mine = [column_row(fact)[1:] for fact in facts if fact.target.endswith("/people")]
        story.draw(lambda console: table(console, _COLUMN_HEADS, mine))
        planned = sum(len(plan.leaves) for plan in self.plans.values())
        story.claim(
            f"{len(rows)} tables, {len(facts)} protected columns",
            holds=len(rows) == len(self.tables) and len(facts) == planned,
            tables=len(rows),
            columns=len(facts),
        )


def _policy(name: str) -> str:
    return f"policies/{name}.yaml"


def _source(name: str) -> str:
    return f"data/{name}.csv"


def _target(name: str) -> str:
    return f"warehouse/{name}"


def _absolute(name: str) -> str:
    # Spark's SQL takes a Delta table by its whole path.
    return str(Path(_target(name)).absolute())


def _in(contents: list[bytes], text: str) -> bool:
    return any(text.encode() in content for content in contents)


def _masked(name: str | None) -> str | None:
    return None if name is None else name[:1] + "*" * (len(name) - 1)


def _pairs(left: PeopleTable, right: PeopleTable) -> tuple[int, int]:
    """The size of the join, in clear, and the pairs of one birth date."""
    theirs = defaultdict(list)
    for row in right.rows:
        theirs[row[_ID]].append(row[_BORN])
    pairs = [(row[_BORN], born) for row in left.rows for born in theirs[row[_ID]]]
    return len(pairs), sum(mine is not None and mine == born for mine, born in pairs)


def _table_row(row: Mapping[str, Any]) -> tuple[object, ...]:
    return (
        row["table"],
        row["target"],
        row["table_version"],
        row["rows"],
        len(row["protected"]),
        " ".join(str(key_id) for key_id in row["key_ids"]),
    )


@contextmanager
def _key_away(kek: Path) -> Iterator[None]:
    away = kek.with_suffix(".away")
    shutil.move(kek, away)
    try:
        yield
    finally:
        shutil.move(away, kek)
