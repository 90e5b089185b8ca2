"""BayesianNetworkModel: the target, given what is known of a record (PMML 4.4: Bayesian Network).

Inference is exact. Discrete nodes of which a record has no value are summed over; a document in which they
are too many is refused. The value of a discrete target is its likeliest class, that of a continuous one its
mean. Continuous nodes count where a record has their values and those that their distributions are made of.
Where it would take an integral instead, the record has no result.
"""

from __future__ import annotations

from operator import mul
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.models.bayesian_nodes import Network, is_brought
from model_serving.engines.pmml.evaluator.models.elimination import (
    Factor,
    TooManyStates,
    largest_product,
    scaled,
    summed_out,
)
from model_serving.engines.pmml.evaluator.prediction import (
    ModelContext,
    Prediction,
    Single,
    WithoutEntities,
    winner,
    winner_of_one,
)
from model_serving.engines.pmml.evaluator.reading import (
    MODEL_ATTRIBUTES,
    MODEL_PARTS,
    Unsupported,
    children,
    only,
)

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    import numpy.typing as npt

    from model_serving.engines.pmml.evaluator.batch import Batch, Mask, Rows
    from model_serving.engines.pmml.evaluator.models.bayesian_nodes import Distribution
    from model_serving.engines.pmml.evaluator.record import Record
    from model_serving.engines.pmml.evaluator.scope import Expression
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["BayesianNetworkModel", "compile_model"]

_LEAST = 1e-250
"""A product of probabilities that is less may have lost digits."""

_AT_ONCE = 4_000_000
"""How many numbers a product of factors may have for all records together."""


def compile_model(element: Element, context: ModelContext) -> BayesianNetworkModel:
    """Reads a BayesianNetworkModel.

    Raises:
        Unsupported: a part of it is not known, or inference would need too many sums or an integral.
    """
    context.needs("classification", "regression")
    # How the network was made and how its maker infers changes no probability.
    parts = children(
        element,
        MODEL_ATTRIBUTES | {"modelType", "inferenceMethod"},
        {*MODEL_PARTS, "BayesianNetworkNodes"},
    )
    nodes = only(parts, "BayesianNetworkNodes")
    if nodes is None:
        raise Unsupported("a BayesianNetworkModel without BayesianNetworkNodes")
    network = Network.read(nodes, context)
    target = context.target.name
    wanted = network.discrete if context.classifies else network.continuous
    if target not in wanted:
        kind = "DiscreteNode" if context.classifies else "ContinuousNode"
        raise Unsupported(f"a BayesianNetworkModel for {context.function} without a {kind} of its target")
    for name in context.target_names[1:]:
        context.program.warn(f"the target '{name}' is not predicted: the result is that of '{target}'")
    _refuse_cycles(network)
    return BayesianNetworkModel(network, context)


def _refuse_cycles(network: Network) -> None:
    waiting = {node.variables[-1]: set(node.variables[:-1]) for node in network.discrete.values()}
    while waiting:
        ready = [one for one, parents in waiting.items() if not parents & waiting.keys()]
        if not ready:
            names = ", ".join(sorted(network.variables[one].name for one in waiting))
            raise Unsupported(f"the nodes {names}, of which each depends on another")
        for one in ready:
            del waiting[one]


