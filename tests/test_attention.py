"""Chapter 12: attention by hand against torch and differences, the PyTorch model, its cache, its windows, and GPT-2's layout."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_language import WORDS, small_corpus
from torch.nn import functional as F

from autograder.gradients import disagreement
from course.kit.language_models import _pieces, evaluate, generate, train
from solutions import attention as ref
from solutions.transformer_lm import TransformerLM, gpt2_names, load_gpt2

REAL = np.array([[True] * 5, [True, True, True, False, False], [False, False, True, True, True], [False] * 5])


def drawn(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.normal(size=shape)


def block_of(rng: np.random.Generator, features: int, hidden: int) -> list[np.ndarray]:
    f = features
    shapes = [(f,), (f,), (f, f), (f, f), (f, f), (f, f), (f,), (f,), (f, hidden), (hidden,), (hidden, f), (f,)]
    return [0.6 * rng.normal(size=shape) for shape in shapes]


# ---- the parts by hand -------------------------------------------------------------------------------------------------
def test_encodings_are_those_of_the_paper_and_their_products_depend_on_the_distance() -> None:
    made = ref.sinusoidal_encodings(np.array([0, 1, 5, 100]), 6)
    for row, p in zip(made, (0, 1, 5, 100), strict=True):
        for i in range(0, 6, 2):
            assert row[i] == pytest.approx(math.sin(p / 10000 ** (i / 6)), abs=1e-13)
            assert row[i + 1] == pytest.approx(math.cos(p / 10000 ** (i / 6)), abs=1e-13)
    assert ref.sinusoidal_encodings(np.arange(3), 5).shape == (3, 5)
    wide = ref.sinusoidal_encodings(np.arange(50), 32)
    products = wide @ wide.T
    for lag in (1, 4, 20):
        along = np.diagonal(products, lag)
        np.testing.assert_allclose(along, along[0], rtol=1e-12)


@pytest.mark.parametrize("lead", [(), (3,), (2, 3)])
@pytest.mark.parametrize("masked", ["all", "causal", "some"])
def test_attention_and_its_gradients_equal_torchs(lead: tuple[int, ...], masked: str) -> None:
    rng = np.random.default_rng(0)
    q, k, v = drawn(rng, *lead, 4, 3), drawn(rng, *lead, 5, 3), drawn(rng, *lead, 5, 2)
    mask = {
        "all": np.ones((4, 5), bool),
        "causal": np.tri(4, 5, 1, dtype=bool),
        "some": rng.random((*lead, 4, 5)) < 0.6,
    }[masked]
    mask = mask | np.eye(4, 5, dtype=bool)
    y, weights = ref.attention(q, k, v, mask)
    tq, tk, tv = (torch.tensor(a, requires_grad=True) for a in (q, k, v))
    theirs = F.scaled_dot_product_attention(tq, tk, tv, attn_mask=torch.tensor(mask))
    np.testing.assert_allclose(y, theirs.detach().numpy(), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(weights.sum(axis=-1), 1)
    assert not weights[np.broadcast_to(~mask, weights.shape)].any()
    upstream = drawn(rng, *y.shape)
    (theirs * torch.tensor(upstream)).sum().backward()
    for got, want in zip(ref.attention_backward(upstream, q, k, v, mask, weights), (tq, tk, tv), strict=True):
        assert want.grad is not None
        np.testing.assert_allclose(got, want.grad.numpy(), rtol=1e-11, atol=1e-12)


def test_attention_with_rows_that_see_nothing_by_differences() -> None:
    rng = np.random.default_rng(1)
    mask = np.array([[True, False, True], [False, False, False], [False, True, False], [True, True, True]])
    given = {"q": drawn(rng, 2, 4, 3), "k": drawn(rng, 2, 3, 3), "v": drawn(rng, 2, 3, 2), "mask": mask}
    y, weights = ref.attention(**given)
    assert not y[:, 1].any()
    assert not weights[:, 1].any()
    given["grad_y"] = drawn(rng, *y.shape)
    grads = ref.attention_backward(given["grad_y"], given["q"], given["k"], given["v"], mask, weights)
    assert not grads[0][:, 1].any()
    assert disagreement(ref.attended, given, ("q", "k", "v"), "grad_y", grads) == ""
    assert "gradient of k" in disagreement(
        ref.attended, given, ("q", "k", "v"), "grad_y", (grads[0], grads[1] * 1.0001, grads[2])
    )


@pytest.mark.filterwarnings("error")
def test_scores_of_1000_are_stable_even_where_only_the_masked_ones_are_large() -> None:
    q, k, v = np.array([[2000.0], [-2000.0]]), np.array([[0.5], [-0.5], [0.4995]]), np.eye(3)
    _, weights = ref.attention(q, k, v, np.ones((2, 3), bool))
    np.testing.assert_allclose(weights[0], [1 / (1 + math.exp(-1)), 0, 1 / (1 + math.e)], atol=1e-12)
    np.testing.assert_allclose(weights[1], [0, 1, 0], atol=1e-12)
    _, weights = ref.attention(q, k, v, np.array([[False, True, False], [True, False, True]]))
    np.testing.assert_allclose(weights, [[0, 1, 0], [1 / (1 + math.e), 0, 1 / (1 + math.exp(-1))]], atol=1e-12)
    grads = ref.attention_backward(np.ones((2, 3)), q, k, v, np.ones((2, 3), bool), weights)
    assert all(np.isfinite(grad).all() for grad in grads)


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_several_heads_equal_torchs(heads: int) -> None:
    rng = np.random.default_rng(2)
    x, (wq, wk, wv, wo) = drawn(rng, 2, 5, 8), (drawn(rng, 8, 8) for _ in range(4))
    real = REAL[:2]
    theirs = torch.nn.MultiheadAttention(8, heads, bias=False, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.tensor(np.concatenate([wq.T, wk.T, wv.T])))
        theirs.out_proj.weight.copy_(torch.tensor(wo.T.copy()))
    tx = torch.tensor(x, requires_grad=True)
    later = torch.tensor(np.triu(np.ones((5, 5), bool), 1))
    out, _ = theirs(tx, tx, tx, attn_mask=later, key_padding_mask=torch.tensor(~real), need_weights=False)
    got = ref.causal_self_attention(x, real, wq, wk, wv, wo, heads)
    np.testing.assert_allclose(got, out.detach().numpy(), rtol=1e-11, atol=1e-12)
    upstream = drawn(rng, 2, 5, 8)
    (out * torch.tensor(upstream)).sum().backward()
    grads = ref.causal_self_attention_backward(upstream, x, real, wq, wk, wv, wo, heads)
    assert tx.grad is not None
    assert theirs.in_proj_weight.grad is not None
    expected = [tx.grad, *(g.T for g in theirs.in_proj_weight.grad.split(8)), theirs.out_proj.weight.grad.T]  # type: ignore[union-attr]
    for mine, want in zip(grads, expected, strict=True):
        np.testing.assert_allclose(mine, want.numpy(), rtol=1e-10, atol=1e-11)


def test_several_heads_by_differences_with_padding_in_front_and_alone() -> None:
    rng = np.random.default_rng(3)
    names = ("wq", "wk", "wv", "wo")
    given: dict[str, Any] = {"x": drawn(rng, 4, 5, 4), "real": REAL, **{n: drawn(rng, 4, 4) for n in names}, "heads": 2}
    y = ref.causal_self_attention(**given)
    assert not y[3].any()
    assert not y[2, :2].any()
    given["grad_y"] = drawn(rng, *y.shape)
    grads = ref.causal_self_attention_backward(**given)
    assert disagreement(ref.causal_self_attention, given, ("x", *names), "grad_y", grads) == ""


@pytest.mark.parametrize("pieces", [(5,), (1, 1, 1, 1, 1), (3, 2), (1, 3, 1)])
def test_reading_on_with_a_cache_equals_reading_at_once(pieces: tuple[int, ...]) -> None:
    rng = np.random.default_rng(4)
    x, weights = drawn(rng, 2, 5, 6), [drawn(rng, 6, 6) for _ in range(4)]
    keys = values = np.zeros((2, 3, 0, 2))
    made, start = [], 0
    for count in pieces:
        y, keys, values = ref.cached_self_attention(x[:, start : start + count], keys, values, *weights, heads=3)
        made.append(y)
        start += count
    whole = ref.causal_self_attention(x, np.ones((2, 5), bool), *weights, heads=3)
    np.testing.assert_allclose(np.concatenate(made, axis=1), whole, rtol=1e-12, atol=1e-13)
    assert keys.shape == values.shape == (2, 3, 5, 2)


def test_layer_norm_and_its_gradients_equal_torchs() -> None:
    rng = np.random.default_rng(5)
    x, gain, bias, upstream = 3 * drawn(rng, 2, 4, 5) + 1, drawn(rng, 5), drawn(rng, 5), drawn(rng, 2, 4, 5)
    tx, tg, tb = (torch.tensor(a, requires_grad=True) for a in (x, gain, bias))
    out = F.layer_norm(tx, (5,), tg, tb, 1e-5)
    np.testing.assert_allclose(ref.layer_norm(x, gain, bias), out.detach().numpy(), rtol=1e-12, atol=1e-13)
    (out * torch.tensor(upstream)).sum().backward()
    for got, want in zip(ref.layer_norm_backward(upstream, x, gain, bias), (tx, tg, tb), strict=True):
        assert want.grad is not None
        np.testing.assert_allclose(got, want.grad.numpy(), rtol=1e-11, atol=1e-12)
    equal = np.full((2, 5), 1000.0)
    assert np.array_equal(ref.layer_norm(equal, gain, bias), np.tile(bias, (2, 1)))
    assert all(np.isfinite(g).all() for g in ref.layer_norm_backward(np.ones((2, 5)), equal, gain, bias))


def test_the_block_equals_torchs_pre_norm_layer() -> None:
    rng = np.random.default_rng(6)
    block, x, upstream = block_of(rng, 6, 10), drawn(rng, 2, 5, 6), drawn(rng, 2, 5, 6)
    gain1, bias1, wq, wk, wv, wo, gain2, bias2, w1, b1, w2, b2 = (torch.tensor(a) for a in block)
    theirs = torch.nn.TransformerEncoderLayer(6, 3, 10, dropout=0.0, batch_first=True, norm_first=True).double()
    with torch.no_grad():
        for p, value in [
            (theirs.norm1.weight, gain1), (theirs.norm1.bias, bias1), (theirs.norm2.weight, gain2), (theirs.norm2.bias, bias2),
            (theirs.self_attn.in_proj_weight, torch.cat([wq.T, wk.T, wv.T])), (theirs.self_attn.out_proj.weight, wo.T),
            (theirs.linear1.weight, w1.T), (theirs.linear1.bias, b1), (theirs.linear2.weight, w2.T), (theirs.linear2.bias, b2),
        ]:  # fmt: skip
            p.copy_(value)
        theirs.self_attn.in_proj_bias.zero_()
        theirs.self_attn.out_proj.bias.zero_()
    tx = torch.tensor(x, requires_grad=True)
    out = theirs(tx, src_mask=torch.tensor(np.triu(np.ones((5, 5), bool), 1)))
    every = np.ones((2, 5), bool)
    np.testing.assert_allclose(ref.transformer_block(x, every, block, 3), out.detach().numpy(), rtol=1e-10, atol=1e-11)
    (out * torch.tensor(upstream)).sum().backward()
    grad_x, grads = ref.transformer_block_backward(upstream, x, every, block, 3)
    assert tx.grad is not None
    np.testing.assert_allclose(grad_x, tx.grad.numpy(), rtol=1e-9, atol=1e-10)
    for mine, p in [
        (grads[0], theirs.norm1.weight),
        (grads[8].T, theirs.linear1.weight),
        (grads[11], theirs.linear2.bias),
    ]:
        assert p.grad is not None
        np.testing.assert_allclose(mine, p.grad.numpy(), rtol=1e-9, atol=1e-10)


def test_the_language_models_gradients_by_differences() -> None:
    rng = np.random.default_rng(7)
    parameters = ref.new_transformer_lm(rng, 5, 6, 4)
    words, targets = rng.integers(5, size=(4, 5)), rng.integers(5, size=(4, 5))
    loss, grads = ref.transformer_lm_gradients(parameters, words, targets, REAL)
    logits = ref.transformer_lm_logits(parameters, words, REAL)
    assert loss == pytest.approx(ref.masked_lm_loss(logits, targets, REAL)[0])
    for k, grad in enumerate(grads):
        for at in list(np.ndindex(grad.shape))[:: max(1, grad.size // 7)]:
            sides = []
            for step in (1e-5, -1e-5):
                moved = [p.copy() for p in parameters]
                moved[k][at] += step
                sides.append(ref.transformer_lm_gradients(moved, words, targets, REAL)[0])
            assert grad[at] == pytest.approx((sides[0] - sides[1]) / 2e-5, abs=2e-8), (k, at)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 3e-5)])
def test_the_fused_attention_equals_the_plain_one(dtype: Any, tolerance: float) -> None:
    rng = np.random.default_rng(8)
    x, upstream, (wq, wk, wv, wo) = drawn(rng, 3, 7, 8), drawn(rng, 3, 7, 8), (drawn(rng, 8, 8) / 3 for _ in range(4))
    w_qkv, every = np.hstack([wq, wk, wv]), np.ones((3, 7), bool)
    y, kept = ref.fused_causal_attention(*(a.astype(dtype) for a in (x, w_qkv, wo)), heads=2)
    np.testing.assert_allclose(y, ref.causal_self_attention(x, every, wq, wk, wv, wo, 2), atol=tolerance)
    grad_x, grad_qkv, grad_wo = ref.fused_causal_attention_backward(upstream.astype(dtype), kept)
    plain = ref.causal_self_attention_backward(upstream, x, every, wq, wk, wv, wo, 2)
    assert grad_x.dtype == y.dtype == dtype
    np.testing.assert_allclose(grad_x, plain[0], atol=10 * tolerance)
    np.testing.assert_allclose(grad_qkv, np.hstack(plain[1:4]), atol=20 * tolerance)
    np.testing.assert_allclose(grad_wo, plain[4], atol=20 * tolerance)


# ---- the PyTorch model -------------------------------------------------------------------------------------------------
def model_of(context: int = 12, **more: Any) -> TransformerLM:
    torch.manual_seed(1)
    return TransformerLM(WORDS, context, **{"features": 16, "heads": 2, "layers": 2, "dropout": 0.0, **more})


@pytest.mark.parametrize("sinusoidal", [False, True])
def test_no_position_reads_a_later_word(sinusoidal: bool) -> None:
    model = model_of(sinusoidal=sinusoidal).eval()
    words = torch.arange(12)[None]
    before, _ = model(words)
    for at in range(12):
        changed = words.clone()
        changed[0, at] = 40
        moves = (model(changed)[0] - before).abs().amax(dim=2)[0]
        assert not moves[:at].any()
        assert (moves[at:] > 0).all()


@pytest.mark.parametrize("pieces", [(1,) * 12, (5, 7), (4, 1, 1, 6)])
def test_the_cache_gives_what_reading_at_once_gives(pieces: tuple[int, ...]) -> None:
    model = model_of().eval().double()
    words = torch.randint(WORDS, (2, 12), generator=torch.Generator().manual_seed(0))
    whole, cache = model(words)
    state, made, start = None, [], 0
    for count in pieces:
        features, state = model(words[:, start : start + count], state)
        made.append(features)
        start += count
    torch.testing.assert_close(torch.cat(made, dim=1), whole, rtol=1e-12, atol=1e-12)
    assert cache is not None
    assert state is not None
    assert len(state) == 4
    torch.testing.assert_close(state[3], cache[3])
    with pytest.raises(ValueError, match="13 words do not fit into a context of 12"):
        model(words[:, :1], state)


@pytest.mark.parametrize(
    ("tokens", "context"), [(1, 8), (7, 8), (8, 8), (9, 8), (100, 8), (101, 7), (5, 1), (1000, 64)]
)
def test_windows_judge_every_word_once_from_enough_words(tokens: int, context: int) -> None:
    judged = []
    for begin, start, stop in _pieces(tokens, 256, context):
        assert 0 <= begin <= start < stop <= begin + context
        assert begin == 0 or start - begin >= 3 * context // 4 - 1
        judged += range(start, stop)
    assert judged == list(range(tokens))


def test_a_model_with_a_context_is_judged_by_all_words_each_with_its_window() -> None:
    model, text = model_of(context=8).train(), small_corpus().test[:101]
    judged = evaluate(model, text)
    assert (judged.tokens, model.training) == (101, True)
    model.eval().double()
    read, nats = [0, *text[:-1].tolist()], 0.0
    for t in range(101):
        stop = 8 if t < 8 else min(8 + 2 * ((t - 8) // 2 + 1), 101)
        window = torch.tensor([read[max(0, stop - 8) : t + 1]])
        with torch.no_grad():
            logits = model.output(model(window)[0][0, -1])
        nats -= float(torch.log_softmax(logits, dim=0)[int(text[t])])
    assert judged.nats == pytest.approx(nats, rel=1e-5)
    # A model without a context still carries its state, over as many words.
    from solutions.neural_lm import ElmanLM

    assert evaluate(ElmanLM(WORDS, 8), text).tokens == judged.tokens


def test_it_writes_on_beyond_its_context_and_the_cache_changes_no_word() -> None:
    corpus = small_corpus()
    model = model_of(context=8)
    written = generate(model, corpus.vocabulary, ["w1", "w2"], length=30, seed=3)
    assert len(written) == 30
    rng, said, window = np.random.default_rng(3), [0, *corpus.vocabulary.encode(["w1", "w2"]).tolist()], 0
    model.eval()
    for _ in range(30):
        window = window + 1 if window else 3
        if window > 8:
            window = 4
        with torch.no_grad():
            logits = model.output(model(torch.tensor([said[-window:]]))[0][0, -1])
        p = torch.softmax(logits.double(), dim=0).numpy()
        said.append(int(np.searchsorted(np.cumsum(p / p.sum()), rng.random(), side="right")))
    assert corpus.vocabulary.decode(said[3:]) == written


def test_it_learns_and_refuses_pieces_longer_than_its_context() -> None:
    corpus = small_corpus()
    history = train(model_of(), corpus, epochs=3.0, batch=8, time=12, rate=1e-2, sampled=30, progress=False)
    assert history.perplexity < 0.5 * WORDS
    with pytest.raises(ValueError, match="at most 12 words at once; time is 13"):
        train(model_of(), corpus, epochs=0.1, time=13, progress=False)
    with pytest.raises(ValueError, match="cannot be shared by 3 heads"):
        model_of(heads=3)


# ---- GPT-2's layout ----------------------------------------------------------------------------------------------------
def gpt2_file(path: Path, prefix: str = "", layers: int = 2, features: int = 8) -> dict[str, torch.Tensor]:
    """A small file in the published layout: every weight of a layer as (inputs, outputs)."""
    from safetensors.torch import save_file

    g = torch.Generator().manual_seed(0)

    def array(*shape: int) -> torch.Tensor:
        return 0.3 * torch.randn(*shape, generator=g)

    f = features
    arrays = {"wte.weight": array(11, f), "wpe.weight": array(6, f), "ln_f.weight": array(f), "ln_f.bias": array(f)}
    for n in range(layers):
        shapes = {"attn.c_attn": (f, 3 * f), "attn.c_proj": (f, f), "mlp.c_fc": (f, 4 * f), "mlp.c_proj": (4 * f, f)}
        for name, shape in shapes.items():
            arrays |= {f"h.{n}.{name}.weight": array(*shape), f"h.{n}.{name}.bias": array(shape[1])}
        for name in ("ln_1", "ln_2"):
            arrays |= {f"h.{n}.{name}.weight": array(f), f"h.{n}.{name}.bias": array(f)}
        arrays[f"h.{n}.attn.bias"] = torch.ones(1, 1, 6, 6).tril()  # a mask, as in the published file
    save_file({prefix + name: value for name, value in arrays.items()}, path)
    return arrays


@pytest.mark.parametrize("prefix", ["", "transformer."])
def test_weights_in_gpt2s_layout_give_gpt2s_numbers(tmp_path: Path, prefix: str) -> None:
    a = {name: value.double() for name, value in gpt2_file(tmp_path / "m.safetensors", prefix).items()}
    model = load_gpt2(tmp_path / "m.safetensors", heads=2).double()
    words = torch.tensor([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]])
    x = a["wte.weight"][words] + a["wpe.weight"][:5]
    for n in range(2):
        w = {name.removeprefix(f"h.{n}."): value for name, value in a.items() if name.startswith(f"h.{n}.")}
        y = F.layer_norm(x, (8,), w["ln_1.weight"], w["ln_1.bias"])
        q, k, v = (y @ w["attn.c_attn.weight"] + w["attn.c_attn.bias"]).split(8, dim=2)
        q, k, v = (part.view(2, 5, 2, 4).transpose(1, 2) for part in (q, k, v))
        scores = (q @ k.transpose(2, 3) / 2).masked_fill(torch.ones(5, 5).triu(1).bool(), -torch.inf)
        y = (scores.softmax(dim=3) @ v).transpose(1, 2).reshape(2, 5, 8)
        x = x + y @ w["attn.c_proj.weight"] + w["attn.c_proj.bias"]
        y = F.layer_norm(x, (8,), w["ln_2.weight"], w["ln_2.bias"]) @ w["mlp.c_fc.weight"] + w["mlp.c_fc.bias"]
        y = 0.5 * y * (1 + torch.tanh(math.sqrt(2 / math.pi) * (y + 0.044715 * y**3)))
        x = x + y @ w["mlp.c_proj.weight"] + w["mlp.c_proj.bias"]
    logits = F.layer_norm(x, (8,), a["ln_f.weight"], a["ln_f.bias"]) @ a["wte.weight"].T
    with torch.no_grad():
        torch.testing.assert_close(model.output(model(words)[0]), logits, rtol=1e-10, atol=1e-11)
    assert (model.context, len(model.blocks), model.training) == (6, 2, False)


def test_a_file_in_another_layout_is_told(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    arrays = gpt2_file(tmp_path / "m.safetensors")
    assert len(gpt2_names(2)) == 4 + 2 * 12
    short = {name: value for name, value in arrays.items() if name != "h.1.mlp.c_fc.bias"}
    save_file(short, tmp_path / "short.safetensors")
    with pytest.raises(ValueError, match=r"lacks h\.1\.mlp\.c_fc\.bias"):
        load_gpt2(tmp_path / "short.safetensors", heads=2)
    save_file({**arrays, "h.0.attn.c_attn.weight": torch.zeros(24, 8)}, tmp_path / "turned.safetensors")
    with pytest.raises(ValueError, match=r"c_attn\.weight has shape \(8, 24\) instead of \(24, 8\)"):
        load_gpt2(tmp_path / "turned.safetensors", heads=2)
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="not in GPT-2's layout"):
        load_gpt2(tmp_path / "other.safetensors", heads=2)


# ---- the exercises -----------------------------------------------------------------------------------------------------
def test_echoes_come_back_and_no_model_beats_the_floor() -> None:
    text, floor = ref.echo_text(np.random.default_rng(0), 400, 203, 3)
    same = np.mean(text[:, 3:] == text[:, :-3])
    assert same == pytest.approx(0.9 + 0.1 / 8, abs=0.004)
    assert floor == pytest.approx(same**-same * ((1 - same) / 7) ** -(1 - same), rel=0.02)
    for lag in (1, 2, 4):
        assert np.mean(text[:, lag:] == text[:, :-lag]) == pytest.approx(1 / 8, abs=0.01)
    assert (text.min(), text.max()) == (0, 7)


@pytest.mark.parametrize("seed", ["a", "b", "c"])
def test_training_ends_far_below_the_bar_from_every_start(seed: str) -> None:
    from autograder.exercises import transformer as exercises

    for entry in exercises.train_transformer_lm.generate(seed):
        inputs = {**entry.inputs, "rng": np.random.default_rng(len(seed) + ord(seed))}
        outputs = dict(zip(exercises.PARAMETERS, ref.train_transformer_lm(**inputs), strict=True))
        assert exercises.predicts_new_text(outputs, {**entry.held, "floor": entry.held["floor"] * 1.17 / 1.3}) is None


def test_a_model_that_has_not_learned_is_told_why() -> None:
    """The judge's own sentences, which need no known mistake: whoever trains otherwise meets them too."""
    from autograder.exercises import transformer as exercises

    entry = exercises.train_transformer_lm.generate("reasons")[0]

    def said(parameters: list[np.ndarray]) -> str:
        return str(exercises.predicts_new_text(dict(zip(exercises.PARAMETERS, parameters, strict=True)), entry.held))

    def trained(epochs: int, **wrong: Any) -> list[np.ndarray]:
        return exercises.train_with(entry.inputs["streams"], 8, epochs, np.random.default_rng(0), **wrong)

    fresh = ref.new_transformer_lm(np.random.default_rng(0), 8, 8, 16)
    assert "from the last word alone, if at all" in said(fresh)
    assert "from the last word alone, if at all" in said(trained(4, size=1))
    assert "has learned to read its answers off the text" in said(trained(5, ahead=True))
    assert "the very word that has just been read" in said(trained(2, shift=0))
    assert "sure of wrong words" in said(trained(2, sign=-1.0))
    lost = trained(4)
    lost[1] = lost[1] * 0  # it has learned, but where the words stand is taken away
    assert "does not know where they stand" in said(lost)
    assert "the lowest possible one is 1.6" in said(trained(1))
    assert "positions has shape (6, 16); (8, 16) fits" in said([fresh[0], fresh[1][:6], *fresh[2:]])
    assert "not finite" in said([fresh[0] * np.nan, *fresh[1:]])


