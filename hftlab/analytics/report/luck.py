"""What a report says of its place among all runs on the same data."""

from typing import Any

from hftlab.analytics.luck.luck import Luck, luck


class ReportLuck:
    """The count of runs, seen from one of them."""

    def luck(self: Any) -> Luck:
        """Return which run on this data this is, how many rules were tried, and what is left of the best one's Sharpe ratio after so many.

        As the count stands now: later runs make it say more. A session's report was not chosen among runs and is not counted.
        """
        return luck(self.origin.counted if self.origin is not None else None)
