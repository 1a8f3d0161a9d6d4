"""First weights: from a file that fits or a hub that answers, else an error with a way out."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save_file
from torch import nn

from runtime.errors import InputError, UsageError
from tests.train.tiny import tiny_recipe
from train import networks
from train.models.trunks import build_trunk
from train.recipe import Recipe
from train.weights import _reachable, load_trunk, parse_weights

BACKBONE = "mobilenetv2_035"


# --- the option ----------------------------------------------------------------------------------


def test_weights_for_one_backbone_and_for_many(tmp_path: Path) -> None:
    file = tmp_path / "a=b.safetensors"
    file.touch()
    assert parse_weights((), {"resnet50"}) == {}
    assert parse_weights((f"resnet50={file}",), {"resnet50", "small_se"}) == {"resnet50": file}
    plain = file.rename(tmp_path / "a.safetensors")
    assert parse_weights((str(plain),), {"resnet50", "small_se"}) == {"resnet50": plain}
    both = parse_weights((f"a={plain}", f"b={plain}"), {"a", "b"})
    assert both == {"a": plain, "b": plain}


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("{file}", "does not say which backbone"),
        ("vgg={file}", "backbone that the recipe does not use"),
        ("small_se={file}", "backbone that the recipe does not use"),
        ("resnet50={file}.not", "does not exist"),
        ("resnet50=", "does not exist"),
    ],
)
def test_weights_that_cannot_be_meant(option: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    file.touch()
    with pytest.raises(UsageError, match=said):
        parse_weights((option.format(file=file),), {"resnet50", "densenet169", "small_se"})


# --- the file ------------------------------------------------------------------------------------


def state() -> dict[str, torch.Tensor]:
    """A whole backbone with its classifier, as a hub has it."""
    import timm

    torch.manual_seed(3)
    return {k: v.contiguous() for k, v in timm.create_model(BACKBONE).state_dict().items()}


def trunk(cut: int | None = 2) -> nn.Module:
    torch.manual_seed(4)
    return build_trunk(BACKBONE, cut, {}, False)[0].eval()


@pytest.mark.parametrize("cut", [2, None])
def test_a_trunk_takes_over_every_tensor(cut: int | None, tmp_path: Path) -> None:
    save_file(state(), tmp_path / "w.safetensors")
    net, image = trunk(cut), torch.randn(1, 3, 64, 64)
    before = net(image)
    load_trunk(net, tmp_path / "w.safetensors")
    assert not torch.allclose(net(image), before)
    stored = state()
    loaded = net.state_dict()
    assert len(loaded) > 50
    for name, tensor in loaded.items():
        assert torch.equal(tensor, stored[name.removeprefix("net.model.")])


def test_the_encoder_of_a_unet_takes_the_same_file(tmp_path: Path) -> None:
    save_file(state(), tmp_path / "w.safetensors")
    fields = tiny_recipe()
    fields["segmenter"]["network"] = {
        "kind": "encoder_unet", "backbone": BACKBONE, "decoder": [8, 8, 8, 8, 8],
    }  # fmt: skip
    recipe = Recipe.model_validate(fields)
    encoder = networks.encoder_of(networks.build_segmenter(recipe), recipe.segmenter.network)
    assert encoder is not None
    load_trunk(encoder[0], tmp_path / "w.safetensors")
    first = next(iter(encoder[0].state_dict().values()))
    assert torch.equal(first, state()["conv_stem.weight"])


def test_an_encoder_whose_stages_were_taken_out_of_their_parent(tmp_path: Path) -> None:
    """A dense net's are called features_conv0 where its own file says features.conv0."""
    import segmentation_models_pytorch as smp
    import timm

    torch.manual_seed(3)
    options = {"growth_rate": 4, "block_config": (1, 1, 2, 1)}
    whole = timm.create_model("densenet121", **options).eval()
    save_file({k: v.contiguous() for k, v in whole.state_dict().items()}, tmp_path / "w")
    encoder = smp.Unet("tu-densenet121", encoder_weights=None, **options).encoder.eval()
    load_trunk(encoder, tmp_path / "w")
    image = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(encoder(image)[-1], whole.forward_features(image))


def test_a_file_that_lacks_tensors(tmp_path: Path) -> None:
    stored = state()
    del stored["conv_stem.weight"]
    save_file(stored, tmp_path / "w.safetensors")
    with pytest.raises(InputError, match="does not hold this backbone") as caught:
        load_trunk(trunk(), tmp_path / "w.safetensors")
    assert "'conv_stem.weight'" in str(caught.value.got)


def test_a_file_of_another_shape(tmp_path: Path) -> None:
    save_file(state() | {"conv_stem.weight": torch.zeros(1)}, tmp_path / "w.safetensors")
    with pytest.raises(InputError, match="other shapes") as caught:
        load_trunk(trunk(), tmp_path / "w.safetensors")
    assert "conv_stem.weight" in str(caught.value.got)


@pytest.mark.parametrize("content", [b"", b"a plain text", b"\x80\x02}q\x00.", b"\xff" * 64])
def test_a_file_of_another_format(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(content)
    with pytest.raises(InputError, match="not in safetensors format"):
        load_trunk(trunk(), tmp_path / "w.safetensors")


# --- the hub -------------------------------------------------------------------------------------


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A hub at a port where nothing listens, and an empty cache. What is changed is put back."""
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("no_proxy", "*")


@pytest.mark.usefixtures("no_hub")
def test_a_hub_out_of_reach_names_the_ways_out() -> None:
    fields = tiny_recipe() | {"pretrained": True}
    fields["members"]["first"] |= {"backbone": "resnet18", "options": {}}
    with pytest.raises(UsageError) as caught:
        networks.build_member(Recipe.model_validate(fields), "first", hub=True)
    assert "resnet18" in caught.value.what
    assert "http://127.0.0.1:9" in str(caught.value.expected)
    assert "--no-pretrained" in str(caught.value.remedy)
    assert "--weights FILE" in str(caught.value.remedy)
    # At once: the hub's own client is told not to try, so nothing waits for its retries.
    assert constants.HF_HUB_OFFLINE
    assert os.environ["HF_HUB_OFFLINE"] == "1"


@pytest.mark.usefixtures("no_hub")
def test_no_hub_is_asked_for_where_none_is_needed() -> None:
    fields = tiny_recipe() | {"pretrained": True}
    fields["members"]["first"] |= {"backbone": "resnet18", "options": {}}
    networks.build_member(Recipe.model_validate(fields), "first")  # filled from a run later
    assert not constants.HF_HUB_OFFLINE


@pytest.fixture
def listening() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_reachable(listening: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    assert _reachable(f"http://127.0.0.1:{listening}")
    assert not _reachable("http://127.0.0.1:9")


@pytest.mark.parametrize("scheme", ["http://", ""])
def test_behind_a_proxy_it_is_the_proxy_that_must_answer(
    scheme: str, listening: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", f"{scheme}127.0.0.1:{listening}")
    assert _reachable("https://hub.invalid")
    monkeypatch.setenv("https_proxy", f"{scheme}127.0.0.1:9")
    assert not _reachable("https://hub.invalid")
