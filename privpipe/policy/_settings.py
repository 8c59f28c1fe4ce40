"""What a protection may be told beside its name: one frozen model a protection.

The fields are the keys that a policy writes. What needs a second look (a width of nothing, a
domain that is too small) is in `_sense.py`, which has the words for it.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from functools import cache
from typing import Annotated, Any, Literal, TypeAlias, cast

from pydantic import ConfigDict, Field, Strict, StringConstraints, TypeAdapter
from pydantic.dataclasses import dataclass

__all__ = [
    "Bucket",
    "Encrypt",
    "EncryptDeterministic",
    "Ends",
    "Fernet",
    "Generalize",
    "Mask",
    "Network",
    "Pseudonymize",
    "Replace",
    "Seal",
    "Settings",
    "Shift",
    "Span",
    "Tokenize",
    "Vault",
    "adapter_of",
    "settings_from",
    "settings_json",
]

# Not strict as a whole: a mapping is how a policy writes a model in a model. Numbers and truth
# values are strict each.
_CONFIG = ConfigDict(extra="forbid")
Whole: TypeAlias = Annotated[int, Strict()]
Truth: TypeAlias = Annotated[bool, Strict()]

IMPORTED_KEY = r"^imported:[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$"
Name: TypeAlias = Annotated[str, StringConstraints(pattern=r"^\S(.*\S)?$", max_length=255)]
# It is a folder's name too, so it has no slash and does not begin with a dot.
VAULT_NAME = r"^[^\W_][\w.-]{0,99}$"
VaultName: TypeAlias = Annotated[str, StringConstraints(pattern=VAULT_NAME)]
Count: TypeAlias = Annotated[Whole, Field(ge=0, le=4096)]
Number: TypeAlias = Whole | Annotated[float, Strict()]


@dataclass(frozen=True, slots=True, kw_only=True, config=_CONFIG)
class Ends:
    """So many characters at the beginning, and so many at the end."""

    first: Count = 0
    last: Count = 0


@dataclass(frozen=True, slots=True, kw_only=True, config=_CONFIG)
class Span:
    """The fewest and the most characters."""

    min: Count
    max: Count


@dataclass(frozen=True, slots=True, kw_only=True, config=_CONFIG)
class Encrypt:
    """`prefix: raw` leaves Tink's prefix out, as Spark's `aes_decrypt` reads it; `bind` names the
    columns whose values go into a value's context."""

    prefix: Literal["tink", "raw"] = "tink"
    bind: tuple[Name, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, config=_CONFIG)
class EncryptDeterministic:
    """`bind` names the columns whose values go into a value's context."""

    bind: tuple[Name, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, config=_CONFIG)
class Tokenize:
    """`alphabet` is a name or the characters themselves; `keep` are characters that stay in their
    places; `preserve` are characters of the alphabet that stay; `luhn` recomputes a check digit;
    `length` is what the values have; `tweak` is a column whose value goes into the tweak;
    `key_column` puts a column of key ids beside that of the tokens, so that it may hold tokens of
    several keys."""

    alphabet: Annotated[str, StringConstraints(min_length=2)]
    keep: str = ""
    preserve: Ends = Field(default_factory=Ends)
    luhn: Truth = False
    length: Count | Span | None = None
    tweak: Name | None = None
    key_column: Truth = False
    on_invalid: Literal["refuse", "quarantine"] = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True, config=_CONFIG)
class Vault:
    """`vault` names the vault, `format` is how its tokens look: `uuid`, or an alphabet with a
    length, `digits:16`; `expires` is the number of days that a token is kept."""

    vault: VaultName
    format: Annotated[str, StringConstraints(min_length=3)] = "uuid"
    expires: Annotated[Whole, Field(ge=1, le=36500)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=_CONFIG)
class Pseudonymize:
    """`distinct` is how many values there may be: `int64` is refused where they would meet."""

    algorithm: Literal["cmac", "hmac"] = "cmac"
    output: Literal["hex", "base64", "uuid", "int64"] = "hex"
    distinct: Annotated[Whole, Field(ge=1)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=_CONFIG)
