"""How diffs of Binance follow each other and join a snapshot with `lastUpdateId` L: the venue's own rules for a local book.

    spot     drop u <= L; the first has U <= L+1 <= u; then U == previous u + 1
    futures  drop u <  L; the first has U <= L   <= u; then pu == previous u

One piece of code for recordings and for the live reader, so that a recorded session is read as it was lived.
"""

from dataclasses import dataclass

INSIDE, REPEATED, BEGINS, FOLLOWS, GAPPED = range(5)
"""What a diff is to the chain: inside the snapshot, seen before, the first of all, the next one, or one after a hole."""


@dataclass(slots=True)
class Chain:
    """Where the diffs of one book stand."""

    futures: bool
    last_id: int = -1  # u of the newest diff taken, or L of a snapshot
    joining: int = -1  # L of a snapshot that no diff has followed yet

    def restart(self, last_id: int) -> None:
        """Begin again at a snapshot."""
        self.joining = self.last_id = last_id

    def place(self, first_id: int, last_id: int, previous_id: int) -> int:
        """Say what a diff (its U, u and pu; pu -1: none) is to the chain, which stays as it is."""
        joining = self.joining
        if joining >= 0:
            if last_id < joining or (last_id == joining and not self.futures):
                return INSIDE
            return FOLLOWS if first_id <= joining + (0 if self.futures else 1) else GAPPED
        if last_id <= self.last_id:
            return REPEATED
        if self.last_id < 0:
            return BEGINS
        return FOLLOWS if (previous_id == self.last_id if self.futures else first_id == self.last_id + 1) else GAPPED

    def take(self, first_id: int, last_id: int, previous_id: int) -> int:
        """Say what a diff is to the chain; one that is neither INSIDE nor REPEATED is the newest from now on, hole or no hole."""
        found = self.place(first_id, last_id, previous_id)
        if found > REPEATED:
            self.joining, self.last_id = -1, last_id
        return found

    def after(self, snapshot_id: int, last_id: int) -> bool:
        """Say whether a diff that ends at `last_id` is to be replayed after a snapshot."""
        return last_id > snapshot_id or (self.futures and last_id == snapshot_id)
