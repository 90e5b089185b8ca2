"""Gaussian processes, baselines and anomaly detection (PMML 4.3 and 4.4)."""

from __future__ import annotations

from math import exp, log, sqrt

import numpy as np
import pytest

from model_serving.core.errors import ModelRejected
from tests.pmml_documents import document, score

FIELDS = {"x": "double", "z": "double", "h": "double"}
INSTANCES = (
    '<TrainingInstances><InstanceFields><InstanceField field="x" column="x"/>'
    '<InstanceField field="z" column="z"/><InstanceField field="h" column="h"/></InstanceFields><InlineTable>'
    "<row><x>1</x><z>3</z><h>1</h></row><row><x>2</x><z>6</z><h>2</h></row></InlineTable></TrainingInstances>"
)
LAMBDA = '<Lambda><Array n="2" type="real">1.5 60</Array></Lambda>'
KERNELS = {
    "RadialBasisKernel": ('lambda="2"', "", lambda dx, dz: 0.5 * (dx**2 + dz**2) / 4),
    "ARDSquaredExponentialKernel": ("", LAMBDA, lambda dx, dz: 0.5 * ((dx / 1.5) ** 2 + (dz / 60) ** 2)),
    "AbsoluteExponentialKernel": ("", LAMBDA, lambda dx, dz: abs(dx) / 1.5 + abs(dz) / 60),
    "GeneralizedExponentialKernel": (
        'degree="3"',
        LAMBDA,
        lambda dx, dz: (abs(dx) / 1.5) ** 3 + (abs(dz) / 60) ** 3,
    ),
}
OUTPUT = (
    '<Output><OutputField name="sd" dataType="double" optype="continuous" feature="standardDeviation"/>'
    "</Output>"
)


def process(kernel: str, instances: str = INSTANCES) -> str:
    model = f'<GaussianProcessModel functionName="regression">{{schema}}{OUTPUT}{kernel}{instances}'
    return document(f"{model}</GaussianProcessModel>", FIELDS, "h")


@pytest.mark.parametrize("name", KERNELS)
def test_a_gaussian_process_knows_its_mean_and_its_deviation(name: str) -> None:
    said, inner, distance = KERNELS[name]
    text = process(f'<{name} gamma="2.5" noiseVariance="0.01" {said}>{inner}</{name}>')
    found = score(text, [{"x": 1, "z": 4}, {"x": None, "z": 4}])

    def kernel(a: tuple[float, float], b: tuple[float, float]) -> float:
        return 2.5 * exp(-distance(a[0] - b[0], a[1] - b[1]))

    points = [(1.0, 3.0), (2.0, 6.0)]
    known = np.linalg.inv(np.array([[kernel(a, b) for b in points] for a in points]) + 0.01 * np.eye(2))
    k = np.array([kernel((1.0, 4.0), point) for point in points])
    np.testing.assert_allclose(found.result, [float(k @ known @ np.array([1, 2])), np.nan])
    np.testing.assert_allclose(found.outputs["sd"], [sqrt(2.5 - k @ known @ k + 0.01), np.nan])


def baseline(inner: str, statistic: str = "zValue") -> str:
    return document(
        f'<BaselineModel functionName="regression">{{schema}}<TestDistributions field="x" '
        f'testStatistic="{statistic}"><Baseline>{inner}</Baseline></TestDistributions></BaselineModel>',
        FIELDS,
        "h",
    )


@pytest.mark.parametrize(
    "inner", ['<GaussianDistribution mean="4" variance="4"/>', '<PoissonDistribution mean="4"/>']
)
def test_a_z_value_counts_deviations_from_the_mean(inner: str) -> None:
    np.testing.assert_allclose(score(baseline(inner), [{"x": 7}, {"x": None}]).result, [1.5, np.nan])


PATHS = (
    '<RegressionModel functionName="regression"><MiningSchema><MiningField name="x"/></MiningSchema>'
    '<RegressionTable intercept="1"><NumericPredictor name="x" coefficient="1"/></RegressionTable>'
    "</RegressionModel>"
)
CLUSTERS = (
    '<ClusteringModel functionName="clustering" modelClass="centerBased" numberOfClusters="2"><MiningSchema>'
    '<MiningField name="x"/></MiningSchema>'
    '<ComparisonMeasure kind="distance"><euclidean/></ComparisonMeasure>'
    '<ClusteringField field="x"/><Cluster id="a"><Array n="1" type="real">0</Array></Cluster>'
    '<Cluster id="b"><Array n="1" type="real">10</Array></Cluster></ClusteringModel>'
)