@pytest.mark.parametrize(
    ("reads", "rolled", "seed", "words"),
    [
        (7, False, 1, "Up to place 6 of a window it is 1."),
        (7, False, 2, "at the last place "),
        (8, True, 0, "at the last place "),
        (4, False, 0, "Up to place 3 of a window it is 1."),
    ],
)
def test_a_window_that_goes_wrong_at_its_end_is_told_where(reads: int, rolled: bool, seed: int, words: str) -> None:
    """Windows too short, or targets turned round inside the window: the model knows where to look all the same."""
    from autograder.exercises import transformer as exercises

    entry = exercises.train_transformer_lm.generate("reasons")[0]
    streams, parameters = entry.inputs["streams"], ref.new_transformer_lm(np.random.default_rng(seed), 8, 8, 16)
    optimiser = exercises.Adam(parameters, 0.02)
    for epoch in range(8):
        optimiser.lr = 0.02 * (1 - epoch / 8)
        for start in range(0, streams.shape[1] - 9, reads):
            piece = streams[:, start : start + reads + 1]
            read = piece[:, :-1]
            answers = np.roll(read, -1, axis=1) if rolled else piece[:, 1:]
            _, grads = ref.transformer_lm_gradients(parameters, read, answers, np.ones_like(read, dtype=bool))
            optimiser.step(exercises.clip_by_global_norm(grads, 1.0)[0])
    outputs = dict(zip(exercises.PARAMETERS, parameters, strict=True))
    said = str(exercises.predicts_new_text(outputs, entry.held))
    assert words in said
    assert "that every position vector learns" in said


