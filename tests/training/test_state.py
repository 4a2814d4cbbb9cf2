"""state.py: what last.pt has is all that a run needs to go on."""

import pytest
import torch

from colourizer.network.checkpoint import build_model, load_checkpoint, save_checkpoint
from colourizer.network.classic_cnn import ClassicCNN
from colourizer.training.options import parse_args
from colourizer.training.state import TrainState, add_missing_parts, new_state, update_ema
from Model_CNN import Model_CNN, ModelConfig

# Runs of every version have these in last.pt.
ON_DISK = {
    "epoch", "batch", "step", "images", "seconds", "losses", "busy", "log", "strip", "best_look",
    "photographs", "colourfulness",
}  # fmt: skip


def trained_state() -> TrainState:
    """Return the state after two steps on random pictures."""
    torch.manual_seed(0)
    state = new_state(ClassicCNN(), torch.device("cpu"), parse_args([]), "these")
    for _ in range(2):
        state.optimizer.zero_grad()
        state.model(torch.rand(2, 1, 16, 16) * 100).square().mean().backward()
        state.optimizer.step()
        update_ema(state.ema, state.model, state.step)
        state.add_step(loss=0.5, crops=2, seconds=0.25)
    state.log.append({"epoch": 0, "ab_error": 12.0})
    state.strip.append([0, torch.zeros(1, 3, 8, 8, dtype=torch.uint8)])
    return state


def test_a_state_is_saved_and_loaded_whole(tmp_path):
    state = trained_state()
    save_checkpoint(tmp_path / "last.pt", state.state_dict())
    content = load_checkpoint(tmp_path / "last.pt")
    assert content["state"].keys() == ON_DISK
    ema = build_model(content, tmp_path / "last.pt")
    loaded = new_state(ema, torch.device("cpu"), parse_args([]), "these")
    loaded.load_state_dict(content)
    assert (state.resumed, loaded.resumed) == (False, True)
    assert (loaded.step, loaded.batch, loaded.images, loaded.busy) == (2, 2, 4, 0.5)
    assert (loaded.losses, loaded.log) == (state.losses, state.log)
    assert torch.equal(loaded.strip[0][1], state.strip[0][1])
    for name in ("model", "ema"):
        one, two = (getattr(each, name).state_dict() for each in (state, loaded))
        assert all(torch.equal(one[key], two[key]) for key in one)
    moments = [each.optimizer.state_dict()["state"] for each in (state, loaded)]
    assert torch.equal(moments[0][0]["exp_avg"], moments[1][0]["exp_avg"])


def test_a_state_of_another_version_lacks_what_that_did_not_know():
    content = trained_state().state_dict()
    content["state"] = {"step": 7, "epoch": 1, "of_old": 3}
    loaded = new_state(ClassicCNN(), torch.device("cpu"), parse_args([]), "these")
    loaded.load_state_dict(content)
    assert (loaded.step, loaded.epoch, loaded.images, loaded.log) == (7, 1, 0, [])


def test_the_average_follows_quickly_at_first_and_slowly_later():
    model, ema = ClassicCNN(), ClassicCNN()
    for parameter, value in ((model, 1.0), (ema, 0.0)):
        for tensor in parameter.parameters():
            tensor.data.fill_(value)
    update_ema(ema, model, step=0)
    assert next(ema.parameters()).flatten()[0].item() == pytest.approx(0.9)
    update_ema(ema, model, step=10**6)
    assert next(ema.parameters()).flatten()[0].item() == pytest.approx(0.9 + 0.1 * 0.001)


def test_parts_that_a_network_of_before_lacks_change_nothing_to_begin_with():
    torch.manual_seed(0)
    before = Model_CNN(ModelConfig(attention_blocks=0)).eval()
    torch.nn.init.normal_(before.head.weight)
    after = add_missing_parts(before)
    assert after.config.attention_blocks == ModelConfig().attention_blocks
    lightness = torch.rand(1, 1, 64, 32) * 100
    assert torch.equal(after(lightness), before(lightness))


def test_a_network_that_lacks_nothing_stays_as_it_is():
    torch.manual_seed(0)
    model = Model_CNN().eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    again = add_missing_parts(model)
    assert all(
        torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True)
    )
