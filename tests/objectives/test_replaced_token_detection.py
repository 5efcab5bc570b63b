"""ELECTRA: the whole loss against transformers' two classes tied together, and what must not happen."""

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
import yaml
from sklearn.metrics import precision_score, recall_score, roc_auc_score
from torch.nn import functional as F

from seedbed.config import UserError
from seedbed.models import EncoderConfig, load_encoder
from seedbed.models.layout import encoder_tensors, head_tensors
from seedbed.models.vocabulary_loss import VocabularyLoss
from seedbed.objectives import ReplacedTokenDetectionConfig
from seedbed.objectives.replaced_token_detection import DetectionAccumulator
from tests.conformance import check_learner, check_two_processes
from tests.models.families import WORDPIECE, shake
from tests.models.test_reference import EXACT, PADDED, as_gradients, assert_close, gradients
from tests.objectives.batches import DETECTION, make_electra, text_rows, tiny, whole_and_halves

CONF = Path(__file__).resolve().parents[2] / "conf"
OBJECTIVE = DETECTION
MASKER = OBJECTIVE.prepare(WORDPIECE)


def test_conformance() -> None:
    batch = MASKER(text_rows("electra", num_rows=8), 0, 0)
    # Replacements change as the generator learns, so the sum falls slowly.
    check_learner(make_electra, batch, steps=80, falls_to=0.8)


def test_two_processes_equal_one() -> None:
    whole, halves = whole_and_halves(MASKER, text_rows("electra", num_rows=8))
    check_two_processes(make_electra, whole, halves=halves)


def test_conf_files() -> None:
    path = CONF / "objective" / "replaced_token_detection.yaml"
    config = ReplacedTokenDetectionConfig.parse(yaml.safe_load(path.read_text(encoding="utf-8")), "objective")
    assert config == OBJECTIVE
    shapes = {"electra_tiny": (32, 1, 128, 128), "electra_small": (64, 1, 256, 128)}
    for name, shape in shapes.items():
        text = (CONF / "encoder" / f"{name}.yaml").read_text(encoding="utf-8")
        narrow = config.generator(EncoderConfig.parse(yaml.safe_load(text), "encoder"))
        assert (narrow.hidden_size, narrow.num_heads, narrow.intermediate_size, narrow.token_size) == shape


@PADDED
@EXACT
def test_reference(padded: bool, dtype: torch.dtype, tmp_path: Path) -> None:
    """Generator and discriminator with shared embeddings: both losses, and every gradient of their sum."""
    learner = make_electra()
    shake(learner)
    learner = learner.float().to(dtype)
    learner.save(tmp_path)
    load = {"attn_implementation": "eager", "dtype": dtype}
    discriminator = transformers.ElectraForPreTraining.from_pretrained(tmp_path, **load).eval()
    generator = transformers.ElectraForMaskedLM.from_pretrained(tmp_path / "generator", **load).eval()
    discriminator.electra.embeddings = generator.electra.embeddings
    generator.generator_lm_head.weight = generator.electra.embeddings.word_embeddings.weight

    batch = MASKER(text_rows("electra", num_rows=6, padded=padded), 0, 0)
    mask = batch.get("attention_mask")
    assert (mask is not None) == padded
    losses = learner.whole_loss(batch)
    losses["loss"].backward()

    masked_N, labels_N = batch["masked_index"], batch["labels"]
    logits_NV = generator(batch["input_ids"], attention_mask=mask).logits.flatten(0, 1)[masked_N]
    up_to_NV = logits_NV.detach().double().softmax(-1).cumsum(-1)
    drawn_N = torch.searchsorted(up_to_NV, batch["sampling_uniform"][:, None], right=True).squeeze(1)
    corrupted = batch["input_ids"].clone()
    corrupted.view(-1)[masked_N] = drawn_N
    replaced = torch.zeros_like(corrupted, dtype=torch.bool)
    replaced.view(-1)[masked_N] = drawn_N != labels_N
    real = torch.ones_like(replaced) if mask is None else mask.bool()
    found = discriminator(corrupted, attention_mask=mask).logits
    generator_loss = F.cross_entropy(logits_NV, labels_N)
    discriminator_loss = F.binary_cross_entropy_with_logits(found[real], replaced[real].to(dtype))
    (generator_loss + 50 * discriminator_loss).backward()

    assert_close(losses["generator_loss"], generator_loss, dtype, "generator loss")
    assert_close(losses["discriminator_loss"], discriminator_loss, dtype, "discriminator loss")
    as_gradients(learner)
    ours = encoder_tensors(learner.encoder, prefix="electra.")
    ours |= head_tensors(learner.head, "electra", "replaced_token_detection")
    theirs = gradients(discriminator)
    for name, gradient in theirs.items():
        assert_close(ours[name], gradient, dtype, f"discriminator: gradient of {name}")
    ours = encoder_tensors(learner.generator.encoder, prefix="electra.")
    ours |= head_tensors(learner.generator.head, "electra", "masked_lm")
    for name, gradient in gradients(generator).items():
        if name != "generator_lm_head.weight":
            assert_close(ours[name], gradient, dtype, f"generator: gradient of {name}")
    assert len(theirs) > 30


