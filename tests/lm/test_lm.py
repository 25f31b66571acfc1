# SPDX-License-Identifier: GPL-3.0-or-later
"""One network, two jobs: what is shared, what it may see, and that its PMFs survive another machine's arithmetic."""

import numpy as np
import pytest
import safetensors.torch
import torch
from soundspring.coding import pmf
from soundspring.coding.superframe import Plan, SuperframeDecoder, SuperframeEncoder
from soundspring.lm import network
from soundspring.lm.conceal import FADE, FLOOR, HOLD, Concealer
from soundspring.lm.load import load
from soundspring.lm.model import MaskedLm
from soundspring.lm.source import PmfSource
from soundspring.product import linear

LAYERS = 12
SCHEDULE = ((2,), (0, 4), (1, 3))


def plan(policy="layered", past=0):
    return Plan(5, (3, LAYERS), policy, past, 5, SCHEDULE)


def some_tokens(frames, layers=LAYERS, seed=0):
    return np.random.default_rng(seed).integers(0, 1024, (frames, layers)).astype(np.int16)


def encoded(source, tokens, the_plan, static=None):
    encoder = SuperframeEncoder(source, the_plan, static)
    return [[g.bits for g in encoder.push(block)[1]] for block in tokens.reshape(-1, 5, tokens.shape[1])]


def decoded(source, payloads, the_plan, static=None):
    decoder = SuperframeDecoder(source, the_plan, static)
    return [decoder.push(s, bits) for s, bits in enumerate(payloads)]


# --- one file, one network -------------------------------------------------------------------------------------------


def test_coder_and_concealer_load_one_file_and_share_the_network(tiny_models, monkeypatch):
    opened = []
    original = safetensors.torch.load_file

    def watched(path, *args, **kwargs):
        opened.append(str(path))
        return original(path, *args, **kwargs)

    monkeypatch.setattr(safetensors.torch, "load_file", watched)
    from soundspring import profile
    from soundspring.link import Link

    link = Link(profile.load("reference"), tiny_models)
    concealer, coder = link.concealer(), link.entropy_encoder()
    assert opened.count(str(tiny_models.lm_folder / "weights.safetensors")) == 1
    assert concealer.model is tiny_models.lm.model and link.entropy_decoder().source is coder.source
    ours, theirs = concealer.model.blocks, coder.source.network.blocks
    for mine, other in zip(ours, theirs, strict=True):  # the coder has the same numbers, rounded
        for layer, copy in [(mine.attention.qkv, other.qkv), (mine.attention.out, other.out), (mine.down, other.down)]:
            weights = layer.weight.T.numpy()
            assert (np.abs(copy.dense - weights) <= copy.scale / 2 * (1 + 1e-9)).all()
            assert (np.abs(copy.weights).max(1) > 100).all(), "none is so coarse that it would be another network"
            assert np.array_equal(copy.bias, layer.bias.numpy())


def interpreted(kernel, *args):
    """What a compiled function gives when Python walks through it, operation by operation."""
    return kernel.py_func(*args)


def test_the_compiler_keeps_the_order_of_every_operation():
    rng = np.random.default_rng(2)
    x, qkv, w, b = rng.standard_normal((3, 16)) * 5, rng.standard_normal((7, 48)), *rng.standard_normal((2, 16))
    cases = [(network.layer_norm, x, w, b, 1e-5), (network.attention, qkv, rng.standard_normal((2, 9)))]
    for kernel, *args in cases:
        assert np.array_equal(kernel(*args), interpreted(kernel, *args))
    assert np.array_equal(network.gelu(x.copy()), interpreted(network.gelu, x.copy()))
    for value in (0.0, -1e-300, -0.3, -7.0, -64.0, -1e9):
        assert network._exp(value) == interpreted(network._exp, value)


def test_the_coders_functions_are_the_usual_ones():
    x = np.linspace(-40, 40, 1001)
    assert np.abs([network._exp(v) for v in x[x <= 0]] / np.exp(x[x <= 0]) - 1).max() < 1e-8
    gelu = torch.nn.functional.gelu(torch.from_numpy(x)).numpy()
    assert np.abs(network.gelu(x[None].copy())[0] - gelu).max() < 1e-6


