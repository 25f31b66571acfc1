# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from soundspring.coding.range_coder import MAX_TOTAL, Decoder, Encoder

frequency = st.one_of(st.just(1), st.integers(1, 5), st.integers(1, 1 << 20), st.integers((1 << 28) - 9, 1 << 28))
table = st.one_of(st.lists(frequency, min_size=1, max_size=8),
                  st.sampled_from([[1, MAX_TOTAL - 1], [MAX_TOTAL - 2, 1, 1], [MAX_TOTAL], [0, 5, 0, 1, 0]]))
tables = st.lists(table, max_size=120)
bit_array = st.lists(st.integers(0, 1), max_size=300).map(lambda b: np.array(b, np.uint8))


def cumulative(freqs):
    return np.concatenate([[0], np.cumsum(np.array(freqs, np.int64))])


@st.composite
def messages(draw):
    return [(cumulative(f), draw(st.sampled_from([i for i, x in enumerate(f) if x]))) for f in draw(tables)]


def put(coder, cum, symbol):
    coder.encode(cum[symbol], cum[symbol + 1] - cum[symbol], cum[-1])


def ideal(message):
    return sum(np.log2(c[-1]) - np.log2(c[s + 1] - c[s]) for c, s in message)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(messages(), st.integers(0, 100))
def test_round_trip_length_and_padding(message, padding):
    coder = Encoder()
    for cum, symbol in message:
        put(coder, cum, symbol)
    bits = coder.finish()
    assert bits.dtype == np.uint8 and len(bits) == coder.bits_if_finished() <= ideal(message) + 1.001
    assert not len(bits) or bits[-1] == 1  # so zeros behind it can be told apart and dropped
    for received in (bits, np.concatenate([bits, np.zeros(padding, np.uint8)])):
        decoder = Decoder(received)
        assert [decoder.decode(cum) for cum, _ in message] == [symbol for _, symbol in message]
        assert decoder.ends_clean()


@settings(max_examples=300, deadline=None, derandomize=True)
@given(bit_array, tables)
def test_any_bits_decode_to_something_and_clean_ones_are_codes(bits, freqs):
    decoder, coder = Decoder(bits), Encoder()
    for row in freqs:
        symbol = decoder.decode(cumulative(row))
        assert 0 <= symbol < len(row) and row[symbol] > 0
        put(coder, cumulative(row), symbol)
    assert decoder.ends_clean() == (coder.finish().tolist() == np.trim_zeros(bits, "b").tolist())


@settings(max_examples=100, deadline=None, derandomize=True)
@given(messages(), messages())
def test_snapshot_restore_and_growth(message, other):
    coder, sizes = Encoder(), [0]
    for cum, symbol in message:
        put(coder, cum, symbol)
        sizes.append(coder.bits_if_finished())
    assert sizes == sorted(sizes)  # never shorter: what is too long stays too long
    state, bits = coder.snapshot(), coder.finish()
    for cum, symbol in other:
        put(coder, cum, symbol)
    coder.restore(state)
    np.testing.assert_array_equal(coder.finish(), bits)


def test_empty_and_certain_messages_need_no_bits():
    assert len(Encoder().finish()) == 0 and Decoder(np.zeros(0, np.uint8)).ends_clean()
    coder = Encoder()
    for _ in range(1000):
        coder.encode(0, 7, 7)
    assert len(coder.finish()) == 0


def test_long_message_stays_within_a_bit_of_ideal():
    rng = np.random.default_rng(0)
    freqs = rng.integers(1, 1 << 20, (3000, 1024))
    cum = np.concatenate([np.zeros((3000, 1), np.int64), freqs.cumsum(axis=1)], axis=1)
    message = [(row, int(rng.integers(1024))) for row in cum]
    coder = Encoder()
    for row, symbol in message:
        put(coder, row, symbol)
    bits, best = coder.finish(), ideal(message)
    assert best > 29000 and best - 16 < len(bits) < best + 1.001
    decoder = Decoder(bits)
    assert all(decoder.decode(row) == symbol for row, symbol in message)


def test_a_wrong_end_is_noticed():
    coder = Encoder()
    for _ in range(50):
        coder.encode(300, 1, 1000)
    decoder = Decoder(np.concatenate([coder.finish(), np.zeros(90, np.uint8), [1]]))
    for _ in range(50):
        decoder.decode(np.arange(1001))
    assert not decoder.ends_clean()


@pytest.mark.parametrize("args", [(-1, 1, 4), (0, 0, 4), (3, 2, 4), (0, 1, MAX_TOTAL + 1), (0, 1, 0)])
def test_impossible_intervals_raise(args):
    with pytest.raises(ValueError, match="total"):
        Encoder().encode(*args)