class BayesianNetworkModel(WithoutEntities):
    """Implements ``Predictor``."""

    def __init__(self, network: Network, context: ModelContext) -> None:
        """Raises Unsupported when a record with all its fields needs too many sums."""
        self._network = network
        self._sizes = network.sizes()
        self._target = network.continuous.get(context.target.name)
        if self._target is None:
            place = network.places[context.target.name]
            self.kind = context.target.kind
            self.classes = tuple(network.variables[place].values)
            self._keep: tuple[int, ...] = (place,)
        else:
            self.kind = context.number_kind
            self.classes = ()
            self._keep = self._target.variables
        self._known = [
            is_brought(variable.field) and variable.name != context.target.name
            for variable in network.variables
        ]
        self._measured = [node for node in network.continuous.values() if node is not self._target]
        everything = np.ones(len(self._known) + len(self._measured), dtype=bool)
        everything[: len(self._known)] = self._known
        try:
            self._plan(everything)
        except TooManyStates:
            raise Unsupported(
                "a BayesianNetworkModel in which too many nodes have no value in any record"
            ) from None

    def predict(self, batch: Batch) -> Prediction:
        """See ``Predictor.predict``. A record whose known values exclude each other has no result."""
        states, known = self._states(batch)
        values = [batch.value(node.field) for node in self._measured if node.field is not None]
        # The first row is there for networks of which no record brings a node.
        seen = np.array([np.ones(batch.n, dtype=bool), *known, *(~np.isnan(one) for one in values)])
        found = np.full((max(len(self.classes), 1), batch.n), np.nan)
        patterns, which = np.unique(seen, axis=1, return_inverse=True)
        densities = {
            node.name: np.array([_log_density(one, value, batch) for one in node.distributions]).T
            for node, value in zip(self._measured, values, strict=True)
        }
        for place in range(patterns.shape[1]):
            rows = np.flatnonzero(which.reshape(-1) == place)
            try:
                nodes, most = self._plan(patterns[1:, place])
            except TooManyStates:
                continue
            for start in range(0, len(rows), max(1, _AT_ONCE // most)):
                some = rows[start : start + max(1, _AT_ONCE // most)]
                found[:, some] = self._some(some, nodes, patterns[1:, place], states, densities, batch)
        if self._target is not None:
            return Prediction(found[0])
        return Prediction(winner(found, self.classes), found)

    def predict_one(self, record: Record) -> Single:
        """See ``Predictor.predict_one``. Where something is not known, or is a number, the batch tells."""
        found = None if self._target is not None or self._measured else self._shares_of_one(record)
        if found is None:
            return Single.of(record.of_batch(self.predict))
        return Single(winner_of_one(found, self.classes), found)

    def _shares_of_one(self, record: Record) -> list[float] | None:
        """Returns the probabilities of the classes, None if only the batch can tell."""
        (target,) = self._keep
        chosen: list[int | slice] = []
        for place, variable in enumerate(self._network.variables):
            if place == target:
                chosen.append(slice(None))
                continue
            state = None
            if variable.field is not None and self._known[place]:
                state = variable.values.get(variable.field.one(record))
            if state is None:
                return None
            chosen.append(state)
        made = [1.0] * len(self.classes)
        for node in self._network.discrete.values():
            given = node.table[tuple([chosen[one] for one in node.variables])].tolist()
            if isinstance(given, list):
                made = list(map(mul, made, given))
            elif given == 0.0:
                return None
        whole = sum(made)
        return [one / whole for one in made] if whole > _LEAST else None

    def why(self, batch: Batch, record: int) -> str:
        """Returns why a record that has all its values has no result."""
        del batch, record
        return "its values exclude each other, or one of them is not a value of its node"

    def _states(self, batch: Batch) -> tuple[npt.NDArray[np.intp], list[Mask]]:
        """Returns the places of the known values, shape (variables, n), and masks of who has one.

        The place is -1 for a value that the variable does not have.
        """
        states = np.zeros((len(self._known), batch.n), dtype=np.intp)
        known = []
        for place, variable in enumerate(self._network.variables):
            values = np.full(batch.n, np.nan)
            if self._known[place] and variable.field is not None:
                values = _careful(variable.field, batch)
            present = ~np.isnan(values)
            states[place] = -1
            for value, state in variable.values.items():
                states[place][values == value] = state
            known.append(present)
        return states, known

    def _plan(self, seen: Mask) -> tuple[list[str], int]:
        """Returns the nodes that matter where these variables and measured nodes are known.

        Also returns how many numbers a record needs at a time. A node that is not known and on which no known
        one depends does not matter.

        Raises:
            TooManyStates: it would be too many.
        """
        network = self._network
        nodes = [node.name for place, node in enumerate(self._measured, len(self._known)) if seen[place]]
        needed = {one for name in nodes for one in network.continuous[name].variables} | set(self._keep)
        needed |= {place for name, place in network.places.items() if seen[place]}
        waiting = list(needed)
        while waiting:
            variable = network.variables[waiting.pop()]
            if variable.is_node:
                new = set(network.discrete[variable.name].variables) - needed
                needed |= new
                waiting += new
        nodes += [network.variables[one].name for one in sorted(needed) if network.variables[one].is_node]
        shapes = [tuple(one for one in self._variables(name) if not seen[one]) for name in nodes]
        keep = tuple(one for one in self._keep if not seen[one])
        return nodes, largest_product(shapes, keep, self._sizes)

    def _variables(self, name: str) -> tuple[int, ...]:
        network = self._network
        node = network.discrete.get(name)
        return network.continuous[name].variables if node is None else node.variables

    def _some(
        self,
        rows: Rows,
        nodes: list[str],
        seen: Mask,
        states: npt.NDArray[np.intp],
        densities: dict[str, Numbers],
        batch: Batch,
    ) -> Numbers:
        """Returns probabilities (classes, n) or means (1, n) of records of which the same is known."""
        factors = []
        wrong = np.zeros(len(rows), dtype=bool)
        for name in nodes:
            variables = self._variables(name)
            shape = [self._sizes[one] for one in variables]
            node = self._network.discrete.get(name)
            values = densities[name][rows].reshape(-1, *shape) if node is None else node.table[None]
            factor, bad = self._given(Factor(variables, values), seen, states[:, rows])
            factors.append(factor._replace(values=scaled(factor.values) if node else _exp(factor.values)))
            wrong |= bad
        keep = tuple(one for one in self._keep if not seen[one])
        made = summed_out(factors, keep, self._sizes)
        made = np.broadcast_to(made, (len(rows), *made.shape[1:])).reshape(len(rows), -1)
        shares = made / made.sum(axis=1, keepdims=True)
        shares[wrong] = np.nan
        if self._target is None:
            return np.asarray(shares.T)
        means = np.array([_mean(one, batch)[rows] for one in self._target.distributions]).T
        shape = [self._sizes[one] for one in self._target.variables]
        chosen, bad = self._given(
            Factor(self._target.variables, means.reshape(-1, *shape)), seen, states[:, rows]
        )
        found = (chosen.values.reshape(len(rows), -1) * shares).sum(axis=1)
        found[bad] = np.nan
        return np.asarray(found[None, :])

    def _given(self, factor: Factor, seen: Mask, states: npt.NDArray[np.intp]) -> tuple[Factor, Mask]:
        """Returns a factor with its known variables set, and a mask of records that have no such value."""
        network = self._network
        known = [one for one in factor.variables if seen[one]]
        hidden = [one for one in factor.variables if not seen[one]]
        n = states.shape[1]
        bad = np.zeros(n, dtype=bool)
        for one in hidden:
            if not network.variables[one].is_node:
                bad[:] = True
        axes = [1 + factor.variables.index(one) for one in (*known, *hidden)]
        values = factor.values.transpose(0, *axes)
        if known:
            records = np.arange(n) if len(values) == n else np.zeros(n, dtype=np.intp)
            values = values[(records, *(states[one] for one in known))]
            bad |= (states[known] < 0).any(axis=0)
        return Factor(tuple(hidden), values), bad


def _exp(logarithms: Numbers) -> Numbers:
    """Returns the powers of e, those of each record divided by the greatest."""
    greatest = logarithms.max(axis=tuple(range(1, logarithms.ndim)), keepdims=True)
    return np.asarray(np.exp(logarithms - np.where(np.isneginf(greatest), 0.0, greatest)))


def _careful(expression: Expression, batch: Batch) -> Numbers:
    """Returns the values of an expression; what cannot be computed is missing, and fails nobody."""
    with batch.aside():
        values = expression.evaluate(batch)
        failed = batch.failed
    return values if failed is None else np.where(failed, np.nan, values)


def _log_density(distribution: Distribution, value: Numbers, batch: Batch) -> Numbers:
    first, second = _careful(distribution.first, batch), _careful(distribution.second, batch)
    if distribution.is_uniform:
        inside = (value >= first) & (value <= second)
        made = np.where(inside, -np.log(second - first), -np.inf)
        return np.where(np.isnan(first + second + value) | ~(second > first), np.nan, made)
    made = -0.5 * (np.log(2.0 * np.pi * second) + (value - first) ** 2 / second)
    return np.where(second > 0.0, made, np.nan)


def _mean(distribution: Distribution, batch: Batch) -> Numbers:
    first = _careful(distribution.first, batch)
    return 0.5 * (first + _careful(distribution.second, batch)) if distribution.is_uniform else first
