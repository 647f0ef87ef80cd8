"""The outputs are consumers of one sample: the Netdata agent, a terminal."""
from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from ..collect.collector import Sample

    class Output(Protocol):
        """A context that gets each tick's sample: pairs of a chart and the values of its dimensions, None for unknown."""

        def __enter__(self) -> object:
            """Before the first sample."""

        def __exit__(self, *error: Any) -> None:
            """After the last."""

        def begin(self, now: float, sample: Sample) -> None:
            """The first sample, which is not to be shown: where the counters began. `now` is monotonic, in seconds."""

        def show(self, now: float, sample: Sample) -> None:
            """A tick."""

        def still_here(self) -> None:
            """In the middle of a long wait."""
