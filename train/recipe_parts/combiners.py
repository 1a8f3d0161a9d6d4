"""What joins several members."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Tag

from runtime.specs import Spec
from train.recipe_parts.fields import Count, Positive, kind_or


class LocallyConnectedRecipe(Spec):
    """Ding's: two locally connected layers and a softmax, fitted on out-of-fold predictions."""

    kind: Literal["locally_connected"] = "locally_connected"
    takes: Literal["probabilities"] = "probabilities"
    filters: Count = 20
    epochs: Count = 300  # at most
    rate: Positive = 3e-4

    @property
    def described(self) -> str:
        return f"locally connected, {self.filters} filters a class"


class MeanRecipe(Spec):
    kind: Literal["mean"]
    takes: Literal["probabilities"] = "probabilities"

    @property
    def described(self) -> str:
        return "mean of the members"


class SvmRecipe(Spec):
    """Support vector machines with hinge loss on the average of the members, then Platt scaling."""

    kind: Literal["svm"]
    takes: Literal["probabilities", "features"] = "features"
    kernel: Literal["linear", "rbf"] = "rbf"
    cost: Positive = 1.0
    class_weights: Literal["none", "balanced"] = "balanced"

    @property
    def described(self) -> str:
        return f"support vector machine ({self.kernel}) on the mean of the members' {self.takes}"


class LogisticRecipe(Spec):
    """Logistic regression on the mean of the members' logarithms, and the recipe's `metadata`."""

    kind: Literal["logistic"]
    takes: Literal["probabilities"] = "probabilities"
    metadata: bool = True
    cost: Positive = 1.0  # the larger, the closer to the predictions that it is fitted on

    @property
    def described(self) -> str:
        return f"logistic regression{', metadata' * self.metadata}"


CombinerChoice = Annotated[
    Annotated[LocallyConnectedRecipe, Tag("locally_connected")]
    | Annotated[MeanRecipe, Tag("mean")]
    | Annotated[SvmRecipe, Tag("svm")]
    | Annotated[LogisticRecipe, Tag("logistic")],
    Discriminator(kind_or("locally_connected")),
]
