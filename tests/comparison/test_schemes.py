# SPDX-License-Identifier: GPL-3.0-or-later
"""Every scheme gives back what it was given where nothing is lost, tells what was lost, and fits where it says so."""

import numpy as np
import pytest
from soundspring.baselines import amrwb, codec2, opus
from soundspring.comparison import neural
from soundspring.comparison.air import Air, Ether
from soundspring.comparison.registry import SCHEMES, expand, make
from soundspring.comparison.terms import Terms

HERE = {"opus": opus.available, "amrwb": amrwb.available, "codec2": codec2.available}
CODERS = {"opus": (opus.OpusEncoder, opus.OpusDecoder), "amrwb": (amrwb.AmrwbEncoder, amrwb.AmrwbDecoder),
          "codec2": (codec2.Codec2Encoder, codec2.Codec2Decoder)}
TERMS = Terms.of("reference")


def conventional(name, *more):
    return pytest.param(name, *more, marks=pytest.mark.skipif(not HERE[name](), reason=f"no library for {name}"))


EACH = [conventional(name) for name in HERE]


def exchange(scheme, sent, noise=1e-3):
    """Symbols straight to the receiver, with a little noise."""
    rng = np.random.default_rng(0)
    var = np.full(scheme.symbols, noise, np.float32)
    return [scheme.receive((s + np.sqrt(noise / 2) * (rng.standard_normal((len(s), 2)) @ [1, 1j])).astype(np.complex64),
                           var) for s in sent]


def carry(ether, bursts, air, seed=3, whole=False):
    return ether.carry(bursts, air.make(ether.terms, seed), air.losses(seed), whole)


@pytest.mark.parametrize("name", EACH)
def test_without_loss_a_codec_sounds_as_without_radio(name, speech_like):
    scheme = make(name, TERMS)
    sent = scheme.encode(speech_like)
    assert all(s.shape == (scheme.symbols,) and abs(np.mean(np.abs(s) ** 2) - 1) < 0.01 for s in sent)
    received = exchange(scheme, sent)
    encoder, decoder = (kind(float(scheme.mode)) for kind in CODERS[name])
    packets = encoder.encode(speech_like)
    assert [p for block in received for p in block][: len(packets)] == packets
    played = scheme.play(received, len(speech_like))
    direct = np.clip(decoder.decode(packets, len(speech_like), encoder.delay), -1, 1)
    if name != "codec2":  # its decoder draws random phases
        np.testing.assert_allclose(played.audio, direct, atol=1e-6)
    assert played.fates == "." * len(sent)


@pytest.mark.parametrize("name", EACH)
def test_a_lost_burst_is_told_and_concealed(name, speech_like):
    scheme = make(name, TERMS)
    received = exchange(scheme, scheme.encode(speech_like))
    whole = scheme.digest(received)
    received[5] = None
    played = scheme.play(received, len(speech_like))
    assert played.fates[4:7] == ".x." and np.isfinite(played.audio).all() and len(played.audio) == len(speech_like)
    assert scheme.digest(received) != whole


@pytest.mark.parametrize("name", EACH)
def test_pure_noise_is_nothing(name):
    scheme = make(name, TERMS)
    noise = np.random.default_rng(2).standard_normal((scheme.symbols, 2)) @ [1, 1j]
    assert scheme.receive(noise.astype(np.complex64), np.full(scheme.symbols, 2, np.float32)) is None


@pytest.mark.parametrize("name", EACH)
def test_all_modes_fit_and_the_first_is_the_fixed_one(name):
    modes = expand(f"{name}:*", TERMS)
    assert expand(name, TERMS) == modes[:1] and len(modes) > 1
    rates = [make(label, TERMS).payload_bps for label in modes]
    assert all(r < 40_000 for r in rates) and len(set(rates)) > 1
    # The fixed mode is protected no worse than the profile's own packets, and the next larger one would be.
    most = max(p.payload_bits / p.symbols for p in TERMS.profile.phy.packets)
    limit = most * TERMS.symbols * TERMS.profile.superframes_per_second
    assert rates[0] <= limit and not [r for r in rates if rates[0] < r <= limit]


@pytest.mark.parametrize("name", [conventional("opus")])
def test_a_mode_that_does_not_fit_is_refused(name):
    # wide-7's bursts are much shorter than reference's: no room for 32 kbit/s even with 64-QAM.
    small = Terms.of("wide-7")
    assert small.symbols < TERMS.symbols and "opus:32" not in expand("opus:*", small)
    with pytest.raises(ValueError, match="mode 32 does not fit"):
        make("opus:32", small)


def test_unknown_names_are_named():
    with pytest.raises(ValueError, match="'speex' is not one of"):
        make("speex", TERMS)
    for name in ("opus:7", "soundspring:nowhere"):
        with pytest.raises(ValueError, match="7|nowhere"):
            make(name, TERMS)


def test_soundspring_is_the_chain_of_the_link(tiny_models, speech_like, monkeypatch):
    from soundspring import link as chain

    monkeypatch.setattr(neural.chain, "shared_models", lambda: tiny_models)
    scheme, audio = make("soundspring", TERMS), speech_like[:8000]
    sent = scheme.encode(audio)
    received = exchange(scheme, sent)
    link = chain.Link(TERMS.profile, tiny_models)
    direct = chain.decode(link, list(chain.encode(link, audio)), len(audio))
    played = scheme.play(received, len(audio))
    np.testing.assert_allclose(played.audio, direct, atol=1e-6)
    assert played.fates == "." * len(sent)
    received[1], received[2] = [received[1][0], None], None
    assert scheme.play(received, len(audio)).fates[:4] == ".-x."


