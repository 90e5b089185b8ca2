"""Rows on which the reference evaluator and the standard differ, where this project follows the standard.

Each entry gives the rule of the standard, after the name of its page on dmg.org. A row that is not listed and
differs counts as wrong.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

__all__ = ["DIFFERENCES", "reason_for"]

_WHOLE_TARGET = (
    "Targets: castInteger says how decimal places are handled; without it they stay. The standard's own "
    "example of linear regression has a target of type integer and results with decimal places"
)
_LIKELIHOODS = (
    "Naive Bayes: the probability of a class is its share in the sum of the likelihoods. That of densities "
    "below the least double is not 0/0: their logarithms are added"
)
_SHARES = "Naive Bayes: the probabilities of the classes sum to 1; the reference's are all 0"
_THRESHOLD = (
    "Support Vector Machine: a prediction below the threshold belongs to targetCategory, otherwise it "
    "belongs to alternateTargetCategory"
)
_ROUNDED = "Support Vector Machine (PMML 3.2): a value that rounds to 0 is alternateBinaryTargetCategory"
_SOFTMAX = (
    "General Regression: the shares exp(s) / sum of exp(s) exist where exp(s) is above the greatest double"
)
# A second implementation reads it so too: PMML4S leaves a residual out where the true value is missing, and
# converts a result to the type of its output field, and the record keeps its result (``Model.result``). Where
# the standard has a rule for an output field that cannot be delivered (segmentId), the field is missing.
_OUTPUT = (
    "Output: an output field is computed from the result of the model, which no rule takes away because the "
    "field has no value. Here a residual lacks the true value, or a result with decimal places is cast to an "
    "integer; the reference refuses the record"
)
_NO_TARGET = (
    "Mining Schema: the definition of target fields is not required. The classes are those of the "
    "RegressionTables; the reference looks for them in a target field"
)
_NEAREST = (
    "Nearest Neighbors: a model without targets names the nearest training instances by their ids. Here the "
    "id of the nearest one is the predicted value, where the reference has none"
)
_NAN = "Mining Schema: NaN is no value. Here it stands for a missing one; the reference finds it invalid"
_SINGLE = (
    "Data Dictionary: a field of type float has values of 32 bits, so a margin of 6.9 includes the value "
    "6.9; the reference compares the value rounded to 32 bits with the margin of 64"
)
_CATEGORY = (
    "Regression: a CategoricalPredictor whose field is missing counts nothing. Here the field is an output "
    "of a segment without a prediction, after which a modelChain continues (Multiple Models: "
    "missingPredictionTreatment)"
)
_WEIGHTED = (
    "Trees: with weightedConfidence a Node of which the predicate is unknown and its siblings that are not "
    "false are scored, recursively; their confidences are weighted by their shares of the records and "
    "summed, and the class with the highest sum wins. The reference does not support this strategy"
)
_AGGREGATED = (
    "Trees: with aggregateNodes an unknown predicate counts as true, and the next siblings are evaluated as "
    "well; the recordCounts of each value in the ScoreDistributions of all leaves that are reached are "
    "added, and the value with the highest sum is predicted. The reference does not support this strategy"
)
_DEFAULT = (
    "RuleSet: a rule of which the predicate is unknown does not fire, and where no rule fires defaultScore "
    "is the prediction. The reference wants a defaultConfidence too, which is optional"
)
_VOTES = (
    "Multiple Models: with majorityVote and weightedMajorityVote the probabilities are the proportions of "
    "the votes for each category. The reference's outputs say so too, but its probabilities of the target "
    "are 0 for every class"
)

DIFFERENCES: Mapping[str, tuple[Collection[int], str]] = {
    "drools.RandomForestClassifier": (range(26), _VOTES),
    "drools.adult": ((15, 17, 19, 25), _DEFAULT),
    "drools.churn": ((12, 13, 14, 15, 16, 17, 18, 19, 22), _DEFAULT),
    "drools.toto": ((13, 14, 15, 16, 20, 22), _DEFAULT),
    "evaluator.evaluator.MissingPredictionTest": (range(26), _VOTES),
    "drools.LinearRegressionSample_": (range(26), _WHOLE_TARGET),
    "evalhist.knime.GeneralRegressionOzone": (range(40), _WHOLE_TARGET),
    "evalhist.knime.NeuralNetworkOzone": (range(40), _WHOLE_TARGET),
    "evalhist.rattle.NaiveBayesAudit": ((38, 39), _LIKELIHOODS),
    "evalhist.rattle.NaiveBayesIris": ((18, 37), _LIKELIHOODS),
    "evaluator.evaluator.AlternateBinaryTargetCategoryTest": ((0, 2, 10, 16), _ROUNDED),
    "evaluator.evaluator.CategoricalResidualTest": (range(26), _OUTPUT),
    "evaluator.evaluator.ClusteringNeighborhoodTest": (range(26), _NEAREST),
    "evaluator.evaluator.PriorProbabilitiesTest": (range(26), _NO_TARGET),
    "evaluator.evaluator.RegressionOutputTest": (range(26), _OUTPUT),
    "evaluator.evaluator.TargetValueCountsTest": (range(26), _SHARES),
    "jpmml-legacy.evaluator.MissingValueStrategyTest": ((14, 16, 18, 19, 20), _WEIGHTED),
    "jpmml-legacy.evaluator.TargetValueCountsTest": (range(26), _SHARES),
    "jpmml-legacy.knime.NeuralNetworkOzone": (range(40), _WHOLE_TARGET),
    "jpmml-legacy.knime.RegressionOzone": (range(40), _WHOLE_TARGET),
    "pmml4s.dmg_general_multinomial_logistic": ((21,), _SOFTMAX),
    "pmml4s.dmg_tree_missing_aggregateNodes": ((12, 15, 16, 17), _AGGREGATED),
    "pmml4s.dmg_tree_missing_value_strategies": ((13, 14, 18, 20), _WEIGHTED),
    "pmml4s.dmg_svm_classification_cont_predictors": (range(26), _THRESHOLD),
    "sklearn.sklearn-extension.EstimatorTransformerVisit": ((29, 33), _CATEGORY),
    "sklearn.sklearn.DecisionTreeIrisNA": ((14, 16, 28, 30, 36), f"{_NAN}. {_SINGLE}"),
    "sklearn.sklearn.NearestNeighborsWheat": (range(40), _NEAREST),
    "sklearn.sklearn.OrdinalEncoderAutoNA": ((21, 28, 32), _NAN),
    "sklearn.sklearn.RandomForestIrisNA": ((18, 19, 22, 25, 29), f"{_NAN}. {_SINGLE}"),
    "sklearn.sklearn.SelectFirstIris": ((25,), _SINGLE),
}
"""By document: the places of its rows, and the rule of the standard (PMML 4.4) that decides."""


def reason_for(document: str, row: int) -> str | None:
    """Returns the rule by which a row may differ from the reference, None when it must not."""
    rows, rule = DIFFERENCES.get(document, ((), ""))
    return rule if row in rows else None