class Mask:
    """`show` leaves characters at the ends, `keep` leaves these characters wherever they stand
    (`punctuation`: all that are neither letters nor digits), `char` stands for the rest."""

    show: Ends = Field(default_factory=Ends)
    keep: str = ""
    char: Annotated[str, StringConstraints(min_length=1, max_length=1)] = "*"


@dataclass(frozen=True, slots=True, kw_only=True, config=_CONFIG)
class Replace:
    """By one `value`, or by one drawn consistently from `dictionary`: a list, or a file of lines.

    Exactly one of the two is given.
    """

    value: str | Number | Truth | None = None
    dictionary: tuple[str, ...] | str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=_CONFIG)
class Bucket:
    """Numbers by `width` (from `start` on), or between the `bounds` given; exactly one of them."""

    width: Number | None = None
    start: Number = 0
    bounds: tuple[Number, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, config=_CONFIG)
class Network:
    """How many leading bits of an address stay."""

    v4: Annotated[Whole, Field(ge=0, le=32)] = 24
    v6: Annotated[Whole, Field(ge=0, le=128)] = 48


@dataclass(frozen=True, slots=True, kw_only=True, config=_CONFIG)
class Generalize:
    """One way out of these: `width` or `bounds` for numbers, `to` for dates (`age` in whole years
    on the day `on`, with all from `top` on in one), `prefix` for text, `network` for addresses,
    `round` for coordinates (so many decimals), `hierarchy` for text: a CSV file whose lines
    have a value and then what it becomes at level 1, 2, …."""

    width: Number | None = None
    start: Number = 0
    bounds: tuple[Number, ...] = ()
    to: Literal["month", "quarter", "year", "age"] | None = None
    on: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$")] | None = None
    top: Annotated[Whole, Field(ge=1, le=150)] | None = None
    prefix: Annotated[Whole, Field(ge=1, le=4096)] | None = None
    network: Network | None = None
    round: Annotated[Whole, Field(ge=0, le=8)] | None = None
    hierarchy: str | None = None
    level: Annotated[Whole, Field(ge=1, le=64)] = 1


@dataclass(frozen=True, slots=True, kw_only=True, config=_CONFIG)
class Shift:
    """Dates move by -`days` to `days` days, the same for every date of one `subject`."""

    days: Annotated[Whole, Field(ge=1, le=3650)]
    subject: Name


@dataclass(frozen=True, slots=True, kw_only=True, config=_CONFIG)
class Fernet:
    """`ttl` is for how many seconds a token opens; without it, for ever. `key` names an imported
    key, `imported:NAME`, in place of the keyset's."""

    ttl: Annotated[Whole, Field(ge=1)] | None = None
    key: Annotated[str, StringConstraints(pattern=IMPORTED_KEY)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=_CONFIG)
class Seal:
    """`public_key` is a PEM file: X25519 (HPKE) or RSA (OAEP)."""

    public_key: str


Settings: TypeAlias = (
    Bucket
    | Encrypt
    | EncryptDeterministic
    | Fernet
    | Generalize
    | Mask
    | Pseudonymize
    | Replace
    | Seal
    | Shift
    | Tokenize
    | Vault
)
"""What one rule may be told."""


def adapter_of(kind: type[Settings]) -> TypeAdapter[Settings]:
    """Pydantic's way into and out of one model."""
    return _adapter(cast("Hashable", kind))


@cache
def _adapter(kind: Any) -> TypeAdapter[Settings]:
    # Slow to build, and asked for at each look at a column's record.
    return TypeAdapter(kind)


def settings_json(settings: Settings) -> dict[str, Any]:
    """The settings as a policy writes them, without those that say what is so anyway."""
    adapter = adapter_of(type(settings))
    found: dict[str, Any] = adapter.dump_python(settings, mode="json", exclude_defaults=True)
    return found


def settings_from(kind: type[Settings], given: Mapping[str, Any]) -> Settings:
    """The inverse of `settings_json`; pydantic's ValidationError where `given` does not fit."""
    return adapter_of(kind).validate_python(_tuples(dict(given)))


def _tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _tuples(inner) for key, inner in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