def test_coder_and_concealer_have_the_same_trunk(tiny_models):
    """The network of the model in float64, with weights rounded as the coder rounds them, is the coder's."""
    twin, coder = tiny_models.lm.model.exact(), tiny_models.source.network
    for layer in twin.modules():
        if isinstance(layer, torch.nn.Linear):
            layer.weight.data = torch.from_numpy(linear(layer.weight.T.numpy()).dense.T.copy())
    x = np.random.default_rng(3).standard_normal((70, 32))  # longer than the span of the distances
    for ours, theirs in ((coder.body, lambda x: twin.body(x[None])[0]), (coder.neck, twin.neck)):
        assert np.abs(ours(x) - theirs(torch.from_numpy(x)).numpy()).max() < 1e-3, "but for rounded rows"


def test_a_model_of_another_codec_is_refused(tiny_models_dir, tmp_path):
    import shutil

    import yaml

    for name in ("codec", "lm"):
        shutil.copytree(tiny_models_dir / name, tmp_path / name)
    config = yaml.safe_load((tmp_path / "lm/config.yaml").read_text())
    config["codec_sha256"] = "0" * 64
    (tmp_path / "lm/config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(ValueError, match="another codec"):
        load(tmp_path / "lm", tmp_path / "codec")


# --- what the network may see ----------------------------------------------------------------------------------------


def test_heads_and_the_coders_logits_agree(tiny_models):
    """The concealer's way through all layers at once and the coder's, a layer at a time, are one function."""
    model, source = tiny_models.lm.model.exact(), tiny_models.source
    tokens, rng = some_tokens(10), np.random.default_rng(1)
    own = torch.from_numpy(tokens.astype(np.int64))
    for known in (np.ones(tokens.shape, bool), rng.random(tokens.shape) < 0.6, np.zeros(tokens.shape, bool)):
        visible = rng.random(tokens.shape) < 0.5
        state = source.begin(np.where(visible, tokens, 0), visible)
        at_once = model.heads(torch.from_numpy(state), own, torch.from_numpy(known), slice(0, LAYERS))
        for layer in range(LAYERS):
            single = source.logits(state, np.arange(10), layer, np.where(known, tokens, 0), known)
            assert np.abs(single - at_once[:, layer].numpy()).max() < 5e-2, "but for what is rounded"


def test_what_is_not_visible_does_not_matter(tiny_models):
    source, tokens, other = tiny_models.source, some_tokens(10), some_tokens(10, seed=9)
    visible = np.random.default_rng(2).random(tokens.shape) < 0.5
    hidden_differently = np.where(visible, tokens, other)
    a, b = source.begin(tokens, visible), source.begin(hidden_differently, visible)
    assert np.array_equal(a, b)
    for layer in (0, 5, 11):
        x, y = (source.logits(a, np.arange(10), layer, t, visible) for t in (tokens, hidden_differently))
        assert np.array_equal(x, y)


def test_what_is_visible_does_matter(tiny_models):
    source, tokens = tiny_models.source, some_tokens(10)
    visible = np.ones(tokens.shape, bool)
    changed = tokens.copy()
    changed[3, 7] = (changed[3, 7] + 1) % 1024
    a, b = source.begin(tokens, visible), source.begin(changed, visible)
    assert not np.array_equal(a[0], b[0]), "attention reaches other frames"
    x, y = (source.logits(a, np.array([3]), 8, t, visible) for t in (tokens, changed))
    assert not np.array_equal(x, y), "a head sees the lower layers of its frame"
    x, y = (source.logits(a, np.array([3]), 7, t, visible) for t in (tokens, changed))
    assert np.array_equal(x, y), "a head does not see its own layer"


# --- the same PMFs everywhere ----------------------------------------------------------------------------------------


def all_logits(source, tokens, visible, frames):
    state = source.begin(np.where(visible, tokens, 0), visible)
    known = np.ones(tokens.shape, bool)
    return np.stack([source.logits(state, frames, k, tokens, known) for k in range(LAYERS)], 1)


@pytest.fixture
def two_threads():
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


def same_frequencies(a, b):
    """Equal integer PMFs wherever the guard does not forbid the model; and the guard hardly ever does."""
    safe = np.array([[not pmf.near_boundary(x) for x in row] for row in a])
    assert safe.mean() > 0.9
    fa, fb = (pmf.frequencies(pmf.quantise_logits(x)) for x in (a, b))
    return np.array_equal(fa[safe], fb[safe])


def test_pmfs_do_not_depend_on_the_number_of_threads(tiny_models, two_threads):
    tokens, visible = some_tokens(20), np.random.default_rng(3).random((20, LAYERS)) < 0.5
    many = all_logits(tiny_models.source, tokens, visible, np.arange(20))
    torch.set_num_threads(1)
    assert same_frequencies(all_logits(tiny_models.source, tokens, visible, np.arange(20)), many)


def test_pmfs_do_not_depend_on_how_many_frames_are_asked_for(tiny_models):
    tokens, visible = some_tokens(20), np.random.default_rng(3).random((20, LAYERS)) < 0.5
    at_once = all_logits(tiny_models.source, tokens, visible, np.arange(20))
    single = np.concatenate([all_logits(tiny_models.source, tokens, visible, np.array([i])) for i in range(20)])
    assert same_frequencies(at_once, single)


@pytest.mark.filterwarnings("ignore:TF32")
def test_pmfs_do_not_depend_on_mkldnn(tiny_models):
    tokens, visible = some_tokens(20), np.random.default_rng(3).random((20, LAYERS)) < 0.5
    results = []
    for enabled in (True, False):
        with torch.backends.mkldnn.flags(enabled=enabled):
            results.append(all_logits(tiny_models.source, tokens, visible, np.arange(20)))
    assert same_frequencies(*results)


class OtherMachine(PmfSource):
    """The same weights; what comes out of each part is off by a relative `error`, far more than float64 ever is."""

    def __init__(self, model, error, seed=1):
        super().__init__(model)
        self.error, self.rng = error, np.random.default_rng(seed)
        for name in ("body", "neck"):
            setattr(self.network, name, self.disturbed(getattr(self.network, name)))
        self.logits = self.disturbed(self.logits)

    def disturbed(self, function):
        def result(*args):
            exact = function(*args)
            return exact * (1 + self.error * self.rng.uniform(-1, 1, exact.shape))

        return result


@pytest.mark.parametrize("policy", ["independent", "layered", "chained"])
@pytest.mark.parametrize("error", [1e-13, 1e-11])
def test_disturbed_arithmetic_decodes_bit_exactly(tiny_models, policy, error):
    tokens, the_plan = some_tokens(40), plan(policy, past=2)
    payloads = encoded(tiny_models.source, tokens, the_plan, tiny_models.static)
    other = OtherMachine(tiny_models.lm.model, error)
    visible = np.ones((5, LAYERS), bool)
    assert not np.array_equal(other.begin(tokens[:5], visible), tiny_models.source.begin(tokens[:5], visible))
    got = decoded(other, payloads, the_plan, tiny_models.static)
    assert all(d.status == ("ok", "ok") and d.received.all() for d in got)
    assert np.array_equal(np.concatenate([d.tokens for d in got]), tokens)


def test_a_group_within_the_guard_is_coded_with_the_static_table(tiny_models):
    class OnTheEdge(PmfSource):
        def logits(self, *args):
            return np.floor(super().logits(*args) / pmf.STEP) * pmf.STEP + pmf.STEP / 2  # each on a boundary

    source = OnTheEdge(tiny_models.lm.model)
    tokens = some_tokens(5)
    coded = SuperframeEncoder(source, plan(), tiny_models.static).push(tokens)[1]
    assert all(g.fallback for g in coded)
    got = decoded(OtherMachine(tiny_models.lm.model, 1e-3), [[g.bits for g in coded]], plan(), tiny_models.static)
    assert got[0].status == ("ok", "ok") and np.array_equal(got[0].tokens, tokens)


# --- desynchronisation -----------------------------------------------------------------------------------------------


def test_other_weights_are_noticed_in_every_packet(tiny_models):
    tokens = some_tokens(60)
    payloads = encoded(tiny_models.source, tokens, plan(), tiny_models.static)
    got = decoded(OtherMachine(tiny_models.lm.model, 0.1), payloads, plan(), tiny_models.static)
    fate = [s for d in got for s in d.status]
    assert fate.count("desync") >= 12 and fate.count("ok") <= 1  # a wrong one passes once in thousands
    for d in got:
        if d.status[0] == "desync":
            assert not d.received.any() and not d.tokens.any(), "wrong tokens never leave the decoder"


def test_a_corrupted_context_is_noticed_and_ends_with_the_refresh(tiny_models):
    tokens, the_plan = some_tokens(60), plan("chained", past=4)
    payloads = encoded(tiny_models.source, tokens, the_plan, tiny_models.static)
    decoder = SuperframeDecoder(tiny_models.source, the_plan, tiny_models.static)
    fates = []
    for s, bits in enumerate(payloads):
        d = decoder.push(s, bits)
        fates.append(d.status)
        if s == 1:  # what the decoder remembers of superframe 1 changes behind its back
            decoder.history.slots[1].tokens[2, 0] ^= 5
    assert fates[0] == fates[1] == ("ok", "ok")
    assert fates[2][0] == "desync"
    assert all(f != ("ok", "ok") for f in fates[2:5])
    assert all(f == ("ok", "ok") for f in fates[5:]), "superframe 5 starts afresh"


# --- concealment -----------------------------------------------------------------------------------------------------


def concealer(models, **kwargs):
    return Concealer(models.lm.model, models.lm.codebooks, LAYERS, **kwargs)


def test_what_arrived_whole_is_played_as_it_is(tiny_models):
    tokens = some_tokens(5)
    estimate = concealer(tiny_models).push(tokens, np.ones(tokens.shape, bool))
    books = tiny_models.lm.codebooks.numpy()
    expected = sum(books[k][tokens[:, k]] for k in range(LAYERS))
    assert np.allclose(estimate.latent, expected, atol=1e-5)
    assert not estimate.concealed.any() and (estimate.gain == 1).all() and (estimate.layers == LAYERS).all()


def test_layers_that_were_never_sent_are_no_loss(tiny_models):
    tokens, received = some_tokens(5), np.zeros((5, LAYERS), bool)
    received[:, :7] = True
    estimate = concealer(tiny_models).push(tokens, received)
    assert not estimate.concealed.any() and (estimate.layers == 7).all()


def parts(tiny_models, received, groups=(3, LAYERS)):
    """The estimate of one superframe, and how much its latent differs from the sum of the vectors that came."""
    tokens, books = some_tokens(5), tiny_models.lm.codebooks.numpy()
    estimate = concealer(tiny_models, groups=groups).push(tokens, received)
    sent = sum(books[k][tokens[:, k]] * received[:, k, None] for k in range(LAYERS))
    return estimate, np.abs(estimate.latent - sent).max()


def test_packets_that_a_superframe_has_not_are_no_loss(tiny_models):
    """Its base came and no more was sent: as the base alone, not as one with its enhancement lost."""
    tokens = some_tokens(10)
    base = np.zeros(tokens.shape, bool)
    base[:, :3] = True
    alone, whole = (concealer(tiny_models, groups=(3, LAYERS)) for _ in range(2))
    got, lost = alone.push(tokens, base, 3), whole.push(tokens, base)
    assert not got.concealed.any() and (got.layers == 3).all() and lost.concealed.all()
    vectors = tiny_models.lm.codebooks[torch.arange(3), torch.from_numpy(tokens[:, :3]).long()]
    assert np.allclose(got.latent, vectors.sum(1).numpy(), atol=1e-6)
    none = np.zeros(tokens.shape, bool)
    gone = [alone.push(tokens, none, 3), whole.push(tokens, none)]
    assert all(g.concealed.all() for g in gone) and gone[0].layers.tolist() == [3] * len(tokens)
    assert gone[1].layers.tolist() == [LAYERS] * len(tokens)


def test_a_lost_enhancement_packet_is_estimated_and_not_just_left_out(tiny_models):
    received = np.zeros((5, LAYERS), bool)
    received[:, :3] = True
    estimate, added = parts(tiny_models, received)
    assert estimate.concealed.all() and (estimate.layers == 3).all() and added > 1e-3


def test_layers_left_out_of_an_elastic_packet_are_filled_only_below_others(tiny_models):
    received = np.ones((5, LAYERS), bool)
    received[:, 2] = received[:, 9:] = False  # a base of 2 layers out of 3, an enhancement of 6 out of 9
    estimate, added = parts(tiny_models, received)
    assert not estimate.concealed.any() and (estimate.layers == 8).all() and added > 1e-3
    received[:, 2] = True
    estimate, added = parts(tiny_models, received)
    assert not estimate.concealed.any() and (estimate.layers == 9).all() and added < 1e-5


def test_a_lost_base_under_an_independent_enhancement_is_estimated(tiny_models):
    received = np.ones((5, LAYERS), bool)
    received[:, :3] = received[:, 10:] = False
    estimate, added = parts(tiny_models, received)
    assert estimate.concealed.all() and (estimate.layers == 7).all() and added > 1e-3
    assert (estimate.gain == 1).all(), "a frame of which something came is no gap"


def test_what_is_lost_is_estimated_from_the_rest_and_not_from_the_lost_values(tiny_models):
    tokens, received = some_tokens(10), np.ones((10, LAYERS), bool)
    received[5:] = False

    def second(values):
        c = concealer(tiny_models)
        c.push(values[:5], received[:5])
        return c.push(values[5:], received[5:])

    estimate = second(tokens)
    assert estimate.concealed.all() and np.isfinite(estimate.latent).all()
    hidden, past = tokens.copy(), tokens.copy()
    hidden[5:] = 0
    past[:5] = some_tokens(5, seed=8)
    assert np.array_equal(second(hidden).latent, estimate.latent)
    assert not np.array_equal(second(past).latent, estimate.latent)


def test_look_ahead_waits_and_then_uses_the_future(tiny_models):
    tokens, received = some_tokens(15), np.ones((15, LAYERS), bool)
    received[5:10] = False

    def middle(future):
        c = concealer(tiny_models, lookahead=1)
        assert c.push(tokens[:5], received[:5]) is None
        first = c.push(tokens[5:10], received[5:10])
        assert first is not None and not first.concealed.any()
        estimate = c.push(future, received[10:])
        assert len(c.flush()) == 1
        return estimate

    here = middle(tokens[10:])
    assert here.concealed.all()
    assert not np.array_equal(here.latent, middle(some_tokens(5, seed=6)).latent)


def test_a_long_gap_fades_to_comfort_noise_and_recovers(tiny_models):
    c, tokens, gains = concealer(tiny_models), some_tokens(5), []
    lost, there = np.zeros((5, LAYERS), bool), np.ones((5, LAYERS), bool)
    c.push(tokens, there)
    for _ in range(10):
        level = c.push(tokens, lost).gain  # at the boundaries of the frames: one more than there are frames
        assert len(level) == 6 and (not gains or level[0] == gains[-1])
        gains.extend(level[1:])
    assert gains[:HOLD] == [1.0] * HOLD and np.isclose(gains[HOLD], FADE)
    assert all(a >= b for a, b in zip(gains, gains[1:], strict=False)) and np.isclose(gains[-1], FLOOR)
    back = c.push(tokens, there).gain
    assert np.isclose(back[0], FLOOR) and (back[1:] == 1).all()


def test_the_memory_of_the_concealer_stays_bounded(tiny_models):
    c = concealer(tiny_models, context=20, lookahead=1)
    for _ in range(20):
        c.push(some_tokens(5), np.ones((5, LAYERS), bool))
        assert len(c.tokens) == len(c.received) <= 20 + 5


def test_wrong_arguments_are_named(tiny_models):
    with pytest.raises(ValueError, match="layers"):
        Concealer(tiny_models.lm.model, tiny_models.lm.codebooks, 25)
    with pytest.raises(ValueError, match="lookahead"):
        concealer(tiny_models, lookahead=-1)
    with pytest.raises(ValueError, match="context"):
        concealer(tiny_models, context=-1)
    for groups in ([3, 11], [12, 3], [3, 3, 12], [0, 12]):
        with pytest.raises(ValueError, match="groups"):
            concealer(tiny_models, groups=groups)
    for tokens, received in [((5, 11), (5, 11)), ((5, 12), (4, 12)), ((60,), (60,))]:
        with pytest.raises(ValueError, match="tokens, received"):
            concealer(tiny_models).push(np.zeros(tokens, np.int16), np.ones(received, bool))
    with pytest.raises(ValueError, match="codebooks"):
        MaskedLm(tiny_models.lm.model.config, torch.zeros(2, 3, 4))