@pytest.mark.parametrize("seed", ["one", "two"])
def test_every_gradient_exercise_agrees_with_differences(seed: str) -> None:
    from autograder.exercises import transformer as exercises

    exercises.attention_backward.verify(seed)
    exercises.layer_norm_backward.verify(seed)


# ---- the chapter, run from top to bottom -----------------------------------------------------------------------------
@pytest.fixture(scope="module")
def run() -> tuple[str, dict[str, Any]]:
    """What the solved chapter prints, and its names afterwards."""
    from solved_chapter import run_solved

    return run_solved("12_transformer")


@pytest.mark.parametrize(
    "line",
    [
        "weights of each word for itself: [0.945 0.999 0.923 0.798]",
        "shuffled words, shuffled outputs: True",
        "mean weight for itself, 2, 8, 32, 128 features: [0.2   0.802 1.    1.   ]",
        "[[0.8415 0.5403 0.01   1.    ]]",
        "products at distance 3: 12.2724 12.2724 12.2724",
        "d =   64, raw   : variance    64.2, p = 0.88, p(1 − p) = 0.082",
        "d = 1024, raw   : variance   990.2, p = 0.97, p(1 − p) = 0.020",
        "d = 1024, scaled: variance     1.0, p = 0.35, p(1 − p) = 0.215",
        "weights [[0.8044 0.1956 0.    ]] y [[11.956]]",
        "grad_k[0, 1]: 0.759230, by differences 0.759230",
        "weight is 1 whatever its query: True",
        "another token 3 moves positions 0 … 5 by [0.    0.    0.    0.67  0.272 0.133]",
        "sum of grad_x in each row: True",
        "along x̂: True",
        "word by word with the cache equals all at once: True",
        "numbers in the cache: 96 = 2 · 6 places · 8 features",
        "the score of two words is the same both ways: True",
        "a tune: oh do re oh do re oh do re oh do re oh do re oh do re so do re so do re",
        "the tone of three places back comes again 91% of the time, the last one 12%",
        "lowest possible 1.595, knowing nothing 8, yours ",
        "do mi so, and on: do mi so do mi so do mi so do mi so do mi so do mi so do mi so do mi so do mi so",
    ],
)
def test_the_chapter_prints(run: tuple[str, dict[str, Any]], line: str) -> None:
    assert line in run[0]


