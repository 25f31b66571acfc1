# SPDX-License-Identifier: GPL-3.0-or-later
"""PDUs for all blocks: taking them apart, putting them together, and what happens to those that are malformed.

A PDU is a pair of a dictionary (or PMT_NIL) and a uniform vector. Own keys of the dictionary start with `soundspring_`;
the entries of other blocks are passed on untouched.

A PDU with the entry `soundspring_due` is a clock: all superframes before that number should have come by now. Blocks
hand it on in its place among the packets, so that a receiver conceals what is missing at the same point every time.
"""

import re
import time
from collections.abc import Callable, Iterable

import numpy as np
import pmt
from gnuradio import gr

from ..profile import MAX_RUNGS

PORT = pmt.intern("pdus")
PREFIX = "soundspring_"
_IS_VECTOR = {np.uint8: pmt.is_u8vector, np.int16: pmt.is_s16vector, np.float32: pmt.is_f32vector,
              np.complex64: pmt.is_c32vector}
_NAMES = {np.uint8: "u8", np.int16: "s16", np.float32: "f32", np.complex64: "c32"}
DUE = pmt.intern(PREFIX + "due")
_REASONS_LOGGED = 20


class PduError(ValueError):
    """A PDU that cannot be used; the message says why."""


def take_apart(message: pmt.pmt_base, dtype: type | None) -> tuple[pmt.pmt_base, np.ndarray | pmt.pmt_base]:
    """The dictionary and the vector of a PDU; PduError if it is none.

    Args:
        message: anything a message port may get.
        dtype: uint8, float32 or complex64, which the vector must have; None takes any uniform vector and leaves it
            closed, a PMT.
    """
    if not pmt.is_pair(message) or not pmt.is_uniform_vector(pmt.cdr(message)):
        raise PduError("not a PDU: a pair of a dictionary and a uniform vector is needed")
    meta, vector = pmt.car(message), pmt.cdr(message)
    if pmt.is_null(meta):
        meta = pmt.make_dict()
    if not pmt.is_dict(meta):
        raise PduError("the first half of a PDU must be a dictionary or PMT_NIL")
    if dtype is None:
        return meta, vector
    if not _IS_VECTOR[dtype](vector):
        raise PduError(f"the second half of this PDU must be a {_NAMES[dtype]} vector")
    return meta, np.array(pmt.to_python(vector), dtype)


def clock(due: int) -> pmt.pmt_base:
    """The PDU that says: superframes before number `due` should have come."""
    return pmt.cons(pmt.dict_add(pmt.make_dict(), DUE, pmt.from_long(due)), pmt.init_u8vector(0, []))


def due_of(message: pmt.pmt_base) -> int | None:
    """The number in a clock PDU; None for every other message."""
    if not pmt.is_pair(message) or not pmt.is_dict(pmt.car(message)) or pmt.is_null(pmt.car(message)):
        return None
    due = pmt.dict_ref(pmt.car(message), DUE, pmt.PMT_NIL)
    return pmt.to_long(due) if pmt.is_integer(due) else None


def put_together(meta: pmt.pmt_base, data: np.ndarray | pmt.pmt_base) -> pmt.pmt_base:
    """The PDU of a dictionary and an array of uint8, float32 or complex64, or a vector that is a PMT already."""
    return pmt.cons(meta, pmt.to_pmt(data) if isinstance(data, np.ndarray) else data)


def with_entry(meta: pmt.pmt_base, name: str, value) -> pmt.pmt_base:
    """`meta` with one of our entries set: a number, a string, a bool or an array of uint8, float32 or complex64."""
    return pmt.dict_add(meta, pmt.intern(PREFIX + name), pmt.to_pmt(value))


def entry(meta: pmt.pmt_base, name: str, default=None):
    """The value of one of our entries as a Python object (vectors as arrays), or `default` where there is none."""
    value = pmt.dict_ref(meta, pmt.intern(PREFIX + name), pmt.PMT_NIL)
    return default if pmt.is_null(value) else pmt.to_python(value)


