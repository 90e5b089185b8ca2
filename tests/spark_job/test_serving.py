"""Both Spark jobs pass some of the tests that the other hosts pass: the same functions, on another host.

They are few, because a Spark job takes half a second for what the others do in milliseconds.
"""

from __future__ import annotations

import pytest

from tests.running_job.test_admission import test_a_swap_in_mid_stream_takes_over_at_one_point
from tests.running_job.test_equality import test_a_host_answers_as_the_core_does_in_every_field
from tests.running_job.test_garbage import (
    test_what_is_no_model_is_put_aside_and_the_models_between_serve,
    test_what_is_no_record_is_put_aside_and_the_records_between_are_scored,
)
from tests.running_job.test_lifecycle import test_three_versions_are_kept_rolled_back_to_and_removed
from tests.running_job.test_models import (
    test_each_real_model_in_turn_gives_its_golden_value_for_every_record_in_file_order,
)

__all__ = [
    "test_a_host_answers_as_the_core_does_in_every_field",
    "test_a_swap_in_mid_stream_takes_over_at_one_point",
    "test_each_real_model_in_turn_gives_its_golden_value_for_every_record_in_file_order",
    "test_three_versions_are_kept_rolled_back_to_and_removed",
    "test_what_is_no_model_is_put_aside_and_the_models_between_serve",
    "test_what_is_no_record_is_put_aside_and_the_records_between_are_scored",
]

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]