def test_every_number_of_the_paper_examples() -> None:
    y, weights = ref.attention(
        np.array([[2.0, 0.0]]),
        np.array([[1.0, 1.0], [0.0, 3.0], [2.0, 5.0]]),
        np.array([[10.0], [20.0], [30.0]]),
        np.array([[True, True, False]]),
    )
    np.testing.assert_allclose(weights, [[0.8044, 0.1956, 0]], atol=5e-5)
    assert y[0, 0] == pytest.approx(11.956, abs=5e-4)
    assert math.exp(2 / math.sqrt(2)) == pytest.approx(4.1133, abs=5e-5)
    one, mask = np.ones((1, 1)), np.array([[True, True, False]])
    back = ref.attention_backward(
        one, np.eye(1), np.array([[1.0], [0.0], [0.0]]), np.array([[10.0], [20.0], [30.0]]), mask, weights
    )
    np.testing.assert_allclose(back[1], [[-1.573], [1.573], [0]], atol=5e-4)  # with q = 1 and d = 1, grad_s itself
    x, up, ones = np.array([0.0, 0.0, 3.0]), np.array([1.0, 0.0, 0.0]), np.ones(3)
    normed = ref.layer_norm(x, ones, 0 * ones, eps=0.0)
    np.testing.assert_allclose(normed, [-0.7071, -0.7071, 1.4142], atol=5e-5)
    assert (up * normed).mean() == pytest.approx(-0.2357, abs=5e-5)
    grad_x, _, _ = ref.layer_norm_backward(up, x, ones, 0 * ones, eps=0.0)
    np.testing.assert_allclose(grad_x, [0.3536, -0.3536, 0], atol=5e-5)


