"""The same numbers as transformers' classes on the same random weights: logits, loss, gradients."""

from pathlib import Path

import pytest
import torch
import transformers
from torch import Tensor, nn
from torch.nn import functional as F

from seedbed.models import (
    DiscriminatorHead,
    MaskedLMHead,
    SequenceClassifier,
    build_sequence_classifier,
    save_pretrained,
)
from seedbed.models.encoder import Encoder, Family
from seedbed.models.layout import encoder_tensors, head_tensors
from seedbed.models.vocabulary_loss import vocabulary_loss
from tests.models.families import FAMILIES, rows, shake, small, vocabulary_of

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-5}
EXACT = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["fp64", "fp32"])
PADDED = pytest.mark.parametrize("padded", [False, True], ids=["packed", "padded"])
EVERY = pytest.mark.parametrize("family", FAMILIES)


def assert_close(ours: Tensor, theirs: Tensor, dtype: torch.dtype, what: str) -> None:
    assert ours.shape == theirs.shape, what
    ours, theirs = ours.detach(), theirs.detach()
    scale = max(1.0, float(theirs.abs().max()))
    difference = float((ours.double() - theirs.double()).abs().max())
    assert difference <= TOLERANCE[dtype] * scale, f"{what}: differs by {difference:g} at scale {scale:g}"


def reference(folder: Path, name: str, dtype: torch.dtype) -> nn.Module:
    return getattr(transformers, name).from_pretrained(folder, attn_implementation="eager").to(dtype).eval()


def gradients(module: nn.Module) -> dict[str, Tensor]:
    return {name: p.grad for name, p in module.named_parameters() if p.grad is not None}


