# SPDX-License-Identifier: GPL-3.0-or-later
# %% [markdown]
# # From a token to a cliff
#
# An hour with a voice on its way over the radio. You will see what a token is, how a language model makes tokens
# cheaper to send, what happens when packets are lost, why a coded link has a cliff, and why an analog one has none.
# You should know what a spectrum and a probability are; radio and neural networks are explained as they come.
#
# Every number and picture on this page was computed by the code above it. Three ways to follow:
#
# - read `docs/tutorial.md`, which has the results of one run;
# - open `examples/tutorial.ipynb` in Jupyter (`.venv/bin/pip install -c requirements/constraints.txt -r
#   requirements/notebook.txt`, then `.venv/bin/jupyter lab examples/tutorial.ipynb`): there you can listen, change and
#   repeat;
# - run `examples/tutorial.py` with the Python of `.venv`; it is the same code, and sounds become WAV files in the
#   current folder.
#
# All of it takes a few minutes of one core.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np
import torch
from gnuradio.soundspring import link, profile
from gnuradio.soundspring.audio.io import read, write
from gnuradio.soundspring.evaluation.metrics import pesq_wb
from gnuradio.soundspring.examples import example_file

torch.set_num_threads(1)
QUICK = bool(os.environ.get("TUTORIAL_QUICK"))  # only to see whether everything runs

