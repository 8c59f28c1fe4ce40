"""For the tests of those who use privpipe: keysets with chosen keys, and canaries.

Nothing in privpipe imports this.
"""

from __future__ import annotations

from privpipe.testing._canaries import Canaries, Leak
from privpipe.testing._keysets import TestKey, keyset_json

__all__ = ["Canaries", "Leak", "TestKey", "keyset_json"]
