"""A recipe: one YAML file that says how a published system, or ours, is built and trained.

Every field is checked and an unknown one is an error, so a misspelt learning rate cannot pass.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from runtime.metadata import MetadataSpec
from runtime.specs import ViewSpec
from train.recipe_parts.combiners import CombinerChoice, LocallyConnectedRecipe, LogisticRecipe
from train.recipe_parts.fields import Plain
from train.recipe_parts.members import MemberRecipe, PooledRecipe, ZooMeRecipe
from train.recipe_parts.pictures import SyntheticRecipe
from train.recipe_parts.purifiers import Purification
from train.recipe_parts.segmenters import SegmenterRecipe
from train.recipe_parts.training import Training


class Recipe(Purification):
    name: str
    about: str
    intended_use: str
    classes: Annotated[tuple[str, ...], Field(min_length=2)]
    positive: Annotated[tuple[str, ...], Field(min_length=1)]
    score: str
    pretrained: bool
    folds: Annotated[int, Field(ge=2)]
    seed: int = 0
    segmenter: SegmenterRecipe | None  # null: networks look at the whole frame
    views: dict[Plain, ViewSpec]
    members: Annotated[dict[Plain, MemberRecipe], Field(min_length=1)]
    metadata: MetadataSpec | None = None  # what networks may be told of the patient
    training: Training
    synthetic: SyntheticRecipe | None = None
    ensemble: CombinerChoice | None = LocallyConnectedRecipe()  # null: the one member decides
    # Members that also say how unlike the images that they were trained on a picture is.
    unlikeness: tuple[Plain, ...] = ()
    # Members' batch normalisation is measured once more when they are trained, on their training
    # images as they are: what training leaves is of changed images, by weights that still moved.
    clean_statistics: bool = False
    # Of so many of its mirror images, itself among them, a trained member is asked at once.
    mirror_images: Literal[1, 2, 4] = 1

    @model_validator(mode="after")
    def _names_fit(self) -> Recipe:
        for name, member in self.members.items():
            if member.view not in self.views:
                views = ", ".join(self.views)
                raise ValueError(f"members.{name}.view is {member.view!r}, there are {views}")
            if name in ("segmenter", "purifier", "ensemble"):
                raise ValueError(f"members.{name} has the name of another part of the system")
        for name, view in self.views.items():
            if view.shows_lesion and self.segmenter is None:
                raise ValueError(f"views.{name} shows the lesion, but segmenter is null")
        self.check_sources(self.views, [member.view for member in self.members.values()])
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("classes has a name twice")
        for name in (*self.positive, self.score):
            if name not in self.classes:
                raise ValueError(f"{name!r} is not one of the classes {', '.join(self.classes)}")
        return self

    @model_validator(mode="after")
    def _unlikeness_has_depths(self) -> Recipe:
        for name in self.unlikeness:
            member = self.members.get(name)
            if member is None:
                raise ValueError(f"unlikeness names {name}, which is not one of the members")
            if not isinstance(member, PooledRecipe) or member.cut is None:
                raise ValueError(f"unlikeness is of trunks that are cut: give members.{name} a cut")
        return self

    @model_validator(mode="after")
    def _pictures_can_be_mirrored(self) -> Recipe:
        for name, member in self.members.items():
            if self.mirror_images > 1 and not isinstance(member, PooledRecipe):
                raise ValueError(f"mirror_images is not for members.{name}, of kind {member.kind}")
        return self

    @model_validator(mode="after")
    def _made_pictures_fit(self) -> Recipe:
        """What is made is a picture of a whole frame, of nobody, with no mask."""
        if self.synthetic is None:
            return self
        for name in self.synthetic.images:
            if name not in self.classes:
                raise ValueError(f"synthetic.images.{name} is not one of the classes")
        for name, member in self.members.items():
            if self.views[member.view].shows_lesion:
                raise ValueError(
                    f"members.{name} looks at the lesion: synthetic pictures have none"
                )
            if isinstance(member, ZooMeRecipe) and member.metadata:
                raise ValueError(f"members.{name} takes metadata: synthetic pictures are of nobody")
        return self

    @model_validator(mode="after")
    def _weighted_classes_are_there(self) -> Recipe:
        for training in (self.training, *map(self.training_of, self.members)):
            weights = training.class_weights
            for name in weights if isinstance(weights, dict) else ():
                if name not in self.classes:
                    known = ", ".join(self.classes)
                    raise ValueError(f"class_weights has {name!r}, the classes are {known}")
        return self

    @model_validator(mode="after")
    def _features_can_be_averaged(self) -> Recipe:
        if self.ensemble is None or self.ensemble.takes != "features":
            return self
        widths = {m.features for m in self.members.values() if isinstance(m, PooledRecipe)}
        plain = all(isinstance(member, PooledRecipe) for member in self.members.values())
        if not plain or None in widths or len(widths) > 1:
            raise ValueError("ensemble takes features: give every member the same `features`")
        return self

    @model_validator(mode="after")
    def _members_fit(self) -> Recipe:
        if self.ensemble is None and len(self.members) > 1:
            raise ValueError("ensemble is null, but there are several members to combine")
        told = isinstance(self.ensemble, LogisticRecipe) and self.ensemble.metadata
        if told and self.metadata is None:
            raise ValueError("ensemble takes metadata, but the recipe says of none")
        for name, member in self.members.items():
            if not isinstance(member, ZooMeRecipe):
                continue
            if member.metadata and self.metadata is None:
                raise ValueError(f"members.{name} takes metadata, but the recipe says of none")
            if len(self.classes) != 2 or self.positive != self.classes[:1]:
                raise ValueError(f"members.{name} decides between two classes, the positive first")
        return self

    def training_of(self, member: str) -> Training:
        return self.members[member].training or self.training
