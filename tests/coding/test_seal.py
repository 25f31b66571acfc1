# SPDX-License-Identifier: GPL-3.0-or-later
"""Sealed payloads: who has the key gets what was sent, once; nobody else gets anything, whatever is changed or lost."""

import secrets
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from soundspring.coding import seal
from soundspring.coding.seal import Opener, Refused, Replays, Sealer, read_key

pytest.importorskip("cryptography")

KEY, OTHER = bytes(range(16)), bytes(range(1, 17))
WEIGHTS = "9c" * 32
ROOM = 64


def sealer(start=None, key=KEY, **options):
    """start: of the superframes' numbers; None: at random, as ever."""
    made = Sealer(key, identity=WEIGHTS, **options)
    if start is not None:
        made._start = start
    return made


def opener(key=KEY, **options):
    return Opener(key, identity=WEIGHTS, **options)


def payload(sequence, group=0):
    return np.random.default_rng([sequence, group]).integers(0, 2, ROOM - 5, np.uint8)


def sent(made, sequences, groups=2):
    """(sequence, group, sealed bits) of whole superframes."""
    return [(s, g, made.seal(s, g, payload(s, g), ROOM)) for s in sequences for g in range(groups)]


def opens(end, sequence, group, bits):
    """Whether it opens; if so it is what was sent."""
    try:
        got = end.open(sequence, group, bits)
    except Refused:
        return False
    assert np.array_equal(got, np.pad(payload(sequence, group), (0, 5)))
    return True


def joined(packets, **options):
    end = opener(**options)
    end.join(packets)
    assert end.joined
    return end


@pytest.mark.parametrize("encrypt", [False, True])
@pytest.mark.parametrize("tag_bytes", [4, 8, 16])
def test_what_is_sealed_opens_and_costs_what_it_says(encrypt, tag_bytes):
    packets = sent(sealer(tag_bytes=tag_bytes, encrypt=encrypt), range(20))
    end = joined(packets, tag_bytes=tag_bytes, encrypt=encrypt)
    assert all(opens(end, *packet) for packet in packets) and not end.refused
    assert {len(bits) for _, _, bits in packets} == {ROOM + 8 * (tag_bytes + 1)}
    plain = [np.array_equal(bits[: ROOM - 5], payload(s, g)) for s, g, bits in packets]
    assert not any(plain) if encrypt else all(plain)


def test_padding_behind_it_of_less_than_a_byte_does_no_harm():
    packets = sent(sealer(), range(4))
    end = joined(packets)
    assert all(opens(end, s, g, np.pad(bits, (0, 7))) for s, g, bits in packets)
    assert not opens(joined(packets), *packets[0][:2], np.pad(packets[0][2], (0, 8)))


@pytest.mark.parametrize("encrypt", [False, True])
def test_no_bit_can_be_changed(encrypt):
    packets = sent(sealer(encrypt=encrypt), range(8))
    sequence, group, bits = packets[5]
    end = joined(packets, encrypt=encrypt)
    for place in range(len(bits)):
        changed = bits.copy()
        changed[place] ^= 1
        assert not opens(end, sequence, group, changed), place
    assert end.refused == {"unverified": len(bits)} and opens(end, sequence, group, bits)


def test_a_packet_opens_in_its_place_alone():
    packets = sent(sealer(), range(30))
    end = joined(packets)
    for sequence, group in ((5, 0), (6, 1), (4, 1), (5 + 128, 1)):
        assert not opens(end, sequence, group, packets[11][2])
    assert opens(end, *packets[11])


@pytest.mark.parametrize("wrong", [{"key": OTHER}, {"identity": "9d" * 32}, {"encrypt": True}, {"tag_bytes": 6}])
def test_nothing_opens_with_another_key_weights_or_settings(wrong):
    end = Opener(**{"key": KEY, "identity": WEIGHTS} | wrong)
    assert not any(opens(end, *packet) for packet in sent(sealer(), range(300), 1))
    assert not end.joined and end.refused["unverified"] == 300 - 7


@pytest.mark.parametrize("bits", [0, 7, 8, 32, 39, 40, 41, 500])
def test_bits_of_anybody_are_refused(bits):
    end, rng = joined(sent(sealer(), range(4))), np.random.default_rng(4)
    for sequence, group in ((0, 0), (3, 1), (9, 7), (9, 8), (1 << 39, 0)):
        with pytest.raises(Refused):
            end.open(sequence, group, rng.integers(0, 2, bits, np.uint8))


