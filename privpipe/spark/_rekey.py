"""`rekey`: a protected table under its keysets' active keys, in one commit.

A value is opened under its old key and protected under the new one within one batch of one
worker: no plaintext reaches Spark. What hangs on a value that gets other bytes, by `bind`, is
made anew with it. What has no way back, or needs a private key, stays as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import LongType, StructField

from privpipe.catalog import ColumnRecord, RunRecord, current_run
from privpipe.errors import NotProtected, TargetError, TryAgain
from privpipe.keys import KeyRef
from privpipe.policy import PROTECTIONS, parse_path
from privpipe.spark._admission import Request, checked_run_id, new_run_id
from privpipe.spark._facts import facts_of, held_keys
from privpipe.spark._intervals import carried_type
from privpipe.spark._keyring import Scope
from privpipe.spark._labels import key_ids_said, refuse_other_labels, settings_digest
from privpipe.spark._last_look import LastLook
from privpipe.spark._leaves import actual_path, described, quoted, spelt
from privpipe.spark._names import delta_table
from privpipe.spark._recorded import key_column, reads_beside, ref_of, settings_of, stands_beside
from privpipe.spark._release import Run, carry_out, settled
from privpipe.spark._target import Target
from privpipe.spark._task import LeafTask
from privpipe.spark._types import arrow_type, spark_type
from privpipe.spark._udf import rekey_udf
from privpipe.spark._workspace import Workspace
from privpipe.spark._write import clustered

__all__ = ["Rekeyed", "rekey"]

_MADE_ANEW = frozenset({"encrypt", "encrypt_deterministic", "tokenize"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rekeyed:
    """A table to be written under new keys: `moved` are the facts of the columns that change."""

    spark: SparkSession
    place: str
    maker: RunRecord
    facts: tuple[ColumnRecord, ...]
    moved: Mapping[str, KeyRef]
    kept: Sequence[str]
    left: tuple[str, ...]
    """Columns that need other means, with what these are"""

    @property
    def scopes(self) -> Sequence[Scope]:
        """None: `rekeyed` has found every keyset there."""
        return ()

    @property
    def reads(self) -> Mapping[str, int | None]:
        """Nothing but the table itself."""
        return {}

    def compare(
        self, target: Target, maker: RunRecord | None, facts: Sequence[ColumnRecord]
    ) -> None:
        """Raises TryAgain where another run has written the table since it was looked at."""
        del facts
        if target.state != "delta" or maker is None or maker.run_uid != self.maker.run_uid:
            raise TryAgain(
                "another job has written this table meanwhile",
                where=target.name,
                hint="rekey it again",
            )

    def advice(self, spark: SparkSession, target: Target) -> Sequence[str]:
        """What is left under its old key, and what Delta lets stay by a commit of its own alone."""
        del spark
        if not target.clustering:
            return self.left
        told = clustered(target)
        return (
            *self.left,
            f"Delta drops {told} with the rewriting, and a second commit sets it again; should "
            f"the job die between the two: ALTER TABLE ... {told}",
        )

    def records(self, run: RunRecord) -> Sequence[ColumnRecord]:
        """The facts as they were, but for the keys."""
        now = datetime.now(UTC)
        return tuple(
            replace(
                fact,
                run_uid=run.run_uid,
                run_id=run.run_id,
                key_id=self.moved[fact.path].key_id if fact.path in self.moved else fact.key_id,
                recorded_at=now,
            )
            for fact in self.facts
        )

    def draw(self, look: LastLook) -> None:
        """Nothing, so there is nothing to look for."""
        del look

    def rows(self) -> DataFrame:
        """The table as it is now: within the commit, Delta reads it as the commit finds it."""
        df = delta_table(self.spark, self.place).toDF()
        refuse_other_labels(df.schema, self.facts, one_key=True)
        return df.select(*(self._column(df, field) for field in df.schema.fields))

    def _column(self, df: DataFrame, field: StructField) -> Column:
        facts = self._facts_of(field.name)
        if not facts:
            return self._key_ids(field)
        return self._moved(df, field, facts).alias(
            field.name, metadata=self._labels(field.metadata, facts)
        )

    def _key_ids(self, field: StructField) -> Column:
        """A column that stays, or the key ids of tokens that are made anew."""
        stored = F.col(quoted(field.name))
        for fact in self.facts:
            ids = key_column(fact)
            if ids is not None and fact.path in self.moved and ids.lower() == field.name.lower():
                token = F.col(quoted(str(parse_path(fact.path)[0])))
                now = F.when(token.isNotNull(), F.lit(self.moved[fact.path].key_id))
                return now.cast(LongType()).alias(field.name, metadata=field.metadata)
        return stored

    def _facts_of(self, name: str) -> list[ColumnRecord]:
        """The facts that change in a column."""
        return [
            fact
            for fact in self.facts
            if fact.path in self.moved and str(parse_path(fact.path)[0]).lower() == name.lower()
        ]

    def _moved(self, df: DataFrame, field: StructField, facts: Sequence[ColumnRecord]) -> Column:
        names = list(dict.fromkeys(name for fact in facts for name in reads_beside(fact)))
        pairs = tuple(self._pair(field, fact, names) for fact in facts)
        stored = [F.col(quoted(spelt(df.columns, name))) for name in names]
        moved: Column = rekey_udf(pairs, described(field.dataType))(
            F.col(quoted(field.name)), *stored, *(self._beside(df, name) for name in names)
        )
        return moved

    def _beside(self, df: DataFrame, name: str) -> Column:
        """A column beside, as the table will have it. It hangs on no other one itself."""
        field = df.schema[spelt(df.columns, name)]
        facts = self._facts_of(field.name)
        return self._moved(df, field, facts) if facts else F.col(quoted(field.name))

    def _pair(
        self, field: StructField, fact: ColumnRecord, names: Sequence[str]
    ) -> tuple[LeafTask, LeafTask]:
        ref = self.moved[fact.path]
        ids = key_column(fact)
        old = LeafTask(
            column=fact.path,
            path=actual_path(field.dataType, parse_path(fact.path)[1:]),
            key=ref,
            key_id=fact.key_id,
            context=fact.context.encode(),
            plain=arrow_type(carried_type(spark_type(fact.type_json))),
            protection=fact.protection,
            settings=settings_of(fact),
            beside=tuple(names.index(name) for name in stands_beside(fact)),
            names=stands_beside(fact),
            ids=None if ids is None else names.index(ids),
            deterministic=PROTECTIONS[fact.protection].deterministic,
        )
        return old, replace(old, key_id=None, ids=None)

    def _labels(
        self, metadata: Mapping[str, object], facts: Sequence[ColumnRecord]
    ) -> dict[str, object]:
        labels = dict(metadata)
        if "privpipe.leaves" in labels:
            leaves = json.loads(str(labels["privpipe.leaves"]))
            for fact in facts:
                leaves.setdefault(fact.path, {}).update(self._label(fact))
            labels["privpipe.leaves"] = json.dumps(leaves)
        else:
            labels |= self._label(facts[0])
        return labels

    def _label(self, fact: ColumnRecord) -> dict[str, str]:
        """What changes. A table of before there were digests of settings gets its own now."""
        return {
            "privpipe.key_id": str(self.moved[fact.path].key_id),
            "privpipe.settings": settings_digest(fact.settings),
        }


def rekey(
    work: Workspace, target: str, columns: Sequence[str] | None, run_id: str | None
) -> Run | None:
    """Brings the table that the catalog calls `target` under its active keys, in one run.

    Of these `columns` alone, where they are given. None where all is under them already. Raises
    NotProtected where a named column is not one that can be made anew from the table.
    """
    work.keys.forget()
    # Its own run that died is settled first: it stands in the way of the facts.
    earlier = None if run_id is None else settled(work, checked_run_id(run_id))
    if earlier is not None and earlier.state == "COMMITTED":
        request = _request(target, earlier.run_id, earlier)
        return carry_out(work, request, lambda: _rekeyed(work, target, columns))
    todo = _rekeyed(work, target, columns)
    if earlier is None and not todo.moved:
        return None
    request = _request(target, new_run_id() if run_id is None else run_id, todo.maker)
    return carry_out(work, request, lambda: todo)


def _request(target: str, run_id: str, under: RunRecord) -> Request:
    """To rekey `target`, under the policy of the run `under`."""
    return Request(
        run_id=run_id,
        table=under.table,
        source=target,
        target=target,
        mode="rekey",
        policy_hash=under.policy_hash,
        policy=under.policy,
    )


def _rekeyed(work: Workspace, target: str, columns: Sequence[str] | None) -> Rekeyed:
    """What it takes."""
    catalog, keys, place = work.catalog, work.keys, work.find(target)
    facts = facts_of(catalog, target)
    runs = catalog.runs()
    maker = current_run(runs, target)
    if maker is None:
        raise TargetError("the catalog knows no run that wrote this table", where=target)
    schema = delta_table(work.spark, place).toDF().schema
    refuse_other_labels(schema, facts, one_key=True)
    wanted = None if columns is None else _wanted(columns, facts)
    refs = {fact.path: ref_of(keys, fact) for fact in facts if fact.scope}
    held = held_keys(runs, catalog.columns(target), target)
    for path, key_id in key_ids_said(schema, facts):
        # Of what was restored, the log knows an earlier key than the catalog's last run.
        held[path].add(key_id)
    others = {path: held[path] - {refs[path].key_id} for path in refs}
    stale = {path for path in refs if others[path]}
    chosen = [
        fact for fact in facts if fact.path in stale and (wanted is None or fact.path in wanted)
    ]
    moved = {fact.path: refs[fact.path] for fact in chosen if fact.protection in _MADE_ANEW}
    # Whatever is bound to a value that gets other bytes is made anew with it.
    heads = {str(parse_path(path)[0]).lower() for path in moved}
    hang = [
        fact
        for fact in facts
        if fact.path in refs and heads & {name.lower() for name in stands_beside(fact)}
    ]
    moved |= {fact.path: refs[fact.path] for fact in hang if fact.protection in _MADE_ANEW}
    protected = {str(parse_path(fact.path)[0]).lower() for fact in facts}
    protected |= {name.lower() for fact in facts if (name := key_column(fact)) is not None}
    return Rekeyed(
        spark=work.spark,
        place=place,
        maker=maker,
        # What is not made anew now is remembered by a key that is still in it.
        facts=tuple(
            replace(fact, key_id=min(others[fact.path]))
            if fact.path in stale - moved.keys()
            else fact
            for fact in facts
        ),
        moved=moved,
        kept=[name for name in schema.names if name.lower() not in protected],
        left=tuple(
            f"{fact.path}: {fact.protection} stays under key {fact.key_id}; "
            "protect the source again to bring it under the active one"
            for fact in chosen
            if fact.path not in moved
        ),
    )


def _wanted(columns: Iterable[str], facts: Sequence[ColumnRecord]) -> set[str]:
    """The paths that the user's names mean: leaves, or all below a column."""
    found: set[str] = set()
    for text in columns:
        lowered = _lower(text)
        hits = [fact for fact in facts if _lower(fact.path)[: len(lowered)] == lowered]
        able = [fact for fact in hits if fact.protection in _MADE_ANEW]
        if hits and not able:
            raise NotProtected(
                f"{hits[0].protection} cannot be made anew from the table",
                where=f"column {text}",
                hint="protect the source again, with --mode overwrite",
            )
        if not hits:
            names = ", ".join(fact.path for fact in facts if fact.protection in _MADE_ANEW)
            raise NotProtected(
                "not a protected column of this table",
                where=f"column {text}",
                hint=f"those that can be rekeyed are: {names or 'none'}",
            )
        found |= {fact.path for fact in able}
    return found


def _lower(path: str) -> tuple[object, ...]:
    return tuple(step.lower() if isinstance(step, str) else step for step in parse_path(path))
