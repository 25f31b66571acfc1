# SPDX-License-Identifier: GPL-3.0-or-later
"""The link with a pre-shared key: the same sound for who has it, nothing for others, and nothing changed without it."""

from dataclasses import replace

import numpy as np
import pytest
from soundspring import profile
from soundspring.channel.factory import make_channel
from soundspring.link import (
    Counts,
    Link,
    decode,
    encode,
    from_datagrams,
    from_packets,
    joined,
    run,
    to_datagrams,
    to_packets,
)
from soundspring.profile import Ladder, Security, load, load_ladder, replace_profile, with_security

pytest.importorskip("cryptography")
HEAD = 3  # superframes of which a live receiver of two packets each hears nothing, and the base of the next


@pytest.fixture
def keys(monkeypatch):
    monkeypatch.setenv("VOICE_KEY", "0f" * 16)
    monkeypatch.setenv("OTHER_KEY", "f0" * 16)


def roomy(**security):
    """The reference profile with room enough for tokens that the tiny model cannot predict, beside the tag."""
    packets = [{"payload_bits": 248, "code_bits": 744, "bits_per_symbol": 2},
               {"payload_bits": 624, "code_bits": 1536, "bits_per_symbol": 2}]
    values = load("reference").to_dict()
    made = profile.from_dict(values | {"phy": values["phy"] | {"packets": packets}})
    return replace_profile(made, security=Security(**security)) if security else made


@pytest.fixture
def link(keys, tiny_models):
    return Link(roomy(key="env:VOICE_KEY"), tiny_models)


def with_key(link, key, **changes):
    """The same link at an end that has another key, or other settings."""
    security = replace(link.profile.security, key=key, **changes)
    return Link(replace_profile(link.profile, security=security), link.models)


def awgn(link, snr_db=12.0):
    over = link.profile.phy.oversampling
    return make_channel("awgn", rate=link.sample_rate, snr_db=snr_db, oversampling=over, seed=1)


@pytest.mark.parametrize("encrypt", [False, True])
def test_over_the_air_it_is_heard_from_the_fourth_superframe_on(link, speech_like, encrypt):
    link = with_key(link, "env:VOICE_KEY", encrypt=encrypt)
    counts = run(link, speech_like, awgn(link)).counts
    assert counts.status[:HEAD] == [("lost", "lost")] * HEAD and counts.status[HEAD] == ("lost", "undecodable")
    assert set(counts.status[HEAD + 1 :]) == {("ok", "ok")} and len(counts.status) == 14
    assert counts.packets_refused == 0  # joining is none


@pytest.mark.parametrize("name", ["reference", "chained", "packet20", "wide-0"])
@pytest.mark.parametrize("encrypt", [False, True])
def test_packets_and_datagrams_at_hand_are_heard_from_the_start(keys, tiny_models, speech_like, name, encrypt):
    link = Link(with_security(load(name), "env:VOICE_KEY", encrypt), tiny_models)
    sent = list(encode(link, speech_like[:14000]))  # nine superframes; one packet each needs eight
    ways = [from_packets(link, to_packets(link, sent), len(sent)), from_datagrams(link, to_datagrams(link, sent))]
    for frames in (sent, *ways):
        counts = Counts()
        sound = decode(link, frames, 14000, counts, opener=joined(link, frames))
        assert {fate for status in counts.status for fate in status} == {"ok"} and np.abs(sound).max() > 0


def test_the_same_tokens_arrive_as_without_a_key(link, speech_like):
    """Where the room for tokens is the same, so are the tokens, and the sound."""
    plain = Link(replace_profile(link.profile.with_layers(12), security=None), link.models)
    sealed = Link(replace_profile(plain.profile, security=link.profile.security), link.models)
    one, other = list(encode(plain, speech_like)), list(encode(sealed, speech_like))
    assert np.array_equal(decode(plain, one, 21333), decode(sealed, other, 21333, opener=joined(sealed, other)))
    longer = {len(b) // 8 - -(-len(a) // 8) for (_, x), (_, y) in zip(one, other, strict=True)
              for a, b in zip(x, y, strict=True)}
    assert longer == {5}


@pytest.mark.parametrize("change", [{"key": "env:OTHER_KEY"}, {"key": "env:VOICE_KEY", "encrypt": True},
                                    {"key": "env:VOICE_KEY", "tag_bytes": 6}])
def test_with_anything_else_not_a_packet_is_accepted(link, speech_like, change):
    sent, counts = list(encode(link, speech_like)), Counts()
    end = with_key(link, **change)
    decode(end, sent, len(speech_like), counts, opener=joined(end, sent))
    assert counts.fates == {"lost": 28} and counts.packets_refused >= 28 - 7