def test_no_gradient_from_discriminator_to_generator() -> None:
    """Sampling stops it: only the shared embeddings learn from the discriminator."""
    learner = make_electra()
    batch = MASKER(text_rows("electra", num_rows=8), 0, 0)
    learner.whole_loss(batch)["discriminator_loss"].backward()
    for name, parameter in learner.generator.named_parameters():
        touched = parameter.grad is not None and bool(parameter.grad.any())
        assert touched == name.startswith("encoder.embeddings."), name
    learner.zero_grad()
    learner.whole_loss(batch)["generator_loss"].backward()
    for name, parameter in learner.named_parameters():
        touched = parameter.grad is not None and bool(parameter.grad.any())
        assert touched == name.startswith(("generator.", "encoder.embeddings.")), name


def test_embeddings_are_one_and_counted_once() -> None:
    learner = make_electra()
    assert learner.generator.encoder.embeddings is learner.encoder.embeddings
    names = [name for name, _ in learner.named_parameters()]
    assert sum("embeddings.token.weight" in name for name in names) == 1


def test_a_sample_equal_to_the_original_is_original(monkeypatch: pytest.MonkeyPatch) -> None:
    learner = make_electra()
    batch = MASKER(text_rows("electra", num_rows=4), 0, 0)
    drawn_N = batch["labels"].clone()
    drawn_N[::2] = (drawn_N[::2] + 1).clamp(max=WORDPIECE.size - 1)
    changed_N = drawn_N != batch["labels"]

    def predict(*_: object, **__: object) -> VocabularyLoss:
        return VocabularyLoss(torch.zeros(()), drawn_N, changed_N)

    monkeypatch.setattr(learner.generator, "predict", predict)
    _, _, _, replaced_BL = learner._forward(batch, count_correct=False)
    assert replaced_BL.flatten()[batch["masked_index"]].tolist() == changed_N.tolist()
    assert int(replaced_BL.sum()) == int(changed_N.sum())


def test_unmasked_positions_see_the_original_token() -> None:
    """Kept tokens are replaced by samples as well, and no [MASK] is left for the discriminator."""
    learner = make_electra().eval()
    batch = MASKER(text_rows("electra", num_rows=8), 0, 0)
    seen: list[torch.Tensor] = []
    learner.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        learner.whole_loss(batch)
    rows_BL = torch.from_numpy(text_rows("electra", num_rows=8))
    differs = (seen[0] != rows_BL).flatten()
    differs[batch["masked_index"]] = False
    assert not differs.any()
    # an untrained generator draws [MASK] itself about once in 211
    assert int((seen[0] == WORDPIECE.mask_id).sum()) <= 4


@pytest.mark.parametrize("separation", [0.0, 0.3, 2.0, 8.0])
def test_scores_equal_scikit_learn(separation: float) -> None:
    generator = np.random.default_rng(0)
    replaced = generator.random(20_000) < 0.12
    logits = generator.normal(size=20_000) * 2 - 2 + separation * replaced
    accumulator = DetectionAccumulator()
    for part in np.array_split(np.arange(20_000), 7):
        accumulator.add_logits(torch.from_numpy(logits[part]), torch.from_numpy(replaced[part]))
    found = accumulator.results()
    assert abs(found["auc"] - roc_auc_score(replaced, logits)) < 1e-3
    assert found["precision"] == pytest.approx(precision_score(replaced, logits > 0), abs=1e-12)
    assert found["recall"] == pytest.approx(recall_score(replaced, logits > 0), abs=1e-12)


def test_logits_of_zero_and_far_out() -> None:
    accumulator = DetectionAccumulator()
    logits = torch.tensor([0.0, -1e-9, 1e-9, 99.0, -99.0])
    accumulator.add_logits(logits, torch.tensor([True, True, True, True, False]))
    assert accumulator.results()["recall"] == 0.5
    assert accumulator.results()["precision"] == 1.0


def test_scoring_is_deterministic_and_complete() -> None:
    learner = OBJECTIVE.build(tiny("electra", dropout=0.3, attention_dropout=0.3), WORDPIECE, seed=1).eval()
    batch = MASKER(text_rows("electra", num_rows=16, padded=True), 0, 0)
    found = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        accumulator = learner.scores()
        with torch.no_grad():
            learner.score(batch, accumulator)
        found.append(accumulator.results())
    assert found[0] == found[1]
    assert found[0].keys() == {
        "generator_loss", "generator_accuracy", "discriminator_loss", "accuracy", "replaced_share",
        "auc", "precision", "recall",
    }  # fmt: skip
    assert found[0]["generator_loss"] == pytest.approx(np.log(211), abs=0.2)
    real = int(batch["attention_mask"].sum())
    assert float(accumulator.sums["accuracy/count"]) == real
    assert float(accumulator.sums["bins/replaced"].sum() + accumulator.sums["bins/original"].sum()) == real


def test_other_families_are_refused() -> None:
    with pytest.raises(UserError, match="family electra"):
        OBJECTIVE.build(tiny("roberta"), WORDPIECE)
    uneven = ReplacedTokenDetectionConfig(name="replaced_token_detection", generator_ratio=0.7)
    with pytest.raises(UserError, match="generator_ratio"):
        uneven.build(tiny("electra"), WORDPIECE)


def test_saved_folders_load_whole(tmp_path: Path) -> None:
    learner = make_electra()
    learner.save(tmp_path)
    for name, folder in (
        ("AutoModelForPreTraining", tmp_path),
        ("AutoModelForMaskedLM", tmp_path / "generator"),
    ):
        model, info = getattr(transformers, name).from_pretrained(folder, output_loading_info=True)
        assert not any(info.values()), info
        assert type(model).__name__.startswith("Electra")
    encoder = load_encoder(tmp_path).encoder.state_dict()
    assert all(torch.equal(value, encoder[name]) for name, value in learner.encoder.state_dict().items())