def as_gradients(module: nn.Module) -> nn.Module:
    """The module with its gradients in place of its values, to be renamed like values."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.zeros_like(parameter) if parameter.grad is None else parameter.grad)
    return module


def assert_same_gradients(ours: dict[str, Tensor], theirs: dict[str, Tensor], dtype: torch.dtype) -> None:
    assert not theirs.keys() - ours.keys(), theirs.keys() - ours.keys()
    for name, gradient in theirs.items():
        assert_close(ours[name], gradient, dtype, f"gradient of {name}")
    for name in ours.keys() - theirs.keys():
        assert not ours[name].any(), f"{name}: a gradient that the reference has not"


def build(family: Family, dtype: torch.dtype) -> Encoder:
    encoder = small(family).build(vocabulary_of(family))
    shake(encoder)
    # fp32 first: the folder holds fp32, both sides must start from the same numbers
    return encoder.float().to(dtype)


@EVERY
@PADDED
@EXACT
def test_masked_lm(family: Family, padded: bool, dtype: torch.dtype, tmp_path: Path) -> None:
    encoder = build(family, dtype)
    head = MaskedLMHead(encoder.config, vocabulary_size=encoder.vocabulary_size)
    shake(head, seed=1)
    head = head.float().to(dtype)
    save_pretrained(tmp_path, encoder, head=head)
    name = {"bert": "Bert", "electra": "Electra", "roberta": "Roberta"}[family] + "ForMaskedLM"
    other = reference(tmp_path, name, dtype)

    batch = rows(family, padded=padded)
    mask = batch["attention_mask"] if padded else None
    chosen_N = torch.tensor([1, 4, 7, 22, 25, 41, 43, 62, 81, 83])
    labels_N = batch["input_ids"].flatten()[chosen_N].clone()
    batch["input_ids"].view(-1)[chosen_N] = vocabulary_of(family).mask_id

    hidden_ND = encoder(batch["input_ids"], mask, selected_N=chosen_N)
    features_NE = head(hidden_ND)
    weight = encoder.embeddings.token.weight
    logits_NV = F.linear(features_NE, weight, head.bias)
    loss = vocabulary_loss(features_NE, weight, head.bias, labels_N).total / len(labels_N)
    loss.backward()

    labels = torch.full_like(batch["input_ids"], -100)
    labels.view(-1)[chosen_N] = labels_N
    theirs = other(input_ids=batch["input_ids"], attention_mask=mask, labels=labels)
    theirs.loss.backward()

    assert_close(logits_NV, theirs.logits.flatten(0, 1)[chosen_N], dtype, "logits")
    assert_close(loss, theirs.loss, dtype, "loss")
    everywhere_BLD = encoder(batch["input_ids"], mask)
    assert_close(everywhere_BLD.flatten(0, 1)[chosen_N], hidden_ND, dtype, "selected positions")

    ours = encoder_tensors(as_gradients(encoder), prefix=f"{family}.")
    ours |= head_tensors(as_gradients(head), family, "masked_lm")
    assert_same_gradients(ours, gradients(other), dtype)


@PADDED
@EXACT
def test_replaced_token_detection(padded: bool, dtype: torch.dtype, tmp_path: Path) -> None:
    encoder = build("electra", dtype)
    head = DiscriminatorHead(encoder.config)
    shake(head, seed=1)
    head = head.float().to(dtype)
    save_pretrained(tmp_path, encoder, head=head)
    other = reference(tmp_path, "ElectraForPreTraining", dtype)
    batch = rows("electra", padded=padded)
    mask = batch["attention_mask"] if padded else None
    replaced = torch.rand(batch["input_ids"].shape, generator=torch.Generator().manual_seed(3)) < 0.15

    from seedbed.objectives.replaced_token_detection import detection_total

    logits_BL = head(encoder(batch["input_ids"], mask))
    count = replaced.numel() if mask is None else mask.sum()
    loss = detection_total(logits_BL, replaced, mask) / count
    loss.backward()
    theirs = other(input_ids=batch["input_ids"], attention_mask=mask, labels=replaced.long())
    # theirs.loss turns the labels, and with them itself, to fp32: the formula of that class in `dtype`
    real = batch["attention_mask"].bool()
    their_loss = F.binary_cross_entropy_with_logits(theirs.logits[real], replaced[real].to(dtype))
    assert_close(their_loss.float(), theirs.loss, torch.float32, "their loss")
    their_loss.backward()

    assert_close(logits_BL[real], theirs.logits[real], dtype, "logits")
    assert_close(loss, their_loss, dtype, "loss")
    ours = encoder_tensors(as_gradients(encoder), prefix="electra.")
    ours |= head_tensors(as_gradients(head), "electra", "replaced_token_detection")
    assert_same_gradients(ours, gradients(other), dtype)


@EVERY
@EXACT
def test_sequence_classification(family: Family, dtype: torch.dtype, tmp_path: Path) -> None:
    classifier = build_sequence_classifier(small(family), vocabulary_of(family), num_labels=5)
    shake(classifier)
    classifier = classifier.float().to(dtype)
    save_pretrained(tmp_path, classifier.encoder, head=classifier)
    name = {"bert": "Bert", "electra": "Electra", "roberta": "Roberta"}[family] + "ForSequenceClassification"
    other = reference(tmp_path, name, dtype)
    assert other.config.num_labels == 5
    batch = rows(family, padded=True)
    inputs = dict(batch)
    if family != "roberta":
        inputs["token_type_ids"] = (torch.arange(20) > 9).long().expand(5, 20).contiguous()
    labels = torch.tensor([0, 1, 2, 3, 4])

    logits_BC = classifier(batch["input_ids"], batch["attention_mask"], inputs.get("token_type_ids"))
    loss = F.cross_entropy(logits_BC, labels)
    loss.backward()
    theirs = other(**inputs, labels=labels)
    theirs.loss.backward()

    assert_close(logits_BC, theirs.logits, dtype, "logits")
    assert_close(loss, theirs.loss, dtype, "loss")
    assert isinstance(classifier, SequenceClassifier)
    ours = encoder_tensors(as_gradients(classifier.encoder), prefix=f"{family}.")
    ours |= head_tensors(as_gradients(classifier.head), family, "sequence_classification")
    assert_same_gradients(ours, gradients(other), dtype)


def test_fused_attention_agrees_with_explicit_products() -> None:
    """The kernel used on other devices computes the same as the products used on the CPU."""
    from seedbed.models.layers import attend, padding_bias

    generator = torch.Generator().manual_seed(0)
    query, key, value = torch.randn(3, 2, 4, 7, 8, dtype=torch.float64, generator=generator)
    bias = padding_bias(torch.tensor([[1] * 7, [1] * 4 + [0] * 3]), torch.float64)
    explicit = attend(query, key, value, bias_B1QL=bias, dropout=0.0)
    fused = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
    torch.testing.assert_close(explicit, fused.transpose(1, 2).reshape(2, 7, 32), rtol=0, atol=1e-12)