def integer(meta: pmt.pmt_base, name: str, limit: int) -> int:
    """One of our entries that must be there and be an integer from 0 to limit - 1; else PduError."""
    value = entry(meta, name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < limit:
        raise PduError(f"the entry {PREFIX}{name} must be an integer from 0 to {limit - 1}, not {value!r}")
    return value


def numbers(meta: pmt.pmt_base, name: str, dtype: type = np.float32) -> np.ndarray | None:
    """One of our entries that is a number or a vector of them, as an array of `dtype`, [] or [n]; None where there is
    none. PduError where it is something else."""
    value = entry(meta, name)
    if value is None:
        return None
    array = np.asarray(value) if isinstance(value, int | float | np.ndarray) else np.zeros(0, object)
    if array.dtype.kind not in "iuf" or array.ndim > 1:
        raise PduError(f"the entry {PREFIX}{name} must be a number or a vector of numbers")
    with np.errstate(over="ignore"):
        return array.astype(dtype)


def rung_of(message: pmt.pmt_base) -> tuple[int, int | None]:
    """The rung that a message asks for, and the superframe from which on; None: from the next.

    The message is an integer, or a pair with an integer behind (as `var_to_msg_pair` and `message_edit_box` send), or a
    dictionary with the entries `soundspring_rung` and, where wanted, `soundspring_sequence`. PduError for others.
    """
    if pmt.is_dict(message):  # a plain pair is none
        first = None if entry(message, "sequence") is None else integer(message, "sequence", 1 << 40)
        return integer(message, "rung", MAX_RUNGS), first
    value = pmt.cdr(message) if pmt.is_pair(message) else message
    if not pmt.is_integer(value):
        raise PduError("a rung must be an integer, a pair with an integer behind, or a dictionary")
    return pmt.to_long(value), None


def per_group(**parameters) -> "list[dict] | dict[int, list[dict]]":
    """Parameters of each layer group, from numbers that all groups share and sequences with one number a group.

    Dictionaries {profile id: number or sequence} give such a list for each profile.

    Raises:
        ValueError: two sequences of different lengths, or an empty one; dictionaries of different profiles.
    """
    ladders = {name: value for name, value in parameters.items() if isinstance(value, dict)}
    if ladders:
        ids = next(iter(ladders.values())).keys()
        if not ids or any(value.keys() != ids for value in ladders.values()):
            raise ValueError(f"{', '.join(ladders)}: the same profile ids are needed in each")
        return {i: per_group(**parameters | {name: value[i] for name, value in ladders.items()}) for i in ids}
    sequences = {name: list(value) for name, value in parameters.items() if isinstance(value, list | tuple)}
    lengths = {name: len(values) for name, values in sequences.items()}
    if len(set(lengths.values())) > 1 or 0 in lengths.values():
        raise ValueError(f"{', '.join(lengths)}: as many values are needed in each, one a group, not {lengths}")
    count = next(iter(lengths.values()), 1)
    return [{name: sequences[name][i] if name in sequences else parameters[name] for name in parameters}
            for i in range(count)]


def of_group(meta: pmt.pmt_base, choices):
    """The one of `choices` for the PDU's entry `group`; where there is one only, that, whatever the group.

    Where `choices` is a dictionary, first the one for its entry `profile`.
    """
    if isinstance(choices, dict):
        profile = entry(meta, "profile")
        if not isinstance(profile, int) or profile not in choices:
            raise PduError(f"the entry {PREFIX}profile must be one of {sorted(choices)}, not {profile!r}")
        choices = choices[profile]
    return choices[0] if len(choices) == 1 else choices[integer(meta, "group", len(choices))]


def every(choices) -> list:
    """All that `of_group` may choose."""
    return [x for group in choices.values() for x in group] if isinstance(choices, dict) else choices


def for_each(make: Callable, choices):
    """`choices` with each one made into another thing."""
    if isinstance(choices, dict):
        return {profile: for_each(make, group) for profile, group in choices.items()}
    return [make(x) for x in choices]


class PduDoor:
    """Mix-in for blocks that get packets: hands the good ones to a function; logs once, counts and drops the others."""

    def init_drops(self) -> None:
        """Begin to count; `accept` does so too."""
        self.dropped = 0  # what could not be used
        self.cpu_s = 0.0  # seconds of a core that the block's thread has used
        self._reasons: set[str] = set()

    def accept(self, dtype: type | None, handle: Callable[[pmt.pmt_base, np.ndarray], None]) -> None:
        """Register the input port; `handle(meta, data)` gets each PDU and raises ValueError for one it cannot use."""
        self.init_drops()
        self._accepted, self._handle = dtype, handle
        self.message_port_register_in(PORT)
        self.set_msg_handler(PORT, self.receive)

    def receive(self, message: pmt.pmt_base) -> None:
        """Handler of the port: GNU Radio calls it by this name."""
        try:
            self.take(message)
        except ValueError as error:
            self.drop(str(error))
        except Exception as error:  # a fault of ours: an exception here would end the block's thread
            self.drop(f"{type(error).__name__}: {error}")
        self.cpu_s = time.thread_time()

    def take(self, message: pmt.pmt_base) -> None:
        """Do with a message what the block is for; ValueError, PduError among them, where it cannot be used."""
        due = due_of(message)
        if due is None:
            self._handle(*take_apart(message, self._accepted))
        else:
            self.on_clock(due)

    def on_clock(self, due: int) -> None:
        """A clock PDU came; blocks that end a chain of PDUs have no use for it."""

    def drop(self, reason: str) -> None:
        """Count what is lost; log the reason unless one like it (numbers aside) was logged before."""
        self.dropped += 1
        kind = re.sub(r"\d+", "#", reason)
        if kind not in self._reasons and len(self._reasons) < _REASONS_LOGGED:
            self._reasons.add(kind)
            self.logger.warn(f"dropped: {reason} (like cases are counted, not logged)")


class PduBlock(PduDoor, gr.basic_block):
    """A block with a PDU port in and one out: calls `process(meta, data)` and sends the (meta, data) pairs it returns.

    Args:
        name: of the block, for its log.
        dtype: of the vectors it takes, as in `take_apart`.
    """

    def __init__(self, name: str, dtype: type | None):
        gr.basic_block.__init__(self, name=name, in_sig=None, out_sig=None)
        self.message_port_register_out(PORT)
        self.accept(dtype, self._forward)

    def _forward(self, meta: pmt.pmt_base, data: np.ndarray) -> None:
        for out_meta, out in self.process(meta, data):
            self.message_port_pub(PORT, put_together(out_meta, out))

    def on_clock(self, due: int) -> None:
        self.message_port_pub(PORT, clock(due))

    def process(self, meta: pmt.pmt_base, data: np.ndarray) -> Iterable[tuple[pmt.pmt_base, np.ndarray]]:
        """The PDUs that answer one PDU; ValueError, PduError among them, for one that cannot be used."""
        raise NotImplementedError
