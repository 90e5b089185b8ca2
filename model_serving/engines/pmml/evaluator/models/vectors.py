"""The functions of support vector machines: kernels of vectors, and coefficients (PMML 4.4)."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.data_types import constant
from model_serving.engines.pmml.evaluator.expressions.compiler import compile_expression
from model_serving.engines.pmml.evaluator.models.input_matrix import Category, InputMatrix
from model_serving.engines.pmml.evaluator.models.linear import numeric_field
from model_serving.engines.pmml.evaluator.reading import (
    NOTHING,
    Unsupported,
    children,
    named,
    number,
    only,
    real_array,
    required,
)
from model_serving.engines.pmml.evaluator.record import Record, Undecided

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.batch import Batch
    from model_serving.engines.pmml.evaluator.prediction import ModelContext
    from model_serving.engines.pmml.evaluator.scope import Field, Scope
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["Kernel", "Machines", "read_machines"]

_AT_ONCE = 2_000_000
"""How many kernel values to have in memory at a time; smaller pieces wake the threads of BLAS more often."""


class Kernel:
    """A kernel: the similarity of two vectors."""

    __slots__ = ("_degree", "_gamma", "_kind", "_shift")

    def __init__(self, element: Element) -> None:
        """Reads the element of a kernel.

        Raises:
            Unsupported: a part of it is not known.
        """
        known = {
            "LinearKernelType": set[str](),
            "PolynomialKernelType": {"gamma", "coef0", "degree"},
            "RadialBasisKernelType": {"gamma"},
            "SigmoidKernelType": {"gamma", "coef0"},
        }
        self._kind = element.tag
        children(element, {"description", *known[element.tag]})
        self._gamma = number(element, "gamma", 1.0)
        self._shift = number(element, "coef0", 1.0)
        self._degree = number(element, "degree", 1.0)

    @property
    def is_linear(self) -> bool:
        """Whether the kernel is the product of the vectors."""
        return self._kind == "LinearKernelType"

    @property
    def is_radial(self) -> bool:
        """Whether the kernel depends on the distance of the vectors only."""
        return self._kind == "RadialBasisKernelType"

    def values(self, rows: Numbers, vectors: Numbers, squares: Numbers) -> Numbers:
        """Returns the kernel of each row with each vector.

        Args:
            rows: shape (n, fields).
            vectors: shape (fields, vectors).
            squares: the vectors' squared lengths, shape (vectors,).
        """
        products: Numbers = rows @ vectors
        if self.is_radial:
            products *= 2.0
            products -= squares
            products -= (rows * rows).sum(axis=1, keepdims=True)
            np.minimum(products, 0.0, out=products)  # no distance is below zero, but for rounding
            products *= self._gamma
            return np.asarray(np.exp(products, out=products))
        if self.is_linear:
            return products
        products = self._gamma * products + self._shift
        return np.tanh(products) if self._kind == "SigmoidKernelType" else np.asarray(products**self._degree)


class Machines:
    """The functions of all machines of a model. A missing field makes all of them missing."""

    __slots__ = ("_biases", "_centre", "_coefficients", "_inputs", "_kernel", "_squares", "_vectors")

    def __init__(
        self, inputs: InputMatrix, kernel: Kernel, vectors: Numbers, coefficients: Numbers, biases: Numbers
    ) -> None:
        """Creates the functions.

        Args:
            inputs: the fields of the vectors.
            kernel: the kernel.
            vectors: shape (vectors, fields).
            coefficients: shape (vectors, machines).
            biases: shape (machines,).
        """
        self._inputs, self._biases = inputs, biases
        self._kernel = None if kernel.is_linear else kernel
        if kernel.is_linear:
            vectors, coefficients = np.eye(vectors.shape[1]), vectors.T @ coefficients
        # Distances stay the same, and are more exact, when the vectors are moved to where their middle is.
        self._centre = vectors.mean(axis=0) if kernel.is_radial and len(vectors) else None
        moved = vectors if self._centre is None else vectors - self._centre
        self._vectors = np.ascontiguousarray(moved.T)
        self._squares = (moved * moved).sum(axis=1)
        self._coefficients = coefficients

    def values(self, batch: Batch) -> Numbers:
        """Returns the functions' values, shape (n, machines)."""
        return self._of_rows(self._inputs.matrix(batch))

    def values_of_one(self, record: Record) -> list[float] | None:
        """Returns the functions' values for one record alone (raises as ``Expression.one``).

        None where one of them is missing.
        """
        given = self._inputs.row(record)
        row = np.array([given])
        with np.errstate(all="ignore"):
            values: list[float] = self._of_rows(row)[0].tolist()
        total = sum(values)
        if total != total:
            if not any(map(isnan, given)):
                raise Undecided  # of huge numbers, other ways to add them up may have an answer
            return None
        return values

    def _of_rows(self, rows: Numbers) -> Numbers:
        if self._kernel is None:
            return np.asarray(rows @ self._coefficients + self._biases)
        if self._centre is not None:
            rows = rows - self._centre
        step = max(1, _AT_ONCE // max(1, self._vectors.shape[1]))
        if len(rows) <= step:
            return self._some(rows, self._kernel)
        some = [self._some(rows[start : start + step], self._kernel) for start in range(0, len(rows), step)]
        return np.concatenate(some)

    def _some(self, rows: Numbers, kernel: Kernel) -> Numbers:
        similar = kernel.values(rows, self._vectors, self._squares)
        return np.asarray(similar @ self._coefficients + self._biases)


def read_machines(
    parts: list[Element],
    kernel: Element,
    machines: list[Element],
    context: ModelContext,
    *,
    with_vectors: bool,
) -> Machines:
    """Reads the VectorDictionary and the SupportVectorMachines.

    Args:
        parts: the parts of the model.
        kernel: the element of the kernel.
        machines: the elements of the machines.
        context: the model's context.
        with_vectors: whether machines have support vectors; else they have a coefficient for each field.

    Raises:
        Unsupported: a part is not known, or contradicts another.
    """
    dictionary = only(parts, "VectorDictionary")
    if dictionary is None or not machines:
        raise Unsupported("a SupportVectorMachineModel without a VectorDictionary or a SupportVectorMachine")
    found = children(dictionary, {"numberOfVectors"}, ("VectorFields", "VectorInstance"))
    fields = only(found, "VectorFields")
    if fields is None:
        raise Unsupported("a VectorDictionary without VectorFields")
    columns = [
        _column(part, context.scope)
        for part in children(fields, {"numberOfFields"}, ("FieldRef", "CategoricalPredictor"))
    ]
    if not columns:
        raise Unsupported("VectorFields without a field")
    if with_vectors:
        vectors, ids = _vectors(found, len(columns))
    else:
        vectors, ids = np.eye(len(columns)), {str(place): place for place in range(len(columns))}
    read = Kernel(kernel)
    if not with_vectors and not read.is_linear:
        raise Unsupported(f"svmRepresentation 'Coefficients' with {kernel.tag}")
    coefficients = np.zeros((len(vectors), len(machines)))
    biases = np.zeros(len(machines))
    for column, machine in enumerate(machines):
        places, values, biases[column] = _machine(machine, ids, with_vectors=with_vectors)
        np.add.at(coefficients[:, column], places, values)
    used = coefficients.any(axis=1)
    if not used.any():
        used[:1] = True
    return Machines(InputMatrix(columns), read, vectors[used], coefficients[used], biases)


def _column(element: Element, scope: Scope) -> Field | Category:
    if element.tag == "CategoricalPredictor":
        children(element, {"name", "value", "coefficient"})
        field = scope.field(required(element, "name"))
        if number(element, "coefficient", 1.0) != 1.0:
            raise Unsupported("CategoricalPredictor in VectorFields with a coefficient that is not 1")
        value = constant(required(element, "value"), field.kind.data_type, scope.program.symbols)
        return Category(field, value)
    field = numeric_field(scope, element.get("field"), "VectorFields")
    if "mapMissingTo" in element.attrib:
        field = scope.program.field("", field.kind, compile_expression(element, scope))
    return field


def _vectors(parts: list[Element], width: int) -> tuple[Numbers, dict[str, int]]:
    ids: dict[str, int] = {}
    rows: list[Numbers] = []
    for part in named(parts, "VectorInstance"):
        arrays = children(part, {"id"}, ("Array", "REAL-SparseArray"))
        if len(arrays) != 1:
            raise Unsupported("a VectorInstance without one array")
        row = real_array(arrays[0])
        if not len(row):
            row = np.zeros(width)  # a sparse array may leave out n where it has no entries
        if len(row) != width:
            raise Unsupported(f"a VectorInstance of {len(row)} numbers for {width} VectorFields")
        ids[required(part, "id")] = len(rows)
        rows.append(row)
    if len(ids) < len(rows) or not rows:
        raise Unsupported("a VectorDictionary without a VectorInstance, or with two of the same id")
    return np.array(rows), ids


def _machine(
    machine: Element, ids: dict[str, int], *, with_vectors: bool
) -> tuple[list[int], list[float], float]:
    """Returns the places of a machine's vectors, their coefficients, and what is added to the sum."""
    attributes = {"targetCategory", "alternateTargetCategory", "threshold"}
    parts = children(machine, attributes, ("SupportVectors", "Coefficients"))
    coefficients = only(parts, "Coefficients")
    if coefficients is None:
        raise Unsupported("a SupportVectorMachine without Coefficients")
    values = []
    for part in children(coefficients, {"numberOfCoefficients", "absoluteValue"}, ("Coefficient",)):
        children(part, {"value"}, NOTHING)
        values.append(number(part, "value", 0.0))
    places = list(range(len(ids)))
    supports = only(parts, "SupportVectors")
    if with_vectors and supports is not None:
        places = []
        for part in children(supports, {"numberOfSupportVectors", "numberOfAttributes"}, ("SupportVector",)):
            children(part, {"vectorId"}, NOTHING)
            name = required(part, "vectorId")
            if name not in ids:
                raise Unsupported(f"SupportVector '{name}', which the VectorDictionary does not have")
            places.append(ids[name])
    elif with_vectors:
        raise Unsupported("a SupportVectorMachine without SupportVectors")
    if len(places) != len(values):
        raise Unsupported(f"a SupportVectorMachine of {len(places)} vectors and {len(values)} Coefficients")
    return places, values, number(coefficients, "absoluteValue", 0.0)
