"""``python -m bench scaling``: measures the rate with parallelism, large models and many data types.

It measures backlogs as in ``backlog``, but only of this project. Look at the middle 80 %: after a restore
each model is loaded when its first record comes, so the loading of 10,000 models is within the first tenth.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

from bench.backlog import Workload, measure, show
from bench.inputs import small_regression
from bench.records import data_types
from bench.session import Session, add_common_arguments, open_session
from bench.store import Case

__all__ = ["add_arguments", "run"]

_TYPES_OF_PARALLEL = 16
"""The number of data types: enough for both instances of the keyed job to have keys."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of ``scaling``."""
    models = "glm,saved,table-small,table-large,forest,forest-large"
    add_common_arguments(parser, models=models, rounds=3, variants="keyed,broadcast")
    parser.add_argument("--kinds", default=",".join(_KINDS), help=f"comma separated ({','.join(_KINDS)})")
    parser.add_argument("--records", type=int, default=400_000, help="records in the backlog (400000)")
    parser.add_argument("--types", default="1,100,10000", help="numbers of data types (1,100,10000)")


def run(arguments: argparse.Namespace) -> int:
    """Measures, prints and stores the figures. Returns the exit status."""
    cases = []
    with open_session("scaling", arguments) as session:
        for kind in arguments.kinds.split(","):
            cases += _KINDS[kind](session, arguments)
        show(session, cases, "records a second from a backlog")
    return 0


def _parallelism(session: Session, arguments: argparse.Namespace) -> list[Case]:
    """Measures one instance and two, on a topic of two partitions, with small models."""
    names = data_types(_TYPES_OF_PARALLEL)
    workloads = [
        Workload(
            key=session.key(
                kind="parallelism",
                parallelism=parallelism,
                variant=variant,
                model=model.key,
                set=session.chosen.value,
            ),
            variant=variant,
            models=[model.message(name).SerializeToString() for name in names],
            flags=("--parallelism", str(parallelism)),
        )
        for model in session.models.values()
        if model.key in {"glm", "saved"}
        for variant in session.variants
        for parallelism in (1, 2)
    ]
    return measure(session, workloads, [arguments.records], types=len(names), partitions=2)


def _bytes(session: Session, arguments: argparse.Namespace) -> list[Case]:
    """Measures models of 10 kB and of 20 MB with equal arithmetic (forests: with about equal depth)."""
    workloads = [
        Workload(
            key=session.key(kind="bytes", variant=variant, model=model.key, set=session.chosen.value),
            variant=variant,
            models=[model.message().SerializeToString()],
        )
        for model in session.models.values()
        if model.key in {"table-small", "table-large", "forest", "forest-large"}
        for variant in session.variants
    ]
    return measure(session, workloads, [arguments.records])


def _types(session: Session, arguments: argparse.Namespace) -> list[Case]:
    """Measures small PMML regressions, one for each of 1, 100 and 10,000 data types."""
    cases = []
    for count in (int(word) for word in arguments.types.split(",")):
        workload = Workload(
            key=session.key(kind="types", types=count, variant="keyed", model="regression"),
            variant="keyed",
            models=[
                small_regression(name, number).SerializeToString()
                for number, name in enumerate(data_types(count))
            ],
        )
        cases += measure(session, [workload], [arguments.records], types=count)
    return cases


_KINDS: dict[str, Callable[[Session, argparse.Namespace], list[Case]]] = {
    "parallelism": _parallelism,
    "bytes": _bytes,
    "types": _types,
}