# --- joining and following -------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(start=st.integers(0, seal.NUMBERS - 1) | st.integers(-300, 300).map(lambda n: n % seal.NUMBERS),
       first=st.integers(0, 1 << 30), own=st.integers(0, 1 << 20), groups=st.integers(1, 3))
def test_a_receiver_joins_within_eight_superframes_wherever_it_is(start, first, own, groups):
    """`own`: by how many wraps the receiver's count of superframes differs from the sender's."""
    packets = sent(sealer(start - start % 256), range(first, first + 9), groups)
    end = opener()
    heard = []
    for sequence, group, bits in packets:
        try:
            got = end.open(sequence % 256 + 256 * (own + sequence // 256 - first // 256), group, bits)
            assert np.array_equal(got, np.pad(payload(sequence, group), (0, 5)))
            heard.append(sequence - first)
        except Refused as error:
            assert error.kind == "joining" and not heard
    assert heard[0] <= {1: 7, 2: 3, 3: 3}[groups] and len(heard) >= len(packets) - 7 * groups


@pytest.mark.parametrize(("loss", "least"), [(0.1, 0.88), (0.3, 0.45)])
def test_joining_within_a_second_under_loss(loss, least):
    """Ten superframes of two packets a second, each packet lost by itself."""
    rng, quick = np.random.default_rng(6), 0
    for _ in range(200):
        end, first = opener(), int(rng.integers(1 << 20))
        packets = sent(sealer(), range(first, first + 10))
        quick += any([opens(end, *packet) for packet in packets if rng.random() >= loss])
    assert quick / 200 >= least


@settings(deadline=None, max_examples=60)
@given(start=st.integers(0, seal.NUMBERS - 1), steps=st.lists(st.integers(1, 2000), min_size=1, max_size=12))
def test_the_count_is_right_over_wraps_and_losses(start, steps):
    """The receiver knows how much time went by, and so how many superframes, however long nothing came."""
    made, sequence = sealer(start - start % 256), 4
    end = opener()
    end.join(sent(made, range(4)))
    for step in steps:
        sequence += step
        assert opens(end, sequence, 0, made.seal(sequence, 0, payload(sequence), ROOM))


@pytest.mark.parametrize(("gap", "lost"), [(11, 0), (126, 0), (128, 7), (1000, 7)])
def test_a_count_that_jumped_is_found_again(gap, lost):
    """After a second of silence a live receiver numbers anew. Up to 126 superframes nothing is lost by that."""
    packets = sent(sealer(), [*range(10), *range(10 + gap, 20 + gap)])
    end = joined(packets[:20])
    assert all(opens(end, *packet) for packet in packets[:20])
    for sequence, group, bits in packets[20:]:
        try:
            assert np.array_equal(end.open(sequence + 5 * 256, group, bits)[: ROOM - 5], payload(sequence, group))
        except Refused:
            lost -= 1
    assert lost == 0


def test_a_transmitter_that_restarts_is_followed():
    end, opened = opener(), []
    for _ in range(5):
        packets = sent(sealer(), range(40))
        opened.append(sum(opens(end, *packet) for packet in packets))
    assert opened == [80 - 7] * 5  # both packets of three superframes and one of the fourth


def test_wrong_pieces_of_the_number_only_delay():
    packets = sent(sealer(), range(30), 1)
    wrong = packets[2][2].copy()
    wrong[-3] ^= 1
    end = opener()
    heard = [opens(end, s, g, wrong if s == 2 else bits) for s, g, bits in packets]
    assert not any(heard[:10]) and all(heard[10:])


def test_from_a_file_every_packet_opens_and_behind_the_first_in_any_order():
    packets = sent(sealer(), range(600), 1)
    damaged = packets[0][2].copy()
    damaged[3] ^= 1
    end = joined([(0, 0, damaged), *packets[1:]])
    order = [0, *1 + np.random.default_rng(2).permutation(200)]
    assert all(opens(end, *packets[i]) for i in order) and all(opens(end, *packet) for packet in packets[201:])


# --- replays ---------------------------------------------------------------------------------------------------------


def test_a_packet_is_taken_once():
    first, second = (sent(sealer(), range(300)) for _ in range(2))
    end = joined(first)
    assert all(opens(end, *packet) for packet in first)
    assert not any(opens(end, *packet) for packet in first) and end.refused["replayed"] > 500
    assert sum(opens(end, *packet) for packet in second) == 600 - 7
    assert not any(opens(end, *packet) for packet in first)  # of a transmission that is over


def test_a_replay_does_not_lead_the_receiver_away():
    old, new = sealer(), sealer()
    before, now = sent(old, range(50)), sent(new, range(50))
    end = joined(before)
    assert all(opens(end, *packet) for packet in before)
    heard = []
    for then, packet in zip(before, now, strict=True):
        heard.append(opens(end, *packet))
        assert not opens(end, *then)
    assert sum(heard) > 80 and all(heard[20:])


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 600), st.integers(0, 7)), max_size=300))
def test_the_replay_window_is_the_set_of_what_came_behind_the_first(places):
    start, replays, came, newest = seal.NUMBERS - 300, Replays(), set(), -1
    oldest = 8 * places[0][0] + places[0][1] if places else 0
    for sequence, group in places:
        place = sequence * 8 + group
        wanted = place not in came and place >= oldest and newest - place < seal.WINDOW
        assert replays.take((start + sequence) % seal.NUMBERS, group) == wanted
        came.add(place)
        newest = max(newest, place)


