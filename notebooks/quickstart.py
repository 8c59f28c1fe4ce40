# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # privpipe in five minutes
#
# A table of people goes onto Delta Lake with its sensitive columns protected, and what may come back
# does so for whoever holds the key. Everything here happens in a temporary folder.

# %%
import csv
import tempfile
from pathlib import Path

import privpipe
from privpipe import spark as pp
from privpipe.cli import main

folder = Path(tempfile.mkdtemp(prefix="privpipe-quickstart-"))
people = [
    ["1", "Neumann", "neumann@example.org", "4000001234567899", "+49 30 5550101"],
    ["2", "Painter", "painter@example.org", "5200008282828210", "+1 312 555 0102"],
    ["3", "Neumann", "", "4000001234567899", ""],
]
with (folder / "people.csv").open("w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(["id", "surname", "email", "card", "phone"])
    writer.writerows(people)

# %% [markdown]
# ## A project
#
# `privpipe init` makes a project file, and the key that wraps all other keys (the KEK), readable by
# you alone. It overwrites nothing.

# %%
main(["init", str(folder)])

# %% [markdown]
# ## A policy
#
# One file a table, made to be reviewed, one protection a column:
#
# - `encrypt` gives another ciphertext every time, and comes back;
# - `pseudonymize` gives equal values equal names, so that they can be joined, across all tables that
#   share the domain, and has no way back;
# - `tokenize` gives a stand-in of the same form, which comes back;
# - `mask` leaves what it shows, and the rest is lost.
#
# A column that nobody listed is refused, not let through.

# %%
(folder / "policies" / "people.yaml").write_text(
    """
version: 1
table: clinic.people
columns:
  id:      keep
  surname: encrypt
  email:   {protect: pseudonymize, domain: email, output: uuid}
  card:    {protect: tokenize, alphabet: digits, length: 16, preserve: {first: 6, last: 4}}
  phone:   {protect: mask, show: {last: 2}, keep: punctuation}
"""
)
policy = privpipe.load_policy(folder / "policies" / "people.yaml")

# %% [markdown]
# ## A plan
#
# What each column becomes, and what an onlooker without the key still learns. It writes nothing.

# %%
home = pp.open_home(folder / "privpipe.yaml")
plan = home.plan(policy, source=folder / "people.csv")
plan

# %%
for leaf in plan.leaves:
    print(f"{leaf.path[0]}: {leaf.protection}, reveals {leaf.reveals}")

# %% [markdown]
# ## Protect
#
# A run is recorded in the catalog: what was done to which column, under which key. Give it a
# `run_id`, and it can be repeated safely: the same id again changes nothing.

# %%
target = folder / "warehouse" / "people"
run = home.protect(policy, source=folder / "people.csv", target=target, run_id="quickstart-1")
again = home.protect(policy, source=folder / "people.csv", target=target, run_id="quickstart-1")
assert run.rows == 3
assert again.replayed
run

# %% [markdown]
# The table is an ordinary Delta table. Anyone may count, filter and join it; two of the surnames are
# equal, and their ciphertexts are not, while one card has one token in both its rows. An empty CSV field is null, and null stays null.

# %%
stored = home.spark.read.format("delta").load(str(target)).orderBy("id")
stored.show(truncate=24)
surnames = [row["surname"] for row in stored.collect()]
assert len(set(surnames)) == 3
assert b"Neumann" not in b"".join(surnames)
cards = [row["card"] for row in stored.collect()]
assert cards[0] == cards[2] != cards[1]
assert (len(cards[0]), cards[0][:6], cards[0][-4:]) == (16, "400000", "7899")

# %% [markdown]
# ## Reveal
#
# Name the columns and the purpose. Everything else stays as it is. An encrypted value that was
# changed, or moved here from another column or table, does not authenticate: the read fails and
# releases nothing. A token says nothing of the kind.

# %%
back = home.reveal(target, columns=["surname", "card"], purpose="the quickstart").orderBy("id")
back.show()
assert [[row["surname"], row["card"]] for row in back.collect()] == [
    [surname, card] for _, surname, _, card, _ in people
]
assert home.verify(target).ok

# %% [markdown]
# ## The catalog, and a backup
#
# The wrapped keysets live in the catalog alone. Lose them, or the KEK, and the data is lost: back up
# both, apart from each other.

# %%
home.close()
config = ["--config", str(folder / "privpipe.yaml")]
main([*config, "catalog", "columns"])
main([*config, "keys", "backup", str(folder / "keysets.json")])

# %% [markdown]
# ## The ciphers alone
#
# The kernels take Arrow arrays and a raw key, with no Spark at hand.

# %%
import os

import pyarrow as pa

from privpipe.kernels import AesGcm

kernel = AesGcm(os.urandom(32))
sealed = kernel.encrypt(pa.array(["Neumann", None, ""]), b"clinic.people/surname")
opened = kernel.decrypt(sealed, b"clinic.people/surname")
assert opened.to_pylist() == [b"Neumann", None, b""]

# %% [markdown]
# Next: `privpipe demo` goes the whole way on the data of 10,000 people, tampering included. The
# policy's every word is in `docs`, what privpipe does not protect against in `docs/threat-model.md`.