def test_without_the_mask_all_places_but_the_last_read_their_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the chapter's table says of a missing causal mask."""
    text, floor = ref.echo_text(np.random.default_rng(0), 72, 201, back=3)
    starts = range(0, 193, 4)
    words, answers = (np.concatenate([text[32:, at + more :][:, :8] for at in starts]) for more in (0, 1))
    every = np.ones_like(words, dtype=bool)

    def by_place(parameters: list[np.ndarray]) -> list[float]:
        logits = ref.transformer_lm_logits(parameters, words, every)
        one = [slice(t, t + 1) for t in range(8)]
        return [math.exp(ref.masked_lm_loss(logits[:, t], answers[:, t], every[:, t])[0]) for t in one]

    with monkeypatch.context() as patch:
        patch.setattr(np, "tril", lambda a: a)
        trained = ref.train_transformer_lm(text[:32, :121], 8, 8, 10, np.random.default_rng(0))
        cheating = by_place(trained)
    assert max(cheating[:7]) < 1.1 < floor < cheating[7]
    assert min(by_place(trained)[:2]) > 8


def test_the_real_run_beside_chapter_9s(run: tuple[str, dict[str, Any]]) -> None:
    trained = re.search(r"yours (\S+)\n", run[0])
    assert trained is not None
    assert float(trained[1]) < 1.1 * 1.595
    heads = [[float(n) for n in row.split()] for row in re.findall(r"places back: \[(.*)\]", run[0])]
    assert len(heads) == 2
    assert all(row[2] + row[5] > 0.9 for row in heads)  # the echo, or the echo of the echo
    for seen in run[1]["weights"].mean(axis=0):  # what the pictures show
        assert all(seen[at, at - 2] + (seen[at, at - 5] if at >= 5 else 0) > 0.9 for at in range(3, 8))
    found = re.search(r"\nperplexity (\S+)\n", run[0])
    assert found is not None
    assert float(found[1]) == pytest.approx(52.3, abs=1.6)  # the text says about 52, and 55.5 with two blocks
    assert run[0].count("and the king said unto") == 3


