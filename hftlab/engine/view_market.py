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
        """Return a Follower: each of its `chunks()` yields the market rows that the journal has got since. Raises DataError."""
        return Follower(self.directory)

    def chunks(self, rows_max: int = 1_000_000) -> Iterator[Rows]:
        """Yield the market rows of the run so far (EVENT), at most `rows_max` together, cut where messages end. Raises DataError."""
        return whole_messages(self.follow().chunks(), rows_count(rows_max))
