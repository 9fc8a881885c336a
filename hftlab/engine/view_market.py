"""What a View reads of the market that its run has seen."""

from collections.abc import Iterator
from pathlib import Path

from hftlab.data.chunking import rows_count, whole_messages
from hftlab.data.following import Follower
from hftlab.data.rows import Rows


class MarketOfView:
    """Methods of View that make it a source of market rows; `directory` is the run's."""

    directory: Path

    def follow(self) -> Follower:
        """Return a Follower: each of its `chunks()` yields the market rows, without our own orders, that the journal has got since. Raises DataError."""
        return Follower(self.directory)

    def chunks(self, rows_max: int = 1_000_000) -> Iterator[Rows]:
        """Yield the market rows of the run so far (EVENT), at most `rows_max` together, cut where messages end.

        Without our own orders, in live mode up to the lag between the venue's two streams. Exactly so, for a session that is over:
        `hl.replay(run).tape()`. Raises DataError.
        """
        return whole_messages(self.follow().chunks(), rows_count(rows_max))