def said_of_causal(function: Any, seed: str = "said") -> str:
    from autograder.checking import verdict_of
    from autograder.exercises import transformer as exercises

    verdict = verdict_of(exercises.CAUSAL.sheet(seed), function)
    assert not verdict.passed
    return verdict.headline


@pytest.mark.parametrize(
    ("split", "merge"),
    [
        (ref.split_heads, lambda z, x: z.reshape(x.shape)),
        (lambda z, heads: z.reshape(len(z), heads, z.shape[1], -1), lambda z, x: ref.merge_heads(z)),
        (lambda z, heads: z.reshape(len(z), heads, z.shape[1], -1), lambda z, x: z.reshape(x.shape)),
    ],
)
def test_mixed_axes_are_no_look_into_the_future(split: Any, merge: Any) -> None:
    def mixed(x, real, wq, wk, wv, wo, heads):  # type: ignore[no-untyped-def]
        q, k, v = (split(x @ w, heads) for w in (wq, wk, wv))
        y, _ = ref.attention(q, k, v, np.tri(x.shape[1], dtype=bool) & real[:, None, None])
        return merge(y, x) @ wo

    said = said_of_causal(mixed)
    assert "heads and places are mixed up" in said
    assert "reads token" not in said


@pytest.mark.parametrize("way", ["queries", "both", "itself", "zeroed"])
def test_padding_read_in_another_way_is_named(way: str) -> None:
    def padded(x, real, wq, wk, wv, wo, heads):  # type: ignore[no-untyped-def]
        q, k, v = (ref.split_heads(x @ w, heads) for w in (wq, wk, wv))
        keys, queries = real[:, None, None], real[:, None, :, None]
        allowed = {"queries": queries, "both": keys & queries, "itself": keys | np.eye(x.shape[1], dtype=bool)}.get(
            way, keys
        )
        y = ref.merge_heads(ref.attention(q, k, v, np.tri(x.shape[1], dtype=bool) & allowed)[0]) @ wo
        return y * real[..., None] if way == "zeroed" else y

    assert "padding is read in another way" in said_of_causal(padded)


