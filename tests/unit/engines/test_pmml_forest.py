"""A forest of which the leaves lack classes, or list them in another order, as Spark writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from model_serving.core.messages import ModelType

if TYPE_CHECKING:
    from collections.abc import Callable

    from model_serving.core.engine import LoadedModel

LEAVES = (
    '<ScoreDistribution value="6" recordCount="4"/>',
    '<ScoreDistribution value="5" recordCount="1"/><ScoreDistribution value="6" recordCount="3"/>',
)
FOREST = (
    '<PMML version="4.3"><Header/><DataDictionary>'
    '<DataField name="other" optype="continuous" dataType="double"/>'
    '<DataField name="y" optype="categorical" dataType="string">'
    '<Value value="5"/><Value value="6"/></DataField>'
    '</DataDictionary><MiningModel functionName="classification"><MiningSchema>'
    '<MiningField name="other"/><MiningField name="y" usageType="target"/></MiningSchema>'
    '<Segmentation multipleModelMethod="average">'
    + "".join(
        f'<Segment id="{index}"><True/><TreeModel functionName="classification"><MiningSchema>'
        '<MiningField name="other"/></MiningSchema>'
        f'<Node score="6"><True/>{leaf}</Node></TreeModel></Segment>'
        for index, leaf in enumerate(LEAVES)
    )
    + "</Segmentation></MiningModel></PMML>"
)
# By hand: the trees say (0, 1) and (1/4, 3/4), so the forest says (1/8, 7/8).
TRUTH = {"5": 0.125, "6": 0.875}


def test_the_engine_gives_the_right_class(load: Callable[..., LoadedModel]) -> None:
    scores = load(ModelType.PMML, FOREST.encode()).score(np.array([[1.0]]))
    assert (list(scores.result), scores.labels) == ([6.0], ["6"])
    assert {name: float(values[0]) for name, values in scores.outputs.items()} == {
        **{f"probability_{label}": share for label, share in TRUTH.items()},
    }
