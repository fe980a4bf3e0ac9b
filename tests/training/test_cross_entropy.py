"""The loss of many classes, beside PyTorch's own."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from panpipe.training import cross_entropy  # noqa: E402
from panpipe.training.cross_entropy import cross_entropy_sum  # noqa: E402

pytestmark = pytest.mark.train


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("shape", [(0, 5), (1, 2), (37, 101)])
def test_loss_and_gradient_are_pytorchs(monkeypatch, dtype, smoothing, shape):
    monkeypatch.setattr(cross_entropy, "CHUNK", 500)  # several parts
    draw = torch.Generator().manual_seed(3)
    logits = (3 * torch.randn(shape, generator=draw)).to(dtype).requires_grad_()
    wanted = torch.randint(0, shape[1], (shape[0],), generator=draw)
    wanted[::5] = -100
    got = cross_entropy_sum(logits, wanted, -100, smoothing) / 7
    (grad,) = torch.autograd.grad(got, logits)
    expected = torch.nn.functional.cross_entropy(
        logits.float(), wanted, ignore_index=-100, reduction="sum", label_smoothing=smoothing
    )
    (theirs,) = torch.autograd.grad(expected / 7, logits)
    torch.testing.assert_close(got, expected / 7)
    assert grad.dtype == dtype
    torch.testing.assert_close(grad, theirs, atol=1e-6, rtol=1e-5 if dtype == torch.float32 else 0.02)


def test_a_forbidden_class_costs_nothing():
    logits = torch.tensor([[0.0, -torch.inf, 1.0]], requires_grad=True)
    loss = cross_entropy_sum(logits, torch.tensor([2]), -100)
    (grad,) = torch.autograd.grad(loss, logits)
    assert loss.item() == pytest.approx(0.31326, abs=1e-4)
    assert grad[0, 1] == 0


def test_the_way_back_can_be_gone_twice():
    logits = torch.randn(3, 7, generator=torch.Generator().manual_seed(1), requires_grad=True)
    loss = cross_entropy_sum(logits, torch.tensor([0, 3, 6]), -100) / 3
    first = torch.autograd.grad(loss, logits, retain_graph=True)
    second = torch.autograd.grad(loss, logits)
    torch.testing.assert_close(first, second, rtol=0, atol=0)