def anomaly(inner: str, **said: str) -> str:
    attributes = "".join(f' {name}="{value}"' for name, value in said.items())
    model = f'<AnomalyDetectionModel functionName="regression"{attributes}>{{schema}}{inner}'
    return document(f"{model}</AnomalyDetectionModel>", FIELDS, "h")


def test_an_isolation_forest_compares_paths_with_their_mean() -> None:
    found = score(anomaly(PATHS, algorithmType="iforest", sampleDataSize="256"), [{"x": 4}, {"x": None}])
    mean = 2 * (log(255) + 0.5772156649) - 2 * 255 / 256
    np.testing.assert_allclose(found.result, [2 ** (-5 / mean), np.nan])


@pytest.mark.parametrize("algorithm", ["ocsvm", "other"])
def test_other_models_predict_the_score_itself(algorithm: str) -> None:
    assert score(anomaly(PATHS, algorithmType=algorithm), [{"x": 4}]).result[0] == 5


def test_clusters_compare_a_distance_with_the_mean_of_its_cluster() -> None:
    means = '<MeanClusterDistances><Array n="2" type="real">2 0.5</Array></MeanClusterDistances>'
    found = score(
        anomaly(CLUSTERS + means, algorithmType="clusterMeanDist"), [{"x": 1}, {"x": 11}, {"x": None}]
    )
    np.testing.assert_allclose(found.result, [0.5, 2, np.nan])


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (process('<RadialBasisKernel gamma="1"/>', ""), "TrainingInstances"),
        (process("<ARDSquaredExponentialKernel/>"), "Lambda"),
        (process('<RadialBasisKernel lambda="0"/>'), "lambda"),
        (process('<RadialBasisKernel gamma="-1" noiseVariance="0"/>'), "inverse"),
        (process("<RadialBasisKernel/>", INSTANCES.replace("<z>3</z>", "")), "missing"),
        (baseline('<GaussianDistribution mean="4" variance="0"/>'), "variance"),
        (baseline('<GaussianDistribution mean="4" variance="1"/>', "CUSUM"), "CUSUM"),
        (anomaly(PATHS, algorithmType="iforest"), "sampleDataSize"),
        (anomaly("", algorithmType="other"), "one model"),
        (anomaly(CLUSTERS, algorithmType="clusterMeanDist"), "MeanClusterDistances"),
    ],
)
def test_what_is_wrong_is_refused_by_name(text: str, named: str) -> None:
    with pytest.raises(ModelRejected, match=named):
        score(text, [{"x": 1, "z": 1}])


SPREAD = (
    '<RegressionModel functionName="regression">{schema}<LocalTransformations><DerivedField name="d" '
    'dataType="double" optype="continuous">%s</DerivedField></LocalTransformations>'
    '<RegressionTable intercept="1"><NumericPredictor name="d" coefficient="1"/></RegressionTable>'
    "</RegressionModel>"
)


MAPPED = '<MapValues outputColumn="b"><FieldColumnPair field="x" column="a"/><TableLocator/></MapValues>'


@pytest.mark.parametrize(
    ("model", "advice"),
    [
        ('<TextModel functionName="classification">{schema}</TextModel>', "on TextIndex fields$"),
        (
            '<SequenceModel functionName="sequences">{schema}</SequenceModel>',
            "where sequences of records are put together$",
        ),
        (
            SPREAD % '<Lag field="x" n="1"/>',
            "where the records are made, and give it to the model as a field$",
        ),
        (SPREAD % '<Aggregate field="x" function="sum" groupField="z"/>', "give it to the model as a field$"),
        (
            SPREAD % MAPPED,
            "a TableLocator in MapValues, .*: write the rows into an InlineTable$",
        ),
    ],
)
def test_what_cannot_be_served_is_refused_with_what_to_do_instead(model: str, advice: str) -> None:
    with pytest.raises(ModelRejected, match=advice):
        score(document(model, FIELDS, "h"), [{"x": 1}])