def test_a_ladders_rungs_are_modes_under_its_terms():
    assert expand("soundspring:*", Terms.of("wide-0")) == [f"soundspring:wide-{n}" for n in range(8)]
    assert expand("soundspring:*", TERMS) == ["soundspring:reference"]


def test_the_analog_scheme_says_when_its_model_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("SOUNDSPRING_MODELS", str(tmp_path))
    with pytest.raises(ImportError, match="scheme jscc: .* models/jscc"):
        make("jscc", TERMS)


def test_the_analog_scheme_fills_the_bursts_that_it_is_given(tiny_models_dir, speech_like, monkeypatch):
    monkeypatch.setenv("SOUNDSPRING_MODELS", str(tiny_models_dir))
    for terms in (TERMS, Terms.of("wide-0")):
        scheme = make("jscc", terms)
        assert scheme.symbols == terms.symbols and scheme.encode(speech_like)[0].shape == (terms.symbols,)
    with pytest.raises(ValueError, match="symbols: "):
        make("jscc", Terms.of("wide-7"))


def test_the_analog_scheme_follows_the_snr_and_survives_a_lost_burst(tiny_models_dir, speech_like, monkeypatch):
    pytest.importorskip("soundspring.jscc")
    monkeypatch.setenv("SOUNDSPRING_MODELS", str(tiny_models_dir))
    scheme = make("jscc", TERMS)
    sent = scheme.encode(speech_like)
    assert all(s.shape == (scheme.symbols,) and abs(np.mean(np.abs(s) ** 2) - 1) < 0.02 for s in sent)
    TERMS.check("jscc", Ether(TERMS, scheme).bursts(sent))
    errors = []
    for noise in (1e-3, 1e-1, 1.0):
        played = scheme.play(exchange(scheme, sent, noise), len(speech_like))
        errors.append(np.mean((played.audio - speech_like) ** 2))
        assert played.fates == "." * len(sent) and played.audio.shape == speech_like.shape
    assert errors[0] < errors[1] < errors[2] and errors[0] < 0.2 * np.mean(speech_like**2)
    received = exchange(scheme, sent)
    received[3] = None
    played = scheme.play(received, len(speech_like))
    assert played.fates[2:5] == ".x." and np.isfinite(played.audio).all() and scheme.digest(received) is None


@pytest.mark.parametrize("name", [conventional("codec2")])
def test_bursts_cross_the_air_and_losses_hit_them(name, speech_like):
    scheme = make(name, TERMS)
    ether, sent = Ether(TERMS, scheme), scheme.encode(speech_like[:6400])
    bursts = ether.bursts(sent)
    TERMS.check(name, bursts)
    arrived = carry(ether, bursts, Air("awgn", 15))
    assert len(arrived) == len(sent) and all(b is not None for b in arrived)
    for burst, symbols in zip(arrived, sent, strict=True):
        assert np.mean(np.abs(burst.symbols - symbols) ** 2) == pytest.approx(10**-1.5, rel=0.5)
    assert carry(ether, bursts, Air("awgn", 15, loss="bernoulli:1")) == [None] * len(sent)
    assert carry(ether, bursts, Air("awgn", -20)) == [None] * len(sent)


@pytest.mark.parametrize("name", [conventional("codec2")])
def test_time_runs_on_between_bursts_that_nobody_listens_to(name, speech_like):
    scheme = make(name, TERMS)
    ether = Ether(TERMS, scheme)
    bursts, air = ether.bursts(scheme.encode(speech_like)), Air("rayleigh", 40, doppler_hz=3, cfo_hz=700)
    short, whole = (carry(ether, bursts, air, whole=whole) for whole in (False, True))
    fades, same = (np.array([b.snr_db for b in arrived]) for arrived in (whole, short))
    assert np.ptp(fades) > 3 and np.abs(fades - same).max() < 1
    assert [b.start_sample for b in short] != [b.start_sample for b in whole]
    assert all(abs(b.cfo_hz - 700) < 30 for b in short)


@pytest.mark.parametrize("name", [conventional("codec2")])
def test_a_false_header_costs_its_burst_and_no_other(name, speech_like):
    scheme = make(name, TERMS)
    ether = Ether(TERMS, scheme)
    sent = scheme.encode(speech_like[:8000])
    bursts = ether.bursts(sent)
    bursts[2] = ether.bursts(sent * 10)[40]  # announces another number
    arrived = carry(ether, bursts, Air("awgn", 15))
    assert [b is None for b in arrived] == [n == 2 for n in range(len(sent))]


def test_channels_are_checked_and_named():
    assert Air("rayleigh", 3, doppler_hz=5).label == "rayleigh 5 Hz" and Air("awgn", 3).label == "awgn"
    with pytest.raises(ValueError, match="channel: 'none'"):
        Air("none", 3)
    with pytest.raises(ValueError, match="loss must"):
        Air("awgn", 3, loss="often")


def test_every_scheme_has_its_name():
    assert set(SCHEMES) == {"soundspring", "jscc", "opus", "amrwb", "codec2"}