def test_a_receiver_without_a_key_takes_none_of_it_and_one_with_a_key_none_of_anybody(link, speech_like):
    bare = Link(replace_profile(link.profile, security=None), link.models)
    for sender, receiver in ((link, bare), (bare, link)):
        counts = Counts()
        decode(receiver, list(encode(sender, speech_like)), len(speech_like), counts)
        assert counts.fates["ok"] == 0 and len(counts.status) == 14


def test_who_listens_without_a_check_hears_what_is_not_encrypted(link, speech_like):
    listener, counts = with_key(link, "none"), Counts()
    sent = list(encode(link, speech_like))
    sound = decode(listener, sent, len(speech_like), counts)
    assert counts.fates == {"ok": 28}
    assert np.array_equal(sound, decode(link, sent, len(speech_like), opener=joined(link, sent)))
    with pytest.raises(ValueError, match="key"):
        listener.sealer()
    with pytest.raises(ValueError, match="not encrypted"):
        with_key(link, "none", encrypt=True).opener()


def test_tampered_and_repeated_packets_are_counted_and_concealed(link, speech_like):
    sent, counts = list(encode(link, speech_like)), Counts()
    opener = joined(link, sent)
    sent[6][1][0][17] ^= 1
    sent[9] = (9, sent[8][1])  # once more, in another place
    sound = decode(link, sent, len(speech_like), counts, opener=opener)
    assert counts.status[6] == ("lost", "undecodable") and counts.status[9] == ("lost", "lost")
    assert counts.packets_refused == 3 and np.isfinite(sound).all()
    again = Counts()
    decode(link, sent, len(speech_like), again, opener=opener)
    assert again.fates["ok"] == 0 and again.packets_refused == 28


def test_each_transmission_starts_elsewhere(link, speech_like):
    one, other = list(encode(link, speech_like[:3000])), list(encode(link, speech_like[:3000]))
    assert not any(np.array_equal(a, b) for (_, x), (_, y) in zip(one, other, strict=True)
                   for a, b in zip(x, y, strict=True))


def test_the_rungs_of_a_ladder_are_sealed_alike(keys, tiny_models, speech_like):
    link = Link(with_security("wide", "env:VOICE_KEY"), tiny_models)
    counts = run(link, speech_like[:16000], awgn(link, 20.0), switches={0: 0, 5: 5, 8: 2}).counts
    assert [len(status) for status in counts.status] == [1] * 5 + [2] * (len(counts.status) - 5)
    assert {fate for status in counts.status[8:] for fate in status} == {"ok"}  # eight bytes, one by one at first


# --- profiles --------------------------------------------------------------------------------------------------------


def test_off_by_default_and_then_nothing_is_different():
    for name in profile.profiles():
        p = load(name)
        assert p.security is None and "security" not in p.to_dict() and with_security(p).common == p
        assert p.room is None or p.room == tuple(x.payload_bits for x in p.phy.packets)


def test_the_cost_in_bits_comes_off_the_room():
    p = with_security(load("reference"), "env:K", tag_bytes=8).common
    assert p.security.cost_bits == 72 and p.room == (160 - 72, 624 - 72)
    assert p.security.room(167) == 160 - 72


def test_a_profile_keeps_the_name_of_its_key_to_itself():
    p = with_security("reference", "file:/home/me/voice.key", True).common
    assert p.to_dict()["security"] == {"tag_bytes": 4, "encrypt": True}
    assert profile.from_dict(p.to_dict()).security == Security(4, True, "")


def test_a_ladder_shares_its_security():
    ladder = with_security(load_ladder("wide"), "env:K", tag_bytes=8)
    assert {p.security for p in ladder.rungs} == {Security(8, False, "env:K")}
    with pytest.raises(ValueError, match="security"):
        Ladder("x", (ladder.rungs[0], load_ladder("wide").rungs[1]))


@pytest.mark.parametrize(("security", "words"), [
    ({"tag_bytes": 5}, "tag_bytes"), ({"tag_bytes": 4.0}, "tag_bytes"), ({"tag_bytes": True}, "tag_bytes"),
    ({"encrypt": "yes"}, "encrypt"), ({"key": "00" * 16}, "never give it"), ({"key": 7}, "never give it"),
    ({"nonce": 1}, "nonce"), ("none", "mapping"), ({"tag_bytes": 16}, "leaves")])
def test_what_cannot_be_is_named(security, words):
    values = load("wide-0").to_dict()
    values["phy"]["packets"][0]["payload_bits"] = 152
    with pytest.raises(ValueError, match=words):
        profile.from_dict(values | {"security": security})


def test_a_key_that_is_not_named_is_asked_for(tiny_models):
    link = Link(roomy(tag_bytes=4), tiny_models)
    for end in (link.sealer, link.opener):
        with pytest.raises(ValueError, match="key: profile reference"):
            end()


def test_analog_symbols_have_no_packets_to_authenticate(tiny_models):
    from soundspring.analog import AnalogLink

    with pytest.raises(ValueError, match="jscc has no packets"):
        AnalogLink(with_security("reference", "env:K").common)
