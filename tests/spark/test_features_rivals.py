"""Two releases at once into one target: who would lose is refused before it draws, uncharged."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from threading import Barrier
from typing import Any, Literal, TypeAlias

import pytest
from pyspark.sql import SparkSession

from privpipe.catalog import RunRecord, ledger
from privpipe.dp import Budget
from privpipe.errors import AppendMismatch, PrivpipeError, TargetError, TryAgain
from privpipe.features import FeatureSpec, parse_features
from privpipe.spark import Home, Run
from privpipe.spark._admission import Request, pending
from privpipe.spark._last_look import refuse_overtaken
from privpipe.spark.features import _run
from tests.spark._project import make_home

pytest.importorskip("opendp", reason="the extra `dp` is not installed")

SPEC = """\
version: 1
features: x.rows
source: {source}
unit: row
aggregates: {{all: count}}
privacy: {{budget: rows, epsilon: {epsilon}}}
"""
Mode: TypeAlias = Literal["error", "overwrite", "append"]
MODES: tuple[Mode, ...] = ("error", "overwrite", "append")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Home:
    home = make_home(tmp_path_factory.mktemp("home") / "home", spark)
    ledger.open_budget(home.catalog, "rows", Budget.of_epsilon(1000))
    return home


@pytest.fixture(scope="module")
def make_spec(
    tmp_path_factory: pytest.TempPathFactory, spark: SparkSession
) -> Callable[[int], FeatureSpec]:
    place = str(tmp_path_factory.mktemp("rows") / "rows.parquet")
    spark.range(100).write.parquet(place)
    return lambda epsilon: parse_features(SPEC.format(source=place, epsilon=epsilon))


def states(home: Home, run_id: str) -> list[str]:
    return [release.state for release in ledger.attempts(home.catalog, run_id)]


def spent(home: Home) -> Budget:
    return ledger.standing(home.catalog, "rows").spent


def at_once(
    home: Home,
    specs: dict[str, FeatureSpec],
    target: Path,
    mode: Mode,
    patch: pytest.MonkeyPatch,
    *,
    looks: bool = True,
) -> dict[str, Run | PrivpipeError]:
    """What became of the runs of these ids, which wait for one another right before they draw."""
    barrier, start = Barrier(len(specs)), ledger.start_draw

    def together(catalog: Any, uid: str, *, look: Any) -> ledger.Release:
        barrier.wait(120)
        return start(catalog, uid, look=look if looks else None)

    def one(run_id: str) -> Run | PrivpipeError:
        try:
            return home.features(specs[run_id], target, mode, run_id=run_id)
        except PrivpipeError as error:
            return error

    with patch.context() as inner, ThreadPoolExecutor(len(specs)) as pool:
        inner.setattr(ledger, "start_draw", together)
        return dict(zip(specs, pool.map(one, specs), strict=True))


def test_of_two_that_make_one_target_the_second_draws_nothing(
    home: Home,
    make_spec: Callable[[int], FeatureSpec],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = spent(home)
    specs = {name: make_spec(1) for name in ("anna", "bert")}
    told = at_once(home, specs, tmp_path / "new", "error", monkeypatch)
    [done] = [run_id for run_id, each in told.items() if isinstance(each, Run)]
    [(refused, error)] = [each for each in told.items() if each[0] != done]
    assert isinstance(error, TryAgain)
    assert (error.exit_code, "nothing was drawn" in error.message) == (75, True)
    assert (states(home, done), states(home, refused)) == (["published"], ["cancelled"])
    assert spent(home).amount == before.amount + 1
    record = home.catalog.run(refused)
    assert (record and record.state, record and record.error_code) == ("FAILED", error.code)
    # As a scheduler does that was told so: refused for good, and still not charged.
    with pytest.raises(TargetError):
        home.features(specs[refused], tmp_path / "new", run_id=refused)
    assert states(home, refused) == ["cancelled"]
    assert spent(home).amount == before.amount + 1

    # Had it not looked, its charge would be spent for nothing.
    specs = {name: make_spec(1) for name in ("carl", "dora")}
    told = at_once(home, specs, tmp_path / "blind", "error", monkeypatch, looks=False)
    assert sorted(isinstance(each, Run) for each in told.values()) == [False, True]
    assert sorted(states(home, name)[-1] for name in specs) == ["drawn", "published"]


def test_what_can_go_on_together_does(
    home: Home,
    make_spec: Callable[[int], FeatureSpec],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = tmp_path / "shared"
    home.features(make_spec(1), place, run_id="first")
    modes: tuple[Mode, ...] = ("append", "overwrite")
    for mode in modes:
        specs = {f"{mode}-{name}": make_spec(1) for name in ("anna", "bert")}
        told = at_once(home, specs, place, mode, monkeypatch)
        assert all(isinstance(each, Run) for each in told.values()), told
        assert [states(home, run_id) for run_id in specs] == [["published"]] * 2
    assert home.spark.read.format("delta").load(str(place)).count() == 1


def test_a_target_that_was_made_during_the_pass_is_seen_before_the_draw(
    home: Home,
    make_spec: Callable[[int], FeatureSpec],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    group_sums = vars(_run)["group_sums"]

    def while_another_writes(write: Callable[[], object]) -> Callable[..., Any]:
        def sums(*args: Any, **more: Any) -> Any:
            found = group_sums(*args, **more)
            monkeypatch.setattr(_run, "group_sums", group_sums)
            write()
            return found

        return sums

    def refused(kind: type[PrivpipeError], run_id: str, place: Path, mode: Mode) -> None:
        before = spent(home)
        rival = parse_features(make_spec(2).canonical_text.replace("x.rows", "x.others"))
        writes = while_another_writes(lambda: home.features(rival, place))
        monkeypatch.setattr(_run, "group_sums", writes)
        with pytest.raises(kind) as caught:
            home.features(make_spec(1), place, mode, run_id=run_id)
        assert caught.value.hint
        assert states(home, run_id) == ["cancelled"]
        assert spent(home).amount == before.amount + 2, "the other's alone"

    refused(TryAgain, "late", tmp_path / "late", "error")
    refused(AppendMismatch, "other", tmp_path / "new", "append")

    # A table that nobody's run made.
    place = tmp_path / "foreign"
    write = while_another_writes(lambda: home.spark.range(3).write.format("delta").save(str(place)))
    monkeypatch.setattr(_run, "group_sums", write)
    with pytest.raises(TryAgain):
        home.features(make_spec(1), place, run_id="foreign")
    assert states(home, "foreign") == ["cancelled"]


def run_of(name: str, mode: str, begun: int) -> RunRecord:
    asked = Request(
        run_id=name, table="t", source="s", target="./t", mode=mode, policy_hash="h", policy="p"
    )
    began = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=begun)
    return replace(pending(asked, None), started_at=began, owner="another:1:1")


def goes_on(run: RunRecord, other: RunRecord, release: Any, *, there: bool) -> bool:
    try:
        refuse_overtaken(run, [other, run], release, there=there)
    except TryAgain:
        return False
    return True


def test_of_two_exactly_one_goes_on_whoever_looks_first() -> None:
    """By the ledger where both have reserved, else by which run began first."""
    for one_mode, other_mode, there in product(MODES, MODES, (True, False)):
        one, other = run_of("one", one_mode, 1), run_of("other", other_mode, 2)
        both = one_mode == other_mode and (
            one_mode == "overwrite" or (one_mode == "append" and there)
        )
        reserved = [released("one", "reserved"), released("other", "reserved")]
        assert goes_on(one, other, reserved, there=there)
        assert goes_on(other, one, reserved, there=there)
        drawn = [released("one", "reserved"), released("other", "drawn")]
        assert goes_on(one, other, drawn, there=there) == both
        gone = replace(other, lease_until=datetime.now(UTC) - timedelta(seconds=1))
        assert goes_on(one, gone, drawn, there=there), "it died"
        assert goes_on(one, replace(other, state="FAILED"), drawn, there=there)
        assert goes_on(one, replace(other, target="./u"), drawn, there=there)
        # A draw of an earlier attempt is past.
        again = [*drawn, released("other", "reserved")]
        assert goes_on(one, other, again, there=there)
        # The other has reserved nothing, and may never.
        alone = [released("one", "reserved")]
        assert goes_on(one, other, alone, there=there), "it began later"
        late = replace(one, started_at=other.started_at + timedelta(seconds=1))
        assert goes_on(late, other, alone, there=there) == both


def released(run_id: str, state: str) -> Any:
    return ledger.Release(
        uid=run_id, budget="b", run_id=run_id, charge=Budget.of_epsilon(1), state=state,  # type: ignore[arg-type]
        unit=None, sources={}, lineage=(), spec_hash="h", mechanisms="[]", target="./t",
        reserved_at=datetime(2026, 1, 1, tzinfo=UTC), owner="another:1:1",
    )  # fmt: skip
