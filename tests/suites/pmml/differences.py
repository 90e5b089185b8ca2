"""Rows on which the reference evaluator and the standard differ, where this project follows the standard.

Each entry quotes the rule of the standard. A row that is not listed and differs counts as wrong.
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
_OUTPUT = "Output: an output field without a value does not take away the predicted value"
_NO_TARGET = "Mining Schema: a model needs no target field; its classes are those of its RegressionTables"

DIFFERENCES: Mapping[str, tuple[Collection[int], str]] = {
    "drools.LinearRegressionSample_": (range(26), _WHOLE_TARGET),
    "evalhist.knime.GeneralRegressionOzone": (range(40), _WHOLE_TARGET),
    "evalhist.knime.NeuralNetworkOzone": (range(40), _WHOLE_TARGET),
    "evalhist.rattle.NaiveBayesAudit": ((38, 39), _LIKELIHOODS),
    "evalhist.rattle.NaiveBayesIris": ((18, 37), _LIKELIHOODS),
    "evaluator.evaluator.AlternateBinaryTargetCategoryTest": ((0, 2, 10, 16), _ROUNDED),
    "evaluator.evaluator.CategoricalResidualTest": (range(26), _OUTPUT),
    "evaluator.evaluator.PriorProbabilitiesTest": (range(26), _NO_TARGET),
    "evaluator.evaluator.RegressionOutputTest": (range(26), _OUTPUT),
    "evaluator.evaluator.TargetValueCountsTest": (range(26), _SHARES),
    "jpmml-legacy.evaluator.TargetValueCountsTest": (range(26), _SHARES),
    "jpmml-legacy.knime.NeuralNetworkOzone": (range(40), _WHOLE_TARGET),
    "jpmml-legacy.knime.RegressionOzone": (range(40), _WHOLE_TARGET),
    "pmml4s.dmg_general_multinomial_logistic": ((21,), _SOFTMAX),
    "pmml4s.dmg_svm_classification_cont_predictors": (range(26), _THRESHOLD),
}
"""By document: the places of its rows, and the rule of the standard (PMML 4.4) that decides."""


def reason_for(document: str, row: int) -> str | None:
    """Returns the rule by which a row may differ from the reference, None when it must not."""
    rows, rule = DIFFERENCES.get(document, ((), ""))
    return rule if row in rows else None
