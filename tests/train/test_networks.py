"""The networks are what the papers draw: sizes, parameters, and who sees what."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from runtime.errors import UsageError
from tests.train.tiny import tiny_recipe
from train import networks
from train.models.locally_connected import LocallyConnected
from train.models.member import Member
from train.models.se import SqueezeExcite
from train.models.small_se import SmallSE
from train.models.trunks import build_trunk
from train.models.unet import LEVELS, UNet
from train.recipe import Recipe
from train.recipe_files import load_recipe

META = torch.device("meta")  # shapes without numbers: a network of 50 million weights in no time


def parameters(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


# --- the ensemble --------------------------------------------------------------------------------


@pytest.mark.parametrize(("classes", "count"), [(3, 423), (2, 282)])
def test_the_ensemble_has_the_papers_parameters(classes: int, count: int) -> None:
    assert parameters(LocallyConnected(5, classes, 20)) == count


def test_a_class_is_judged_by_its_own_probabilities_only() -> None:
    torch.manual_seed(0)
    net = LocallyConnected(members=5, classes=3, filters=20)
    inputs = torch.rand(8, 5, 3)
    before = net.logits(inputs)
    for changed in range(3):
        other = inputs.clone()
        other[:, :, changed] = torch.rand(8, 5)
        moved = (net.logits(other) != before).any(dim=0).tolist()
        assert moved == [code == changed for code in range(3)]


def test_the_ensemble_is_two_layers_a_class() -> None:
    torch.manual_seed(1)
    net = LocallyConnected(members=2, classes=3, filters=4)
    inputs = torch.rand(6, 2, 3)
    hidden, hidden_bias = net.hidden.weight[:, :, 0, 0], net.hidden.bias
    out, out_bias = net.out.weight[:, :, 0, 0], net.out.bias
    assert hidden_bias is not None
    assert out_bias is not None
    columns = []
    for code in range(3):
        mine = slice(4 * code, 4 * code + 4)
        layer = torch.relu(inputs[:, :, code] @ hidden[mine].T + hidden_bias[mine])
        columns.append(layer @ out[code] + out_bias[code])
    expected = torch.softmax(torch.stack(columns, dim=1), dim=1)
    assert torch.allclose(net(inputs), expected, atol=1e-6)
    assert torch.allclose(net(inputs).sum(dim=1), torch.ones(6))


# --- segmentation --------------------------------------------------------------------------------


def unet_parameters(width: int, batch_norm: bool = False) -> int:
    """Counted from the drawing: two convolutions a block, a deconvolution before each rise. Batch
    normalisation has a scale and a shift for each channel, where the convolution had a bias."""

    def conv(inputs: int, outputs: int, side: int) -> int:
        return inputs * outputs * side**2 + outputs

    def block(inputs: int, outputs: int) -> int:
        return conv(inputs, outputs, 3) + conv(outputs, outputs, 3) + 2 * batch_norm * outputs

    widths = [width * 2**level for level in range(5)]
    down = sum(block(i, o) for i, o in zip([3, *widths[:-1]], widths, strict=True))
    up = sum(conv(2 * w, w, 2) + block(2 * w, w) for w in widths[:-1])
    return down + up + conv(width, 1, 1)


@pytest.mark.parametrize("width", [4, 64])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_unet_is_ronnebergers(width: int, batch_norm: bool) -> None:
    with META:
        net = UNet(width, batch_norm=batch_norm)
    assert parameters(net) == unet_parameters(width, batch_norm)
    norms = [layer for layer in net.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert len(norms) == batch_norm * 2 * (2 * LEVELS + 1)


@pytest.mark.parametrize("size", [(16, 16), (64, 48), (32, 160)])
def test_a_mask_is_as_large_as_its_image(size: tuple[int, int]) -> None:
    net, bottom = UNet(2), []
    net.bottom.register_forward_hook(lambda *hook: bottom.append(hook[2].shape))
    assert net(torch.zeros(2, 3, *size)).shape == (2, 1, *size)
    assert LEVELS == 4
    assert bottom == [(2, 2 * 2**4, size[0] // 16, size[1] // 16)]


def test_a_signal_reaches_the_end_of_the_unet() -> None:
    """Without batch normalisation a bad scale would leave the first gradients at nothing."""
    torch.manual_seed(0)
    net = UNet(8)
    net(torch.randn(2, 3, 32, 32)).mean().backward()
    first = next(net.parameters())
    assert first.grad is not None
    assert float(first.grad.abs().max()) > 1e-4


# --- classification ------------------------------------------------------------------------------


def test_squeeze_and_excitation_by_hand() -> None:
    torch.manual_seed(0)
    gate, features = SqueezeExcite(6, 3), torch.randn(2, 6, 5, 4)
    x = features.numpy()
    squeeze, excite = (w.weight.detach().numpy() for w in (gate.squeeze, gate.excite))
    hidden = np.maximum(x.mean(axis=(2, 3)) @ squeeze.T, 0)
    weight = 1 / (1 + np.exp(-(hidden @ excite.T)))
    np.testing.assert_allclose(
        gate(features).detach().numpy(), x * weight[:, :, None, None], rtol=1e-5, atol=1e-6
    )
    assert parameters(gate) == 2 * 6 * 3


def test_a_member_gives_logits_and_features() -> None:
    trunk = SmallSE(width=8)
    net = Member(trunk, trunk.channels, classes=3, se_width=4, features=16, dropout=0.5).eval()
    image = torch.randn(2, 3, 64, 64)
    assert trunk(image).shape == (2, 32, 4, 4)
    logits, features = net(image)
    assert (logits.shape, features.shape) == ((2, 3), (2, 16))
    assert bool((features >= 0).all())
    assert torch.allclose(logits, net.head(features))
    spread = torch.softmax(logits, dim=1)
    assert bool(((spread - 1 / 3).abs() < 0.2).all()), "an untrained member has no opinion"


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("inception_v3", 2048),
        ("densenet169", 1664),
        ("resnet50", 2048),
        ("inception_resnet_v2", 1536),
        ("xception", 2048),
    ],
)
def test_dings_members_build_on_timms_backbones(name: str, channels: int) -> None:
    recipe = load_recipe("ding")
    with META:
        net = networks.build_member(recipe, name).eval()
        image = torch.zeros(1, 3, *recipe.members[name].size)
        logits, features = net(image)
        planes = net.trunk(image)
    assert (logits.shape, features.shape) == ((1, 3), (1, 128))
    assert planes.shape[:2] == (1, channels)
    assert min(planes.shape[2:]) >= 5
    assert parameters(net.se) == 2 * channels * 128
    assert parameters(net) == (
        parameters(net.trunk) + parameters(net.se) + (channels + 1) * 128 + (128 + 1) * 3
    )


@pytest.mark.slow
def test_a_member_of_ding_computes() -> None:
    torch.manual_seed(0)
    net = networks.build_member(load_recipe("ding"), "inception_v3").eval()
    with torch.inference_mode():
        one, other = (net(torch.randn(1, 3, 224, 224))[0] for _ in range(2))
    assert bool(torch.isfinite(one).all())
    assert not torch.equal(one, other)


def test_layers_behind_a_cut_are_not_built() -> None:
    with META:
        built = [build_trunk("mobilenetv2_100", cut, {}, False) for cut in (1, 3, 4, None)]
    counts = [parameters(trunk) for trunk, _ in built]
    assert counts == sorted(set(counts))
    for (trunk, channels), stride in zip(built, (4, 16, 32, 32), strict=True):
        with META:
            shape = trunk.eval()(torch.zeros(1, 3, 64, 64)).shape
        assert shape == (1, channels, 64 // stride, 64 // stride)


@pytest.mark.parametrize("backbone", ["resnet18", "vgg16", "mobilenetv3_small_050"])
def test_a_trunk_gives_as_many_channels_as_it_says(backbone: str) -> None:
    """The last two have layers behind what timm calls their features."""
    with META:
        trunk, channels = build_trunk(backbone, None, {}, False)
        assert trunk.eval()(torch.zeros(1, 3, 224, 224)).shape[:2] == (1, channels)


def test_an_unknown_backbone_suggests_known_ones() -> None:
    with pytest.raises(UsageError) as caught:
        build_trunk("resnet_50", None, {}, False)
    assert caught.value.got == "resnet_50"
    assert "small_se" in str(caught.value.expected)
    assert "resnet50" in str(caught.value.expected)


def test_a_trunk_of_our_own_has_no_stages_to_cut_at() -> None:
    with pytest.raises(UsageError, match="no stages"):
        build_trunk("small_se", 3, {}, False)


def test_mean_and_deviation_are_the_backbones_own_unless_given() -> None:
    fields = tiny_recipe()
    fields["members"]["first"] |= {"backbone": "legacy_xception", "options": {}}
    recipe = Recipe.model_validate(fields)
    assert networks.member_preprocess(recipe, "first").mean == (0.5, 0.5, 0.5)
    assert networks.member_preprocess(recipe, "second").mean == networks.IMAGENET_MEAN
    fields["members"]["first"]["mean"] = [0.1, 0.2, 0.3]
    recipe = Recipe.model_validate(fields)
    assert networks.member_preprocess(recipe, "first").mean == (0.1, 0.2, 0.3)


def test_an_encoder_unet_from_the_demo() -> None:
    recipe = load_recipe("demo")
    net = networks.build_segmenter(recipe).eval()
    with torch.inference_mode():
        assert net(torch.zeros(1, 3, 64, 96)).shape == (1, 1, 64, 96)
    encoder = networks.encoder_of(net, recipe.segmenter.network)
    assert encoder is not None
    assert encoder[1] == "mobilenetv2_100"
    ding = load_recipe("ding")
    assert networks.encoder_of(nn.Identity(), ding.segmenter.network) is None
