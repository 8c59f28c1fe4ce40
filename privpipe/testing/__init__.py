"""For the tests of those who use privpipe: keysets with chosen keys, canaries, laws.

Nothing in privpipe imports this.
"""

from __future__ import annotations

from privpipe.testing._canaries import Canaries, Leak
from privpipe.testing._keysets import TestKey, keyset_json
from privpipe.testing._monoid import check_monoid

__all__ = ["Canaries", "Leak", "TestKey", "check_monoid", "keyset_json"]
