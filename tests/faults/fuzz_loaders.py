"""Feeds damaged models to the engines: ``python -m tests.faults.fuzz_loaders SECONDS FIRST_SEED``.

It runs in a process of its own, because a loader may end its process. It prints a line before each case, so
that the last line names the case that ended it, and a line with the tally at the end.
"""

from __future__ import annotations

import io
import random
import sys
import tarfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from model_serving.core.engine import RecordSchema
from model_serving.core.errors import ModelRejected, ScoringFailed
from model_serving.core.messages import ModelToServe, ModelType, OutputRule
from model_serving.engines import engine_for
from model_serving.engines.limits import Limits
from model_serving.engines.trial.engine import TriedEngine, stop_trials
from model_serving.wire import RecordCodec
from tests.job_models import SAMPLES
from tests.mutations import mutated

LIMITS = Limits(unpacked_bytes=64 << 20, pmml_bytes=16 << 20)
TRIAL_S = 10
TRIAL_BYTES = 1 << 30


def main(seconds: float, first_seed: int) -> None:
    schema = RecordCodec("model_serving.protos.winerecord_pb2:WineRecord").schema
    samples = {key: (ModelType[sample.kind], content_of(sample.path)) for key, sample in SAMPLES.items()}
    # The undamaged models load. Otherwise all cases below might be refused for another reason.
    for kind, content in samples.values():
        assert outcome(kind, content, schema) == "loaded"
    contents = [content for _, content in samples.values()]
    tally: Counter[str] = Counter()
    deadline = time.monotonic() + seconds
    seed = first_seed
    while time.monotonic() < deadline:
        key, (kind, content) = list(samples.items())[seed % len(samples)]
        print(f"seed {seed}: {key}", flush=True)
        damaged = mutated(content, random.Random(seed), contents)
        tally[f"{key} {outcome(kind, damaged, schema)}"] += 1
        seed += 1
    stop_trials()
    print(f"{seed - first_seed} cases: {dict(sorted(tally.items()))}", flush=True)


def content_of(path: Path) -> bytes:
    if path.is_file():
        return path.read_bytes()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        archive.add(path, arcname=".")
    return packed.getvalue()


def outcome(kind: ModelType, content: bytes, schema: RecordSchema) -> str:
    """``loaded``, ``rejected``, or ``died`` for a model that has killed the process of its trial."""
    engine = TriedEngine(engine_for(kind, LIMITS), LIMITS, TRIAL_S, TRIAL_BYTES)
    try:
        model = engine.load(ModelToServe("wine", "m", kind, "1", "", content, (), OutputRule.AUTO), schema)
    except ModelRejected as error:
        text = str(error)
        assert text, "a rejection says why"
        assert "\n" not in text, text
        assert len(text) < 800, text
        if "tried out in a process" in text:
            print(f"  {text}", flush=True)
            return "died"
        return "rejected"
    try:
        for number in (0.0, 5.0, -1e9):
            try:
                columns = np.full((2, len(model.fields)), number)
                assert model.score(columns).result.shape == (2,)
            except ScoringFailed:
                pass
    finally:
        model.close()
    return "loaded"


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]))