RATE, FRAME = 16000, 320
sound = read(example_file("speech.wav"))[0]
sound = sound[: (2 * RATE if QUICK else len(sound)) // FRAME * FRAME]
models = link.shared_models()
plt.rcParams.update({"figure.figsize": (7.5, 2.8), "figure.constrained_layout.use": True, "font.size": 8})


def listen(name, audio):
    """A player in a notebook, a WAV file elsewhere."""
    try:
        from IPython.display import Audio, display

        display(name, Audio(audio, rate=RATE))
    except ImportError:
        write(f"{name}.wav", audio)


def quality(audio):
    """PESQ, an estimate of what listeners would say: 1 is bad, 4.6 perfect; nan where it is not installed."""
    score = pesq_wb(sound, audio)
    return np.nan if score is None else score


listen("original", sound)
print(f"{len(sound) / RATE:.2f} s, {len(sound)} samples, {len(sound) // FRAME} frames of 20 ms")

# %% [markdown]
# ## 1. Sound as coefficients
#
# The codec looks at sound through a window 40 ms wide that moves on by 20 ms, a *frame*. The transform is an MDCT:
# each frame of 320 new samples becomes 320 coefficients, one for each 25 Hz of the spectrum. Neighbouring windows
# overlap, yet there are no more coefficients than samples, and adding up the overlapping pieces gives the sound back
# exactly. So far nothing is lost and nothing is saved.

# %%
from gnuradio.soundspring.codec.mdct import Mdct

mdct, silence = Mdct(FRAME), torch.zeros(1, FRAME)
coefficients, _ = mdct.analyse(torch.from_numpy(sound)[None], silence)
back, _ = mdct.synthesise(coefficients, silence)
error = np.abs(back[0, FRAME:].numpy() - sound[:-FRAME]).max()  # a frame is complete when the next has come
print(f"{coefficients[0].numel()} coefficients for {len(sound)} samples; largest error on the way back {error:.0e}")

figure, (above, below) = plt.subplots(2, 1, sharex=True, figsize=(7.5, 3.6))
above.plot(np.arange(len(sound)) / RATE, sound, lw=0.4)
above.set(ylabel="sound", ylim=(-1, 1))
level = 20 * np.log10(np.abs(coefficients[0].numpy().T) + 1e-5)
below.imshow(level, origin="lower", aspect="auto", vmin=-75, vmax=0, cmap="magma", extent=(0, len(sound) / RATE, 0, 8))
below.set(xlabel="time / s", ylabel="MDCT, kHz")
plt.show()

# %% [markdown]
# ## 2. What a token is
#
# A network (the *encoder*) turns each frame's coefficients into a *latent*, a vector made so that another network (the
# *decoder*) can make sound of it. To send a vector we need whole numbers. A *codebook* is a list of 1024 vectors; we
# send the number of the entry that is nearest: 10 bits. That number is a **token**.
#
# One entry is a coarse likeness. So a second codebook describes what the first left over, a third what both left over,
# and so on for up to 24 *layers*: residual vector quantisation. The receiver looks up the entries and adds them. The
# first layers matter most, and whoever gets fewer layers still gets a voice. At 50 frames a second each layer costs
# 500 bit/s.

# %%
from gnuradio.soundspring.codec.api import Decoder, Encoder, latents

encoder = Encoder(models.codec, layers=24)
latent = encoder.analyse(np.append(sound, np.zeros(FRAME, np.float32)))  # one frame more, to complete the last
tokens = encoder.quantise(latent)
loud = int(np.argmax((sound.reshape(-1, FRAME) ** 2).sum(1)))
print(f"latents {latent.shape}, tokens {tokens.shape}")
print(f"frame {loud}, the loudest, in its first 12 layers: {tokens[loud, :12]}")

LAYERS = {"3k": 6, "6k": 12, "12k": 24}
decoded = {}
for name, layers in LAYERS.items():
    decoded[name] = Decoder(models.codec).push_tokens(tokens[:, :layers])[FRAME:]
    listen(name, decoded[name])
    print(f"{layers:2d} layers, {layers * 500:5d} bit/s: PESQ {quality(decoded[name]):.2f}")

# %% [markdown]
# Listen to them in order. Left below: how much of the latent is still missing after each layer; the first layers take
# away most. Right: the same two seconds at three rates. The more layers, the darker it gets between the harmonics, the
# fine stripes: noise of the quantiser goes away.

# %%
left = [((latent - latents(models.codec, tokens[:, :k])) ** 2).mean() / latent.var() for k in range(1, 25)]
figure, axes = plt.subplots(1, 5, figsize=(10, 2.6), width_ratios=[1.5, 1, 1, 1, 1])
axes[0].plot(range(1, 25), 10 * np.log10(left), ".-")
axes[0].set(xlabel="layers", ylabel="error of the latent / dB", title="what is left over")
for axis, (name, audio) in zip(axes[1:], [*decoded.items(), ("original", sound)], strict=True):
    axis.specgram(audio[: 2 * RATE] + 1e-6, 512, RATE, noverlap=384, cmap="magma", vmin=-130, vmax=-40)
    axis.set(title=name, xticks=[0, 1, 2], yticks=[] if name != "3k" else [0, 4000, 8000], xlabel="s")
plt.show()

# %% [markdown]
# ## 3. Not all tokens are alike
#
# Ten bits a token are needed only if all 1024 entries are equally likely. The released models bring a histogram,
# counted on their training speech. An ideal code spends $-\log_2 p$ bits on an entry of probability $p$: common ones
# get short codes, rare ones long codes. The mean is the entropy.

# %%
LAYERS_SENT = 12  # 6 kbit/s, as in the profile `reference`
histogram = models.lm.histogram + 1
p = np.sort(histogram / histogram.sum(1, keepdims=True), axis=1)[:, ::-1]
static = models.static.code_length(tokens[:, :LAYERS_SENT]) / len(tokens)
print("bits a token under the histogram, layer by layer:", np.round(static, 2))
print(f"mean {static.mean():.2f} of 10: {100 - 10 * static.mean():.0f} % saved")

figure, axis = plt.subplots(figsize=(5, 2.6))
for layer in (0, 5, 11):
    axis.loglog(np.arange(1, 1025), p[layer], label=f"layer {layer}")
axis.axhline(1 / 1024, color="grey", lw=0.8, label="all alike")
axis.set(xlabel="entry, the most frequent first", ylabel="probability", ylim=(1e-5, 0.1))
axis.legend()
plt.show()

# %% [markdown]
# That is little: the codec was trained to use its entries evenly. What a histogram cannot see is the *context*.
#
# ## 4. A language model for sound
#
# Speech goes on as it began. The masked language model is a small Transformer that is shown some of the tokens around
# a place and says, for a hidden one, how likely each of the 1024 entries is. It is the same game as filling in a
# missing word. We hide a token of the first layer in the loudest frame and let the model guess, each time shown more.

# %%
span = slice(max(loud - 7, 0), max(loud - 7, 0) + 15)
window, here = np.ascontiguousarray(tokens[span, :LAYERS_SENT]), loud - span.start


def guess(known, layer, frame=here):
    """PMF [1024] of a hidden token, from those of the window that are known."""
    shown = np.where(known, window, 0).astype(np.int16)
    state = models.source.begin(shown, known)
    logits = models.source.logits(state, np.array([frame]), layer, shown, known)[0]
    return np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()


def entropy(pmf):
    return float(-(pmf * np.log2(pmf)).sum())


nothing = np.zeros(window.shape, bool)
past = nothing.copy()
past[:here] = True
both = past.copy()
both[here + 1 :] = True
guesses = {"nothing": guess(nothing, 0), "the past": guess(past, 0), "past and future": guess(both, 0)}
truth = window[here, 0]
for shown, pmf in guesses.items():
    rank, cost = (pmf > pmf[truth]).sum() + 1, -np.log2(pmf[truth])
    print(f"shown {shown:16s} entropy {entropy(pmf):5.2f} bits; the right entry: rank {rank:3d}, {cost:5.2f} bits")

figure, axes = plt.subplots(1, 3, sharey=True, figsize=(9, 2.4))
for axis, (shown, pmf) in zip(axes, guesses.items(), strict=True):
    axis.semilogy(pmf, ".", ms=2)
    axis.semilogy([truth], [pmf[truth]], "o", mfc="none", mec="red", ms=8)
    axis.set(title=f"shown {shown}", xlabel="entry", ylim=(1e-7, 1))
axes[0].set_ylabel("probability (red: the truth)")
plt.show()

# %% [markdown]
# **Predicting is compressing**: the better the guess, the fewer bits the truth costs. The rest of this page needs that
# model twice, once to make packets smaller and once to make up for packets that never came. It is one network with one
# set of weights.
#
# ## 5. Range coding: from probabilities to bits
#
# A range coder turns a row of symbols and their probabilities into bits, hardly more than the ideal number. It begins
# with the interval from 0 to 1 and narrows it down to the part that belongs to each symbol in turn. In the end it
# names the shortest binary fraction inside; zeros at its end need not be written, which may even save a bit. The
# decoder needs exactly the same probabilities, on any machine, so they are rounded to whole numbers first
# (`coding/pmf.py`).
#
# A superframe is five frames of 12 layers, coded here as the profile `reference` does: the three *base* layers first,
# then the nine of the *enhancement* packet, which may look at the base. Each layer knows the ones below it.

# %%
from gnuradio.soundspring.coding import pmf as integer_pmf
from gnuradio.soundspring.coding import range_coder

BASE = 3
superframes = tokens[: len(tokens) // 5 * 5, :LAYERS_SENT].reshape(-1, 5, LAYERS_SENT)


def walk(code):
    """Both ends take this walk over the places of a superframe; `code(cumulative, frame, layer)` tells each token."""
    done = np.zeros((5, LAYERS_SENT), np.int16)
    known = np.zeros(done.shape, bool)
    for layer in range(LAYERS_SENT):
        if layer in (0, BASE):  # what the Transformer is shown: nothing, then the base
            state = models.source.begin(done.copy(), known.copy())
        logits = models.source.logits(state, np.arange(5), layer, done, known)
        table, _ = integer_pmf.cumulative(logits)  # whole numbers: 0, f0, f0 + f1, ..., their sum
        done[:, layer] = [code(row, frame, layer) for frame, row in enumerate(table)]
        known[:, layer] = True
    return done


def encode(five):
    """The code of a superframe, and what each token ideally costs, bits [5, layers]."""
    coder, ideal = range_coder.Encoder(), np.zeros(five.shape)

    def put(row, frame, layer):
        token = five[frame, layer]
        frequency = row[token + 1] - row[token]
        coder.encode(row[token], frequency, row[-1])
        ideal[frame, layer] = np.log2(row[-1] / frequency)
        return token

    walk(put)
    return coder.finish(), ideal


codes, costs = zip(*map(encode, superframes), strict=True)
reader = range_coder.Decoder(codes[0])
again = walk(lambda row, frame, layer: reader.decode(row))
print("the first code begins", "".join(map(str, codes[0][:48])))
print("and is decoded to the same tokens:", bool((again == superframes[0]).all()))

bits = {"raw": 10 * superframes[0].size, "histogram": static.sum() * 5}
bits |= {"model": np.sum(costs) / len(costs), "range code": np.mean([len(code) for code in codes])}
for name, count in bits.items():
    print(f"{name:11s}{count:6.1f} bits a superframe, {100 * (1 - count / bits['raw']):4.1f} % saved")

# %% [markdown]
# The real transmitter goes one step further: among tokens that sound almost alike it takes those that the model finds
# likely (`coding/search.py`). That is the key `rate_weight` of a profile. `link.encode` does all of it, from sound to
# packets:

# %%
whole = link.Link(profile.load("reference"), models)
counts = link.Counts()
sent = list(link.encode(whole, sound, counts))
received = link.decode(whole, sent, len(sound))
listen("through-packets", received)
decoder = whole.entropy_decoder()
coded = sum(int(decoder.push(*frame).received.sum()) for frame in sent)
print(f"{counts.packets_sent} packets with {coded / len(sent) / 5:.1f} layers on average;")
print(f"{counts.copy_bits / len(sent):.0f} bits a superframe go into copies, of which section 6 tells;")
print(f"a token costs {counts.model_bits / coded:.2f} bits instead of 10, {100 - 10 * counts.model_bits / coded:.0f} % "
      f"saved; PESQ {quality(received):.2f} where the nearest tokens have {quality(decoded['6k']):.2f}")

# %% [markdown]
# ## 6. Losing packets
#
# Radio loses packets. What should the receiver play where one is missing? It may *mute*; it may *repeat* the last
# frame and fade; or it may ask the language model what most likely stood there. A missing token is just a hidden one:
# game and network are those of section 4.
#
# Or the loss can be mended: the enhancement packet of `reference` carries the lowest layers of the superframe before
# once more. Where a superframe is lost and the next one comes, the voice goes on with those *copies*, and only what is
# missing above them is guessed. That costs bits, and 100 ms of waiting. The profile `wide-2` has as much room for a
# voice and no copies.
#
# Whole superframes are lost here, a tenth of a second each. The differences between ways to conceal are small beside
# those between voices and between the places that are hit, so each figure is a mean over several draws of losses;
# `models/lm/CARD.md` has larger tables.

# %%
from gnuradio.soundspring.baselines.concealers import Mute, RepeatLatent
from gnuradio.soundspring.channel.loss import Bernoulli

books = models.lm.codebooks.numpy()
plain = link.Link(profile.load("wide-2"), models)
bare = list(link.encode(plain, sound))
CONCEALERS = {
    "mute": (plain, lambda: Mute(books)),
    "repeat": (plain, lambda: RepeatLatent(books)),
    "model": (plain, plain.concealer),
    "copies": (whole, whole.concealer),
}


def lose(way, frames, gone):
    """What the decoder of a link knows of each superframe when those never come that are gone."""
    decoder = way.entropy_decoder()
    return [decoder.push(s, [None] * 2 if g else payloads) for g, (s, payloads) in zip(gone, frames, strict=True)]


SHARES, DRAWS = ((0.2,), 1) if QUICK else ((0.05, 0.1, 0.2, 0.3), 3)
concealed = {name: np.zeros((len(SHARES), DRAWS)) for name in CONCEALERS}
for i, share in enumerate(SHARES):
    for seed in range(DRAWS):
        gone = Bernoulli(share, seed + 1).step(len(sent))
        known = {way: lose(way, frames, gone) for way, frames in ((plain, bare), (whole, sent))}
        for name, (way, make) in CONCEALERS.items():
            heard = link.render(way, known[way], len(sound), concealer=make())
            concealed[name][i, seed] = quality(heard)
            if share == 0.2 and seed == 0:
                listen(f"lost-{name}", heard)
print("superframes lost: PESQ")
for name, scores in concealed.items():
    print(f"{name:7s}", "  ".join(f"{100 * s:.0f} %: {x:.2f}" for s, x in zip(SHARES, scores.mean(1), strict=True)))

figure, axis = plt.subplots(figsize=(5, 2.6))
for name, scores in concealed.items():
    axis.plot(100 * np.array(SHARES), scores.mean(1), "o-", label=name)
axis.set(xlabel="superframes lost / %", ylabel="PESQ")
axis.legend()
plt.show()

# %% [markdown]
# ## 7. LDPC and QAM: the waterfall
#
# Now the air. Bits become points of a constellation (*QAM*: QPSK carries 2 bits a point, 16-QAM 4, 64-QAM 6), and the
# channel adds noise. SNR here is the power of a point over the power of the noise on it, in dB. Without a code there
# are always some wrong bits. An *LDPC* code sends more bits than there are to tell, tied together by many parity
# checks, and the receiver passes probabilities back and forth between bits and checks until they agree. It gets not
# just "0 or 1" from the demapper but how sure that is: a log-likelihood ratio for each bit.
#
# We send packets of four profiles and count those that fail.

# %%
from gnuradio.soundspring.fec.ldpc import LdpcCode
from gnuradio.soundspring.modem.qam import demap, map_bits

rng = np.random.default_rng(1)
BLOCKS = 20 if QUICK else 200


def noisy(symbols, snr_db):
    """Through white noise; and the noise variance."""
    n0 = 10 ** (-snr_db / 10)
    noise = rng.standard_normal((*symbols.shape, 2)) @ np.array([1, 1j]) * np.sqrt(n0 / 2)
    return (symbols + noise).astype(np.complex64), n0


def block_errors(code, order, snr_db):
    """Share of wrong blocks, and of wrong bits had there been no decoder."""
    info = rng.integers(0, 2, (BLOCKS, code.k), dtype=np.uint8)
    coded = code.encode(info)
    y, n0 = noisy(map_bits(coded.ravel(), order), snr_db)
    llr = demap(y, n0, order).reshape(BLOCKS, code.e)
    wrong = (code.decode(llr).bits != info).any(1).mean()
    return wrong, ((llr > 0) != coded).mean()


figure, (left_axis, axis) = plt.subplots(1, 2, width_ratios=[1, 2.4], figsize=(9, 2.9))
y, _ = noisy(map_bits(rng.integers(0, 2, 4000, dtype=np.uint8), 4), 15)
left_axis.plot(y.real, y.imag, ".", ms=1.5)
left_axis.set(title="16-QAM at 15 dB", aspect="equal")
thresholds = {}
for colour, name in enumerate(("wide-1", "reference", "wide-4", "wide-6")):
    phy = profile.load(name).phy.packets[1]
    code, order = LdpcCode(phy.payload_bits, phy.code_bits, phy.bits_per_symbol), phy.bits_per_symbol
    efficiency = code.rate * order
    limit = 10 * np.log10(2**efficiency - 1)
    snrs = limit + np.arange(0.5, 4.5, 0.5)
    wrong, raw = np.array([block_errors(code, order, snr) for snr in snrs]).T
    thresholds[name] = float(np.interp(-0.1, -wrong, snrs))
    axis.semilogy(snrs, np.maximum(wrong, 0.3 / BLOCKS), "o-", ms=3, color=f"C{colour}", label=name)
    axis.axvline(limit, color=f"C{colour}", lw=0.8, ls=":")
    uncoded = 100 * np.interp(thresholds[name], snrs, raw)
    print(f"{name:10s}{efficiency:5.2f} bits a point; Shannon's limit {limit:5.1f} dB; "
          f"a tenth lost at {thresholds[name]:5.1f} dB, where {uncoded:4.1f} % of the bits come wrong")
axis.set(xlabel="SNR / dB", ylabel="packets lost", ylim=(0.2 / BLOCKS, 1.2), title="dotted: Shannon's limits")
figure.legend(loc="outside right upper")
plt.show()

# %% [markdown]
# Each waterfall falls from "all lost" to "none lost" within about a decibel or two. That is what makes codes strong,
# and it is where the cliff comes from. Dotted is the limit $\log_2(1 + \mathrm{SNR}) = $ bits a point, below which no
# code can work at all; blocks as short as these stay a little above it.
#
# ## 8. The whole link: the cliff
#
# Codec, language model, LDPC, QAM, OFDM bursts, a noisy channel, synchronisation, and all the way back.

# %%
from gnuradio.soundspring.channel import make_channel

air = link.modulate(whole, sent)
SNRS = (-2, 6) if QUICK else (-4, -3, -2, -1.5, -1, -0.5, 0, 0.5, 1, 2, 4, 8)


def over_the_air(snr_db, channel="awgn", seed=0):
    """Sound, shares of base and enhancement packets lost."""
    phy = whole.profile.phy
    chain = make_channel(channel, rate=whole.sample_rate, snr_db=snr_db, oversampling=phy.oversampling, seed=seed)
    frames = link.in_order(link.demodulate(whole, chain.process(air)), len(sent), 2)
    lost = np.mean([[payload is None for payload in payloads] for _, payloads in frames], axis=0)
    return link.decode(whole, frames, len(sound)), lost


cliff = {}
for snr_db in SNRS:
    audio, lost = over_the_air(snr_db)
    score = quality(audio) if lost[0] < 0.9 else np.nan  # of near silence PESQ knows nothing
    cliff[snr_db] = (score, *lost)
    listen(f"snr{snr_db:+g}", audio)
    print(f"{snr_db:5.1f} dB: base lost {100 * lost[0]:5.1f} %, enhancement {100 * lost[1]:5.1f} %, PESQ {score:.2f}")

scores, base, fine = np.array(list(cliff.values())).T
figure, (left_axis, axis) = plt.subplots(1, 2)
left_axis.plot(SNRS, 100 * base, "o-", ms=4, label="base")
left_axis.plot(SNRS, 100 * fine, "o-", ms=4, label="enhancement")
left_axis.set(xlabel="SNR / dB", ylabel="packets lost / %")
left_axis.legend()
axis.plot(SNRS, scores, "o-", ms=4)
axis.set(xlabel="SNR / dB", ylabel="PESQ", ylim=(1, None), xlim=left_axis.get_xlim())
plt.show()

# %% [markdown]
# From right to left: for a long way nothing happens at all; more SNR than needed buys nothing. Then the enhancement
# packets fail, and a decibel later the base. Below that there is nothing. This is the **cliff**. A radio that knows
# its SNR stays away from it by changing to another rung of the ladder (`examples/adaptive_rate.grc`). But a
# transmitter that talks to many receivers, or does not know its channel, cannot.
#
# ## 9. Why an analog link has no cliff
#
# A digital link decides. Up to the threshold noise is removed completely, beyond it the message is gone. An analog
# link never decides: what is sent *is* the value, and noise of a certain power makes an error of a certain size. The
# smallest example that shows it: a vector of independent Gaussian numbers of variance 1, each of which may use one
# complex channel symbol.
#
# **Digital.** Quantise each number with the best scalar quantiser for $b$ bits (Lloyd and Max) and send the bits by
# LDPC and QAM with $b$ bits a point. A block that fails is replaced by the mean, 0.
#
# **Analog.** Send the number as it is, once in each half of the complex symbol. The receiver sees $y = x + n$ in both;
# the mean of the two has SNR $2\gamma$, and the estimate with least error (MMSE) scales it by $2\gamma / (1 +
# 2\gamma)$. The error is $1 / (1 + 2\gamma)$: no threshold anywhere in it.

# %%
def lloyd(levels, samples):
    """Levels of the quantiser with least square error for these samples."""
    points = np.quantile(samples, (np.arange(levels) + 0.5) / levels)
    for _ in range(100):
        nearest = np.searchsorted((points[1:] + points[:-1]) / 2, samples)
        points = np.bincount(nearest, samples, levels) / np.maximum(np.bincount(nearest, minlength=levels), 1)
    return points


def digital(x, b, order, snr_db):
    """x [blocks, n] by b bits a number, LDPC and QAM of `order` bits a point: one point a number."""
    points = lloyd(2**b, rng.standard_normal(50_000))
    index = np.searchsorted((points[1:] + points[:-1]) / 2, x)
    info = (index[..., None] >> np.arange(b) & 1).reshape(len(x), -1).astype(np.uint8)
    code = LdpcCode(info.shape[1], x.shape[1] * order, order)
    y, n0 = noisy(map_bits(code.encode(info).ravel(), order), snr_db)
    got = code.decode(demap(y, n0, order).reshape(len(x), -1))
    value = points[(got.bits.reshape(*x.shape, b) << np.arange(b)).sum(-1)]
    return np.where(got.ok[:, None], value, 0.0)


def analog(x, snr_db):
    """Each number in both halves of a complex symbol."""
    y, n0 = noisy(x * (1 + 1j) / np.sqrt(2), snr_db)
    gamma = 1 / n0
    return (y.real + y.imag) / np.sqrt(2) * 2 * gamma / (1 + 2 * gamma)


def fidelity(x, estimate):
    """Signal to error ratio, dB."""
    return 10 * np.log10(np.mean(x**2) / np.mean((x - estimate) ** 2))


x = rng.standard_normal((20 if QUICK else 60, 480))
gammas = np.arange(-6.0, 26.0, 4.0 if QUICK else 1.0)
schemes = {"analog": lambda snr: analog(x, snr)}
for b, order, name in ((1, 2, "QPSK, 1 bit"), (2, 4, "16-QAM, 2 bits"), (4, 6, "64-QAM, 4 bits")):
    schemes[name] = lambda snr, b=b, order=order: digital(x, b, order, snr)
curves = {name: [fidelity(x, scheme(snr)) for snr in gammas] for name, scheme in schemes.items()}
figure, axis = plt.subplots(figsize=(6, 3))
for name, curve in curves.items():
    axis.plot(gammas, curve, "o-", ms=3, lw=2.5 if name == "analog" else 1.2, label=name)
axis.plot(gammas, 20 * np.log10(1 + 10 ** (gammas / 10)), "k:", lw=1, label="limit of all schemes")
axis.set(xlabel="SNR / dB", ylabel="signal to error / dB", ylim=(-1, 30))
axis.legend()
plt.show()
for name, curve in curves.items():
    steepest = (np.diff(curve) / np.diff(gammas)).max()
    print(f"{name:15s} steepest {steepest:5.1f} dB per dB of SNR; at the ends {curve[0]:5.1f} and {curve[-1]:5.1f} dB")

# %% [markdown]
# Read the picture twice. *At one SNR*, known beforehand: no scheme can pass the dotted limit, an error of $(1 +
# \gamma)^{-2}$, and it is the digital ones that can come near it, with better quantisers and longer codes than these.
# Of the simple ones here the best wins at high SNR, just above its threshold: repeating a number is a poor use of the
# second half of a symbol, while each further bit divides the error by four. At low SNR even this simple analog scheme
# is ahead. *Over all SNRs*, with one scheme that cannot be changed: each digital curve is a stair with a single step,
# the analog one a slope. Below the step of a digital scheme the analog one is better, and far above it again.
#
# Speech is no Gaussian vector, and repetition is no good code. *Deep joint source-channel coding* (JSCC) keeps the
# idea and replaces both ends by networks, trained together with noise in between. They learn what in a voice deserves
# power and how to use all symbols. Nothing in them decides, so quality slides with the SNR as it does here: worse than
# the digital link where that one works, better where it has fallen off its cliff.
#
# ## Exercises
#
# Solutions are below; try first.
#
# 1. A layer costs 500 bit/s raw. What does each of the 12 layers cost after the language model, if it knows the lower
#    layers of its own five frames and nothing else? Which layers are hardest to predict?
# 2. Losses often come in bursts. With the same share of superframes lost, are bursts of three worse than single
#    losses? Guess, then measure (`GilbertElliott.from_rate`).
# 3. The base packet of `reference` has its own LDPC code. How many decibels does it go on after the enhancement packet
#    has failed? Find it by the waterfalls of both.
# 4. Send the voice over Rayleigh fading at a mean SNR of 8 dB. Why are there losses now, though 8 dB is far above the
#    threshold? What share would you expect, if a burst fades as a whole?
# 5. In section 9 all numbers had the same variance. Give half of them variance 1.9 and half 0.1. Amplify each number
#    before sending by a factor of your choice, the mean power fixed. Which is better: equal power for all, or power in
#    proportion to the standard deviation?
#
# ## Solutions
#
# **1.** The walk of section 5 gave the ideal bits of each token.

# %%
per_layer = np.mean(costs, axis=(0, 1))
print("bits a token:", np.round(per_layer, 1))
print("bit/s a layer:", np.round(per_layer * 50).astype(int))

# %% [markdown]
# The first layer costs most because nothing is known when it is coded. Given the past it would be far cheaper (section
# 4), but then a lost packet would spoil the next; the real base packet codes three of its frames first and the two
# between them afterwards. Each later layer knows those below it; the higher, the more it looks like noise.
#
# **2.**

# %%
from gnuradio.soundspring.channel.loss import GilbertElliott

LOSSES = {"single losses": Bernoulli, "bursts of 3": lambda share, seed: GilbertElliott.from_rate(share, 3, seed)}
for name, process in LOSSES.items():
    scores, share = [], []
    for seed in range(1, 2 if QUICK else 5):
        gone = process(0.2, seed=seed).step(len(sent))
        scores.append(quality(link.render(whole, lose(whole, sent, gone), len(sound))))
        share.append(gone.mean())
    spread = f"from {min(scores):.2f} to {max(scores):.2f}"
    print(f"{name:14s} {100 * np.mean(share):4.1f} % lost, PESQ {np.mean(scores):.2f} ({spread})")

# %% [markdown]
# Copies mend single losses: the next packet brings the lowest layers once more. Of a burst of three superframes only
# the last is mended, and the first two are guessed from ever older knowledge. Single draws scatter widely all the
# same.
#
# **3.**

# %%
at = {}
for name, phy in zip(("base", "enhancement"), whole.profile.phy.packets, strict=True):
    code, snrs = LdpcCode(phy.payload_bits, phy.code_bits, phy.bits_per_symbol), np.arange(-4, 3, 0.5)
    at[name] = float(np.interp(-0.1, [-block_errors(code, phy.bits_per_symbol, snr)[0] for snr in snrs], snrs))
print(f"base {at['base']:.1f} dB, enhancement {at['enhancement']:.1f} dB")

# %% [markdown]
# **4.** The power of a Rayleigh channel is exponentially distributed: it falls below a share $t$ of its mean with
# probability $1 - e^{-t}$. A burst of 3 ms is shorter than a fade, so it is lost when its own SNR lies below the
# threshold, whatever the mean is. In fading the mean over time has a slope; each single burst still meets a cliff.

# %%
_, lost = over_the_air(8.0, "rayleigh", seed=3)
for name, share in zip(at, lost, strict=True):
    expected = 1 - np.exp(-(10 ** ((at[name] - 8.0) / 10)))
    print(f"{name}: {100 * share:.0f} % lost, {100 * expected:.0f} % expected")

# %% [markdown]
# (A recording of a few seconds sees few fades, so the measured shares scatter widely.)
#
# **5.** With a gain $g_i$ a number of variance $\sigma_i^2$ arrives with an error of $\sigma_i^2 / (1 + 2 \gamma g_i^2
# \sigma_i^2)$. To send each as it is means power in proportion to its variance; equal power for all makes $g_i = 1 /
# \sigma_i$; a power in proportion to the standard deviation, $g_i^2 = 1 / \sigma_i$ up to a common factor, is the best
# at high SNR, as Lagrange's multiplier shows.

# %%
variance, gamma = np.array([1.9, 0.1]), 10.0
for name, power in {"as it is": variance, "equal power": np.ones(2), "by deviation": np.sqrt(variance)}.items():
    power = power / power.mean()
    error = variance / (1 + 2 * gamma * power)
    print(f"{name:13s} signal to error {10 * np.log10(variance.mean() / error.mean()):.2f} dB")

# %% [markdown]
# That is what a trained analog transmitter does with the dimensions of its latent, only that it finds the gains, and
# much else, by itself.
#
# **Where to go from here.** `examples/README.md` has flowgraphs in order of difficulty; `docs/link.md` explains the
# stages and figures; `docs/models.md` tells how the networks came about.
