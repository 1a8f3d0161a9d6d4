"""What the schema refuses: each row breaks one thing, and the message has to name it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from runtime.bundle import Bundle, InsidePath
from tests.bundle_factory import bundle_fields, image_input, model_fields

ZERO = "0" * 64
Fields = dict[str, Any]


def complete() -> Fields:
    """The tiny bundle's fields with hashes, as they stand in a bundle.json."""
    fields = bundle_fields() | {"schema": 1, "files": {}}
    for model in fields["models"].values():
        for variant in model["variants"]:
            variant["sha256"] = ZERO
            fields["files"][variant["file"]] = ZERO
    return fields


def test_the_tiny_bundle_is_one() -> None:
    bundle = Bundle.model_validate(complete())
    assert bundle.chain.classify == ("member_a", "member_b")
    assert Bundle.model_validate_json(bundle.model_dump_json(by_alias=True)) == bundle


def put(*path: Any) -> Callable[[Fields], None]:
    """Set the last of `path` at the place that the keys before it lead to."""
    *keys, last, value = path

    def change(fields: Fields) -> None:
        place = fields
        for key in keys:
            place = place[key]
        place[last] = value

    return change


def no_outputs_of_use(fields: Fields) -> None:
    fields["models"]["member_a"]["outputs"] = [{"name": "x", "role": "features"}]


def other_hash(fields: Fields) -> None:
    fields["models"]["member_a"]["variants"][0]["sha256"] = "1" * 64


def a_metadata_input(fields: Fields) -> None:
    fields["models"]["member_a"]["inputs"].append({"kind": "metadata", "name": "m"})


def two_without_combine(fields: Fields) -> None:
    fields["chain"]["combine"] = None


def no_threshold_but_a_point(fields: Fields) -> None:
    fields["decision"]["threshold"] = None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (put("surprise", 1), "surprise"),
        (put("chain", "surprise", 1), "surprise"),
        (put("schema", 2), "schema"),
        (put("name", "no spaces"), "name"),
        (put("name", "../up"), "name"),
        (put("classes", ["melanoma"]), "classes"),
        (put("classes", ["melanoma", "nevus", "nevus"]), "twice"),
        (put("positive", ["mole"]), "positive names the class 'mole'"),
        (put("decision", "score", "mole"), "decision.score names the class 'mole'"),
        (put("decision", "temperature", 0), "temperature"),
        (put("decision", "temperature", float("inf")), "temperature"),
        (put("decision", "threshold", 1.5), "threshold"),
        (no_threshold_but_a_point, "come together"),
        (put("chain", "classify", ["nobody"]), "chain.classify names the model 'nobody'"),
        (put("chain", "classify", []), "classify"),
        (put("chain", "segment", None), "shows the lesion"),
        (put("chain", "segment", {"model": "nobody"}), "chain.segment names the model 'nobody'"),
        (put("chain", "segment", {"model": "member_a"}), "mask output"),
        (put("chain", "combine", {"model": "nobody"}), "chain.combine names"),
        (put("chain", "combine", "takes", "features"), "takes features"),
        (two_without_combine, "2 members need a model"),
        (put("chain", "explain", {"models": ["nobody"]}), "chain.explain names"),
        (put("chain", "purify", {"method": "model"}), "purify names a model exactly when"),
        (put("chain", "purify", {"method": "classical", "model": "member_a"}), "purify names"),
        (put("chain", "purify", {"method": "model", "model": "nobody"}), "chain.purify names"),
        (put("chain", "purify", {"method": "model", "model": "member_a"}), "image output"),
        (put("views", "crop", {"source": "purified"}), "chain.purify is null"),
        (put("views", "crop", {"margin": 3.0}), "margin"),
        (put("views", {"whole": {}}), "names the view 'crop'"),
        (a_metadata_input, "takes metadata"),
        (no_outputs_of_use, "neither a probabilities nor a logits"),
        (put("models", "member_a", "variants", []), "variants"),
        (put("models", "member_a", "inputs", 0, "kind", "sound"), "kind"),
        (put("models", "member_a", "inputs", 0, "preprocess", "mean", [0.0]), "3 channels"),
        (put("models", "member_a", "inputs", 0, "preprocess", "size", [0, 8]), "size"),
        (put("models", "member_a", "inputs", 0, "preprocess", "std", [1, 1, 0]), "std"),
        (put("models", "member_a", "variants", 0, "file", "models/other.onnx"), "names the file"),
        (put("models", "member_a", "variants", 0, "file", "../x.onnx"), "stay inside"),
        (put("models", "member_a", "variants", 0, "for", ["caffe"]), "for"),
        (put("models", "member_a", "variants", 0, "sha256", "abc"), "sha256"),
        (other_hash, "different hashes"),
        (put("quality", {"focus": {"min": 0.2}}), "hint"),
    ],
)
def test_refused(change: Callable[[Fields], None], words: str) -> None:
    fields = complete()
    change(fields)
    with pytest.raises(ValidationError) as caught:
        Bundle.model_validate(fields)
    assert words in str(caught.value)


def test_what_is_read_cannot_be_changed() -> None:
    bundle = Bundle.model_validate(complete())
    with pytest.raises(ValidationError, match="frozen"):
        bundle.decision.threshold = 0.1  # type: ignore[misc]


@pytest.mark.parametrize(
    "path", ["", "/etc/passwd", "..", "a/../../b", "a/..", "a//b", "./a", "a\\b", "C:/x", "a\0b"]
)
def test_paths_that_are_not_plain(path: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(InsidePath).validate_python(path)


@given(st.text(alphabet="ab./\\:~ ", min_size=1, max_size=12))
def test_an_accepted_path_stays_inside(path: str) -> None:
    try:
        TypeAdapter(InsidePath).validate_python(path)
    except ValidationError:
        return
    depth = 0
    for part in path.split("/"):
        depth += -1 if part == ".." else 1
        assert depth >= 0
    assert not path.startswith("/")


def test_roles_and_inputs_are_found_by_what_they_are() -> None:
    fields = complete()
    fields["models"]["member_a"] = model_fields("member_a", [image_input("crop")], "logits")
    fields["models"]["member_a"]["variants"][0]["sha256"] = ZERO
    model = Bundle.model_validate(fields).models["member_a"]
    assert model.output("logits") == "logits"
    assert model.output("probabilities") is None
    image = model.image_input()
    assert image is not None
    assert image.view == "crop"