def test_the_memory_of_transmissions_is_bounded():
    replays = Replays()
    numbers = [secrets.randbelow(seal.NUMBERS) for _ in range(seal.REMEMBERED + 100)]
    assert all(replays.take(number, 0) for number in numbers) and len(replays._windows) == seal.REMEMBERED
    assert not any(replays.take(number, 0) for number in numbers[-seal.REMEMBERED :])


# --- numbers ---------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(starts=st.lists(st.lists(st.integers(1, 400), min_size=1, max_size=8), min_size=1, max_size=12),
       groups=st.integers(1, 8))
def test_no_nonce_comes_twice(starts, groups):
    """Whatever is sent, over wraps and restarts: asked of the cipher itself."""
    nonces = []

    def note(made):
        cipher = made._ccm._ccm

        class Noting:
            def encrypt(self, nonce, data, known):
                nonces.append(nonce)
                return cipher.encrypt(nonce, data, known)
        made._ccm._ccm = Noting()
        return made

    for steps in starts:
        made = note(sealer())
        for sequence in np.cumsum(steps):
            sent(made, [int(sequence)], groups)
    assert len(nonces) == groups * sum(map(len, starts)) == len(set(nonces))


@pytest.mark.parametrize(("sequence", "group"), [(5, 0), (5, 1), (4, 7), (0, 0), (-1, 0), (1 << 40, 0), (6, 8)])
def test_a_sealer_refuses_to_use_a_number_again(sequence, group):
    made = sealer()
    sent(made, [5])
    with pytest.raises(ValueError, match="sequence"):
        made.seal(sequence, group, payload(0))
    made.seal(5, 2, payload(0))


def test_starts_are_random():
    starts = {Sealer(KEY)._start for _ in range(100)}
    assert len(starts) == 100 and all(s % 256 == 0 and 0 <= s < seal.NUMBERS for s in starts)
    upper = np.array([s >> 68 for s in starts])
    assert len(set(upper)) > 10  # of 16


def test_more_bits_than_room_are_refused():
    with pytest.raises(ValueError, match="room"):
        sealer().seal(0, 0, np.zeros(65, np.uint8), 64)


# --- keys ------------------------------------------------------------------------------------------------------------


def test_keys_come_from_files_and_variables(tmp_path, monkeypatch):
    (tmp_path / "voice.key").write_text(f"{KEY.hex()[:16]} {KEY.hex()[16:].upper()}\n")
    monkeypatch.setenv("VOICE_KEY", "ab" * 32)
    assert read_key(f"file:{tmp_path}/voice.key") == KEY and read_key("env:VOICE_KEY") == bytes([0xAB]) * 32


@pytest.mark.parametrize("text", ["", "ab" * 15, "ab" * 24, "g" * 32, "é" * 32])
def test_what_is_no_key_is_refused_and_not_shown(tmp_path, monkeypatch, text):
    (tmp_path / "k").write_text(text)
    monkeypatch.setenv("K", text)
    for reference in (f"file:{tmp_path}/k", "env:K"):
        with pytest.raises(ValueError, match="32 or 64 hex") as refusal:
            read_key(reference)
        assert not text or text not in str(refusal.value)


@pytest.mark.parametrize("reference", ["", "file:", "env:", "none", KEY.hex()])
def test_a_key_is_named_not_given(reference):
    with pytest.raises(ValueError, match="file:PATH or env:NAME") as refusal:
        read_key(reference)
    assert KEY.hex() not in str(refusal.value)


def test_without_a_key_plain_packets_are_taken_unchecked():
    packets, end = sent(sealer(), range(3)), Opener(None)
    assert all(opens(end, *packet) for packet in packets)
    with pytest.raises(ValueError, match="not encrypted"):
        Opener(None, encrypt=True)


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    with pytest.raises(ModuleNotFoundError, match="python3-cryptography"):
        Sealer(KEY)
