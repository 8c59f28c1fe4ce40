"""The commands by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated

import typer

from privpipe.cli import _budget, _catalog, _keys, _vault
from privpipe.cli._advise import advise
from privpipe.cli._check import check
from privpipe.cli._command import command
from privpipe.cli._demo import demo
from privpipe.cli._doctor import doctor
from privpipe.cli._features import audit_release, plan_features, run_features, show_features
from privpipe.cli._import import import_key
from privpipe.cli._init import init
from privpipe.cli._inspect import inspect
from privpipe.cli._open_k2 import open_k2
from privpipe.cli._output import Output
from privpipe.cli._pair import pair
from privpipe.cli._plan import plan
from privpipe.cli._protect import protect
from privpipe.cli._rekey import rekey, rotate
from privpipe.cli._reveal import reveal
from privpipe.cli._risk import risk
from privpipe.cli._verify import verify

__all__ = ["app"]

Function = Callable[..., int | None]


def _print_version(wanted: bool) -> None:
    if wanted:
        from privpipe import __version__

        typer.echo(__version__)
        raise typer.Exit


def root(
    out: Output,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and end."
        ),
    ] = False,
) -> None:
    """Protect the sensitive columns of tables on Spark and Delta Lake, and get them back.

    Exit codes: 0 done, 1 failed, 2 usage, 3 refused (policy, data or access), 75 try again later.
    """


def _app(text: str, options: Function, commands: Mapping[str, Function]) -> typer.Typer:
    # Plain help: rich's takes twice as long to start, and draws boxes into pipes.
    made = typer.Typer(help=text, add_completion=False, rich_markup_mode=None)
    made.callback(help=text)(command(options))
    for name, function in commands.items():
        made.command(name)(command(function))
    return made


def _options(out: Output) -> None:
    pass


app = _app(
    root.__doc__ or "",
    root,
    {
        "init": init,
        "advise": advise,
        "check": check,
        "plan": plan,
        "protect": protect,
        "reveal": reveal,
        "verify": verify,
        "rekey": rekey,
        "inspect": inspect,
        "audit-release": audit_release,
        "risk": risk,
        "open-k2": open_k2,
        "doctor": doctor,
        "demo": demo,
    },
)
_catalog_app = _app(
    "What was done to which column, by which key, in which run.",
    _options,
    {
        "tables": _catalog.tables,
        "columns": _catalog.columns,
        "keys": _catalog.keys,
        "runs": _catalog.runs,
        "repair": _catalog.repair,
    },
)
_keys_app = _app(
    "The wrapped keysets: make, list, rotate, back up, restore; key pairs, keys of other programs.",
    _options,
    {
        "create": _keys.create,
        "pair": pair,
        "import": import_key,
        "list": _keys.list_keysets,
        "rotate": rotate,
        "backup": _keys.backup,
        "restore": _keys.restore,
    },
)
_vault_app = _app(
    "The tokens' vaults: what there is, forgetting subjects, expiry, old files.",
    _options,
    {
        "list": _vault.list_vaults,
        "forget": _vault.forget,
        "expire": _vault.expire,
        "purge": _vault.purge,
    },
)
_budget_app = _app(
    "Privacy budgets: open one, what is left, what each release cost.",
    _options,
    {
        "open": _budget.open_budget,
        "show": _budget.show,
        "cancel": _budget.cancel,
    },
)
_features_app = _app(
    "Features, private ones of groups or those of entities: plan, run, what was released.",
    _options,
    {
        "plan": plan_features,
        "run": run_features,
        "show": show_features,
    },
)
app.add_typer(_features_app, name="features")
app.add_typer(_catalog_app, name="catalog")
app.add_typer(_keys_app, name="keys")
app.add_typer(_vault_app, name="vault")
app.add_typer(_budget_app, name="budget")
