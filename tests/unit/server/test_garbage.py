"""What is there at the end of a start is left out of garbage collections."""

from __future__ import annotations

import gc
import weakref

from model_serving.server.garbage import keep_for_good


def test_what_is_kept_for_good_is_not_looked_at_again_and_what_was_garbage_is_freed() -> None:
    class Node:
        other: Node

    def cycle() -> weakref.ref[Node]:
        one, two = Node(), Node()
        one.other, two.other = two, one
        return weakref.ref(one)

    before, alive = cycle(), Node()
    thresholds = gc.get_threshold()
    try:
        keep_for_good()
        assert before() is None
        # A collection looks at what is not frozen.
        assert gc.get_freeze_count() > 1_000
        assert not any(one is alive for one in gc.get_objects())
        after = cycle()
        gc.collect()
        assert after() is None
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)


def test_the_records_of_a_batch_begin_no_collection() -> None:
    thresholds = gc.get_threshold()
    begun: list[object] = []

    def note(phase: str, _info: object) -> None:
        if phase == "start":
            begun.append(phase)

    keep_for_good()
    gc.callbacks.append(note)
    try:
        for _ in range(20):
            # The collector follows lists, as it follows a client's messages.
            records = [[number] for number in range(2_000)]
            assert len(records) == 2_000
            del records
        assert not begun
    finally:
        gc.callbacks.remove(note)
        gc.unfreeze()
        gc.set_threshold(*thresholds)
