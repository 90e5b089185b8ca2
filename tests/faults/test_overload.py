"""Some seconds of overload; ``make overload MINUTES=10`` is more of it, and looks at the memory's trend."""

from __future__ import annotations

from pathlib import Path

import pytest

from client.broker import EmbeddedBroker
from tests.faults.overload import Overload

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]


def test_a_producer_that_is_faster_than_the_job(
    broker: EmbeddedBroker, tmp_path: Path, record_property: pytest.RecordProperty
) -> None:
    found = Overload("keyed", broker, tmp_path).run(12, print, modest_s=4, settle_s=2)
    print(found)
    record_property("overload", str(found))
    assert found.broken() == []
