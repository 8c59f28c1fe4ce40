"""`Home`: a project opened for work. The common way; the plain functions serve the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from types import TracebackType
from typing import Literal, Self, TypeAlias

from pyspark.sql import DataFrame, SparkSession

from privpipe.catalog import Catalog, ColumnRecord, checked_day
from privpipe.errors import SourceError, UsageError
from privpipe.features import Attack, FeatureSpec, load_features
from privpipe.keys import opener_of
from privpipe.policy import Plan, Policy, Project, load_policy, plan_table
from privpipe.spark._admission import DATAFRAME, Request, checked_run_id, new_run_id
from privpipe.spark._catalog import delta_catalog
from privpipe.spark._errors import on_its_line
from privpipe.spark._facts import facts_of
from privpipe.spark._imported import IMPORTED_HEAD, imported_ref, openers_at_hand
from privpipe.spark._keyring import CatalogKeyring
from privpipe.spark._names import absolute_target, delta_table
from privpipe.spark._output import Revealed, beside, refuse_taken, reveal_into
from privpipe.spark._past import read_as_of, read_version
from privpipe.spark._places_read import places_told
from privpipe.spark._prepared import Planned
from privpipe.spark._protect import protect_in, refuse_undecided
from privpipe.spark._prove import checked_output, refuse_other_output
from privpipe.spark._quarantine import invalid_rows, sets_aside
from privpipe.spark._rekey import rekey
from privpipe.spark._release import Run, carry_out
from privpipe.spark._repair import Settled, repair
from privpipe.spark._reveal import DAMAGED, OnError, reveal, reveal_each
from privpipe.spark._rotation import Rotated, rotate, told_stale
from privpipe.spark._set_aside import set_aside, with_set_aside
from privpipe.spark._source import read_source, refuse_malformed
from privpipe.spark._storable import refuse_unstorable
from privpipe.spark._target import (
    Target,
    checked_mode,
    inspect_target,
    refuse_catalog,
    refuse_forgotten_name,
    refuse_no_place,
    refuse_read_from,
    refuse_same_place,
)
from privpipe.spark._types import table_schema
from privpipe.spark._vault_columns import refuse_other_vaults, vaulted
from privpipe.spark._vaults import (
    VaultReport,
    expire_vault,
    forget_values,
    list_vaults,
    purge_vault,
)
from privpipe.spark._verify import VerifyReport, verify
from privpipe.spark._workspace import Workspace
from privpipe.spark.features import (
    attack_features,
    feature_request,
    publish_settled,
    write_features,
)

__all__ = ["Home", "Mode"]

Facts: TypeAlias = Sequence[ColumnRecord]

Mode = Literal["error", "overwrite", "append"]


class Home:
    """A project with its session, catalog and keys. Use it as a context manager.

    It stops the Spark session at the end only if it built it.
    """

    def __init__(self, project: Project, spark: SparkSession, *, owns_session: bool) -> None:
        self.project = project
        self.spark = spark
        self.catalog: Catalog = delta_catalog(spark, project.catalog)
        self.keys = CatalogKeyring(self.catalog, project.kek)
        self._owns_session = owns_session
        self._work = Workspace(
            spark=spark, catalog=self.catalog, keys=self.keys, base=project.path.parent
        )

    def __repr__(self) -> str:
        return f"Home({str(self.project.path)!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stops the session if this home built it."""
        if self._owns_session:
            self.spark.stop()

    def plan(
        self, policy: Policy | str | Path, source: str | Path | DataFrame, as_of: str | None = None
    ) -> Plan:
        """What each column of `source` becomes under `policy`. Writes nothing.

        Raises PolicyError, with every fault and its line, where the two do not fit, DomainConflict
        where a domain holds values of another family, AppendMismatch
        where a vault has tokens of another format.
        """
        loaded = policy if isinstance(policy, Policy) else load_policy(policy)
        df = self._read(loaded, source, checked_day(as_of))
        plan = self._planned(loaded, df)
        self.keys.refuse_families(plan.scopes)
        stale = told_stale(self.catalog, self.keys, plan)
        return replace(plan, warnings=(*plan.warnings, *stale))

    def protect(
        self,
        policy: Policy | str | Path,
        source: str | Path | DataFrame,
        target: str | Path,
        mode: Mode = "error",
        *,
        run_id: str | None = None,
        as_of: str | None = None,
        accept_clear_history: bool = False,
    ) -> Run:
        """Protects `source` under `policy` into the Delta table `target`, and records the run.

        The same `run_id` twice changes nothing; with another policy, source or target it raises
        RunConflict. Whatever is refused is refused before anything is written.
        """
        loaded = policy if isinstance(policy, Policy) else load_policy(policy)
        request = self._request(loaded, source, target, mode, run_id, as_of)
        self._refuse_forgotten(self._absolute(target))

        def prepare() -> Planned:
            df = self._read(loaded, source, as_of)
            if not isinstance(source, DataFrame):
                refuse_same_place(self.spark, self._absolute(source), self._absolute(target))
                refuse_read_from(self.spark, df, self._absolute(target))
            plan = self._planned(loaded, df)
            refuse_undecided(plan)
            if not isinstance(source, DataFrame):
                refuse_malformed(self.spark, self._absolute(source), loaded.schema)
            return Planned(
                plan=plan,
                keys=self.keys,
                make=lambda: work(sound(df, plan), plan),
                accept_clear_history=accept_clear_history,
                reads=places_told(self._work, df, request.source),
            )

        def work(df: DataFrame, plan: Plan) -> DataFrame:
            return protect_in(df, plan, self.catalog.location)

        def sound(df: DataFrame, plan: Plan) -> DataFrame:
            leaves = sets_aside(plan)
            if not leaves:
                return df
            bad = invalid_rows(df, leaves)
            apart.append(set_aside(self._work, df.where(bad), plan, request, attempt))
            return df.where(~bad)

        apart: list[Run | None] = []
        attempt = token_hex(8)
        self.keys.forget()
        with on_its_line(loaded):
            run = carry_out(self._work, request, prepare)
        if run.replayed:
            return with_set_aside(self._work, run)
        if apart and apart[-1] is not None:
            return replace(run, quarantined=apart[-1].rows or 0, quarantine=apart[-1].target)
        return run

    def release(
        self,
        protected: DataFrame,
        target: str | Path,
        *,
        plan: Plan,
        mode: Mode = "error",
        run_id: str | None = None,
        accept_clear_history: bool = False,
    ) -> DataFrame:
        """Writes what `protect(df, plan)` gave, records it, and returns a reader of it."""
        request = Request(
            run_id=new_run_id() if run_id is None else checked_run_id(run_id),
            table=plan.table,
            source=DATAFRAME,
            target=self._work.keep(str(target)),
            mode=checked_mode(mode),
            policy_hash=plan.policy_hash,
            policy=plan.policy_json,
        )
        refuse_other_output(protected, plan)
        prepared = Planned(
            plan=plan,
            keys=self.keys,
            make=lambda: checked_output(protected, plan, self.keys),
            accept_clear_history=accept_clear_history,
            reads=places_told(self._work, protected, DATAFRAME),
        )
        carry_out(self._work, request, lambda: prepared)
        return delta_table(self.spark, self._absolute(target)).toDF()

    def features(
        self,
        spec: FeatureSpec | str | Path,
        target: str | Path,
        mode: Mode = "error",
        *,
        source: str | Path | None = None,
        run_id: str | None = None,
    ) -> Run:
        """Writes the figures of a feature spec into the Delta table `target`: of groups noisy, and
        charged to the spec's budget, or exact under `k_anonymity`; of entities as they are.
        `source` stands for the spec's own.

        The same `run_id` twice changes nothing, and costs nothing.
        """
        loaded = load_features(spec) if isinstance(spec, str | Path) else spec
        self._refuse_forgotten(self._absolute(target))
        place = self._work.keep(str(loaded.source if source is None else source))
        request = feature_request(loaded, place, self._work.keep(str(target)), mode, run_id)
        return write_features(self._work, loaded, request, self._planned)

    def attack(
        self,
        spec: FeatureSpec | str | Path,
        *,
        source: str | Path | None = None,
        units: int = 3,
        draws: int = 10_000,
    ) -> tuple[Attack, ...]:
        """Attacks a spec on a sample, by the units that have most rows. Charges nothing."""
        loaded = load_features(spec) if isinstance(spec, str | Path) else spec
        place = self._absolute(loaded.source if source is None else source)
        return attack_features(self._work, loaded, place, units=units, draws=draws)

    def reveal(
        self,
        table: str | Path,
        columns: Sequence[str],
        purpose: str,
        on_error: Literal["fail", "null"] = "fail",
        *,
        opener: str | Path | None = None,
    ) -> DataFrame:
        """The whole table with `columns` opened, lazily; all others as they are.

        `on_error="null"` gives null for a value that does not authenticate; the default raises
        DecryptionError when such a value is read. `opener` is the private key that opens sealed
        columns: a file, which executors read at the same path, or `imported:NAME`.
        """
        df, facts = self._opened(table, purpose)
        keys = self._keys_with(opener)
        vaults, columns, facts = vaulted(self.catalog.location, columns, facts, keys)
        df = vaults.beside(df, strict=on_error == "fail")
        if on_error == "null":
            opened = reveal_each(df, columns, facts, keys).drop(DAMAGED)
            return vaults.instead(opened, strict=False)
        if on_error != "fail":
            raise UsageError(
                f"on_error={on_error!r} needs a target for the damaged rows",
                hint="use `reveal_to`, or on_error='null'",
            )
        return vaults.instead(reveal(df, columns, facts, keys), strict=True)

    def reveal_to(
        self,
        table: str | Path,
        columns: Sequence[str],
        purpose: str,
        target: str | Path,
        on_error: OnError = "fail",
        *,
        opener: str | Path | None = None,
    ) -> Revealed:
        """Writes kept columns and the opened `columns` to a new target.

        `.csv` and `.parquet` by the target's suffix, Delta otherwise. By default every value is
        authenticated before the first one is written. With "null" a damaged value is null; with
        "quarantine" its row goes, encrypted as it is, to the Delta table `<target>_quarantine`.
        """
        place = self._absolute(target)
        self._refuse_forgotten(place)
        refuse_no_place(self.spark, place)
        refuse_catalog(self.spark, self.catalog.location, place)
        refuse_taken(self.spark, place)
        for written in (place, beside(place)):
            refuse_same_place(self.spark, self._absolute(table), written)
        df, facts = self._opened(table, purpose)
        keys = self._keys_with(opener)
        vaults, columns, facts = vaulted(self.catalog.location, columns, facts, keys)
        return reveal_into(df, columns, facts, keys, place, on_error, vaults=vaults)

    def verify(self, table: str | Path, *, opener: str | Path | None = None) -> VerifyReport:
        """Authenticates every protected value of `table`; nothing is released.

        Columns that say nothing of having been altered (tokens, pseudonyms, masks), and sealed ones
        where no `opener` is given, are named in the report and not judged.
        """
        df, facts = self._table(table)
        return verify(df, str(table), facts, self._keys_with(opener))

    def _keys_with(self, opener: str | Path | None) -> CatalogKeyring:
        if opener is None:
            return self.keys
        # Here, on the driver, a wrong key stops the job before it starts.
        named = str(opener)
        if named.startswith(IMPORTED_HEAD):
            return self.keys.with_opener(opener_of(imported_ref(self.keys, named, "PEM")))
        return self.keys.with_opener(opener_of(str(Path(opener).absolute())))

    def rotate(self, scope: str, primitive: str) -> Rotated:
        """Gives a keyset a fresh primary key, and says which columns are to be rekeyed.

        What its earlier keys made still opens. Raises KeysetNotFound where there is none such.
        """
        return rotate(self._work, scope, primitive)

    def rekey(
        self, table: str | Path, columns: Sequence[str] | None = None, *, run_id: str | None = None
    ) -> Run | None:
        """Brings `table` (or these `columns` of it) under its keysets' active keys, in one commit.

        None where nothing is left to do. What has no way back stays as it is, and the run's
        warnings name it.
        """
        self._refuse_forgotten(self._absolute(table))
        self._there(table)
        return rekey(self._work, self._work.keep(str(table)), columns, run_id)

    def vaults(self) -> tuple[VaultReport, ...]:
        """The project's vaults: how many entries, how full, how many past their time."""
        return list_vaults(self._work)

    def forget(
        self, vault: str, values: DataFrame | Sequence[str], *, family: str | None = None
    ) -> int:
        """Deletes the entries of `values` from a vault; how many there were. Tokens of them open
        no more; `purge` removes them from the disk.

        `values` is a DataFrame of one column, or texts, of `family` where the vault has several.
        """
        self.keys.forget()
        return forget_values(self._work, vault, values, family)

    def expire(self, vault: str) -> int:
        """Deletes a vault's entries that are past their time. How many there were."""
        return expire_vault(self._work, vault)

    def purge(self, vault: str, *, hours: int = 168) -> int:
        """Removes the files that a vault has not used for so many hours. How many.

        TryAgain while a run is under way that began before that. A reveal that reads the vault
        meanwhile fails, and is run again.
        """
        return purge_vault(self._work, vault, hours)

    def repair(self) -> tuple[Settled, ...]:
        """Settles the runs that died, from their tables' history, and their releases' charges."""
        settled = repair(self.spark, self.catalog, find=self._work.find)
        publish_settled(self._work)
        return settled

    def _opened(self, table: str | Path, purpose: str) -> tuple[DataFrame, Facts]:
        if not purpose.strip():
            raise UsageError("a reveal needs a purpose", hint="say why: --purpose 'case 4711'")
        return self._table(table)

    def _there(self, table: str | Path) -> Target:
        there = inspect_target(self.spark, self._absolute(table))
        if there.state != "delta":
            raise SourceError(
                "no Delta table is there",
                where=str(table),
                hint="`privpipe catalog tables` lists them",
            )
        return there

    def _table(self, table: str | Path) -> tuple[DataFrame, Facts]:
        place, there = self._absolute(table), self._there(table)
        facts = facts_of(self.catalog, self._work.keep(str(table)))
        self.keys.forget()
        # One version for all that is read of it, whatever is appended meanwhile.
        return read_version(self.spark, place, there.version), facts

    def _refuse_forgotten(self, target: str) -> None:
        # In a session of the caller's own, such a name may well do for as long as it lives.
        if self._owns_session:
            refuse_forgotten_name(self.spark, target)

    def _absolute(self, place: str | Path) -> str:
        return absolute_target(str(place), Path.cwd())

    def _planned(self, policy: Policy, df: DataFrame) -> Plan:
        said = self.spark.conf.get("spark.sql.caseSensitive", "false")
        sensitive = str(said).lower() == "true"
        plan = plan_table(policy, table_schema(df.schema), case_sensitive=sensitive)
        refuse_unstorable(plan, df.schema)
        refuse_other_vaults(self.spark, plan, self.catalog.location)
        warned = plan.warnings
        if any(leaf.protection == "seal" for leaf in plan.leaves):
            warned = (*warned, *openers_at_hand(plan, self.keys.imported()))
        return replace(plan, keys=self.keys, schema_json=df.schema.json(), warnings=warned)

    def _request(
        self,
        policy: Policy,
        source: str | Path | DataFrame,
        target: str | Path,
        mode: str,
        run_id: str | None,
        as_of: str | None,
    ) -> Request:
        return Request(
            run_id=new_run_id() if run_id is None else checked_run_id(run_id),
            table=policy.table,
            source=DATAFRAME if isinstance(source, DataFrame) else self._work.keep(str(source)),
            target=self._work.keep(str(target)),
            mode=checked_mode(mode),
            policy_hash=policy.hash,
            policy=policy.canonical_json,
            as_of=checked_day(as_of),
        )

    def _read(self, policy: Policy, source: str | Path | DataFrame, as_of: str | None) -> DataFrame:
        if isinstance(source, DataFrame):
            return source
        place = self._absolute(source)
        # Files keep no past: there, the day only names the run.
        if as_of is not None and inspect_target(self.spark, place).state == "delta":
            return read_as_of(self.spark, place, as_of)
        return read_source(self.spark, place, policy.schema)