def test_the_call_shown_is_the_students_and_so_is_the_error() -> None:
    from autograder.checking import verdict_of
    from autograder.exercises import transformer as exercises

    source = """
def causal_self_attention(x, real, wq, wk, wv, wo, heads):
    q, k, v = (split_heads(x @ w, heads) for w in (wq, wk, wv))
    mask = np.tri(x.shape[1], dtype=bool) & real[:, None]
    return merge_heads(attention(q, k, v, mask)[0]) @ wo
"""
    cell = {"np": np, "split_heads": ref.split_heads, "merge_heads": ref.merge_heads, "attention": ref.attention}
    exec(compile(source, "<cell>", "exec"), cell)
    verdict = verdict_of(exercises.CAUSAL.sheet("error"), cell["causal_self_attention"])
    evidence = dict(verdict.evidence)
    assert verdict.headline.startswith("Your code raised ValueError: matmul")
    assert evidence["your line"].startswith("5:")
    with pytest.raises(ValueError, match="matmul"):
        eval(evidence["called"], cell)  # it can be pasted


def test_a_future_token_that_is_read_is_named() -> None:
    from autograder.checking import verdict_of
    from autograder.exercises import transformer as exercises

    def one_too_far(x, real, wq, wk, wv, wo, heads):  # type: ignore[no-untyped-def]
        q, k, v = (ref.split_heads(x @ w, heads) for w in (wq, wk, wv))
        mask = np.tri(x.shape[1], k=1, dtype=bool) & real[:, None, None]
        return ref.merge_heads(ref.attention(q, k, v, mask)[0]) @ wo

    verdict = verdict_of(exercises.CAUSAL.sheet("future"), one_too_far)
    assert not verdict.passed
    assert "position 1 reads token 2: another token 2 moved" in " ".join(
        [verdict.headline, *(t for _, t in verdict.evidence)]
    )
