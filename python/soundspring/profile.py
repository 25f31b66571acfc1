# SPDX-License-Identifier: GPL-3.0-or-later
"""Link profiles: what is sent and how, read from a short YAML; every derived size is computed here, once."""

from dataclasses import MISSING, asdict, dataclass, fields, replace
from itertools import pairwise
from pathlib import Path

from .untrusted import read_mapping, short

SAMPLE_RATE = 16000
FRAME = 320
FRAMES_PER_SECOND = SAMPLE_RATE // FRAME
ENTRIES = 1024
MAX_LAYERS = 24
LEAST = 24  # bits of a payload
MAX_GROUPS = 8  # of the three bits that number a packet
MAX_COPIES = 2
MAX_RUNGS = 8  # of the three bits that announce a profile
POLICIES = ("independent", "layered", "chained")
RATES = {"1.5k": 3, "3k": 6, "6k": 12, "12k": 24}


def _build(cls, where: str, data):
    """`cls` from a mapping; refuses keys that it does not know and names those that it misses."""
    if not isinstance(data, dict):
        raise ValueError(f"{where}: expected a mapping, got {short(data)}")
    known = {f.name: f.default is MISSING for f in fields(cls)}
    if unknown := sorted(str(k) for k in data if k not in known):
        raise ValueError(f"{where}: unknown key {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    if missing := [name for name, needed in known.items() if needed and name not in data]:
        raise ValueError(f"{where}: missing key {', '.join(missing)}")
    return cls(**data)


def _integer(name: str, value, low: int, high: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"{name}: expected an integer from {low} to {high}, got {short(value)}")
    return value


def _number(name: str, value, low: float, high: float) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"{name}: expected a number from {low:g} to {high:g}, got {short(value)}")
    return float(value)


def _list(name: str, value) -> tuple:
    if not isinstance(value, list | tuple) or not value:
        raise ValueError(f"{name}: expected a list, got {short(value)}")
    return tuple(value)


@dataclass(frozen=True)
class PacketPhy:
    """One packet's code block: `payload_bits` (its check included) in `code_bits`, QAM of `bits_per_symbol`.

    threshold_db: Es/N0 at which one in ten such packets is lost in white noise, as benchmarks/profiles.py measured it.
    """

    payload_bits: int
    code_bits: int
    bits_per_symbol: int
    threshold_db: float | None = None

    def __post_init__(self):
        _integer("payload_bits", self.payload_bits, LEAST, 3840)
        _integer("code_bits", self.code_bits, self.payload_bits + 1, 40000)
        _integer("bits_per_symbol", self.bits_per_symbol, 1, 8)
        if self.bits_per_symbol not in (1, 2, 4, 6, 8):
            raise ValueError(f"bits_per_symbol: {self.bits_per_symbol} is not one of 1, 2, 4, 6, 8")
        if self.code_bits % self.bits_per_symbol:
            raise ValueError(f"code_bits: {self.code_bits} is not a multiple of bits_per_symbol {self.bits_per_symbol}")
        if self.threshold_db is not None:
            object.__setattr__(self, "threshold_db", _number("threshold_db", self.threshold_db, -30.0, 60.0))

    @property
    def symbols(self) -> int:
        return self.code_bits // self.bits_per_symbol


@dataclass(frozen=True)
class Phy:
    """What one burst carries: a header of `header_code_bits` BPSK symbols, then each packet's symbols."""

    header_code_bits: int
    packets: tuple[PacketPhy, ...]
    fft: int = 64
    cp: int = 16
    data_carriers: int = 48
    pilots: int = 4
    rate: float = 1e6
    oversampling: int = 2
    papr_db: float | None = None  # the transmitter clips higher peaks; receivers need not know it
    max_cfo_hz: float | None = None  # largest carrier offset to look for; None: 0.15 of the rate

    def __post_init__(self):
        _integer("header_code_bits", self.header_code_bits, 64, 4096)
        for name, low, high in (("fft", 16, 4096), ("cp", 1, 4096), ("data_carriers", 2, 4094), ("pilots", 2, 4094),
                                ("oversampling", 1, 64)):
            _integer(name, getattr(self, name), low, high)
        if isinstance(self.rate, bool) or not isinstance(self.rate, int | float) or not 0 < self.rate < 1e10:
            raise ValueError(f"rate: expected samples per second as a number such as 1.0e+6, got {short(self.rate)}")
        for name, low, high in (("papr_db", 3.0, 30.0), ("max_cfo_hz", 1.0, 1e8)):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, _number(name, getattr(self, name), low, high))
        packets = _list("phy.packets", self.packets)
        object.__setattr__(self, "packets", tuple(
            p if isinstance(p, PacketPhy) else _build(PacketPhy, "phy.packets", p) for p in packets))

    @property
    def payload_symbols(self) -> int:
        return sum(p.symbols for p in self.packets)

    @property
    def threshold_db(self) -> float | None:
        """Es/N0 at which no packet is lost more often than one in ten; None where that was not measured."""
        known = [p.threshold_db for p in self.packets]
        return None if None in known else max(known)


@dataclass(frozen=True)
class Security:
    """Payloads are authenticated with a tag of `tag_bytes`, and encrypted if asked (docs/authentication.md).

    key: where this end has it, `file:PATH` or `env:NAME`, or `none` to receive without a check; never the key itself.
    """

    tag_bytes: int = 4
    encrypt: bool = False
    key: str = ""

    def __post_init__(self):
        if self.tag_bytes not in (4, 6, 8, 10, 12, 14, 16) or isinstance(self.tag_bytes, float):
            raise ValueError(f"tag_bytes: {self.tag_bytes!r} is not one of 4, 6, 8, 10, 12, 14, 16")
        if not isinstance(self.encrypt, bool):
            raise ValueError(f"encrypt: expected true or false, got {self.encrypt!r}")
        if self.key not in ("", "none") and not str(self.key).startswith(("file:", "env:")):
            raise ValueError("key: name a file or a variable that holds it, as file:PATH or env:NAME; never give it "
                             "itself; or none, to receive without a check")

    @property
    def cost_bits(self) -> int:
        """Bits of a packet that it takes: the tag, and a byte of the transmission's number."""
        return 8 * (self.tag_bytes + 1)

    def room(self, payload_bits: int) -> int:
        """What is left of a packet's bits. It is made of whole bytes."""
        return payload_bits // 8 * 8 - self.cost_bits


@dataclass(frozen=True)
class LinkProfile:
    """A link: superframe, layer groups, dependency policy and, where it has a radio, the burst.

    groups: layers at which each packet's group ends, rising (3, 12 means layers 0-2 and 3-11). A radio part with fewer
    packets leaves out the last ones.
    policy: `independent` | `layered` | `chained` (see docs/wire-format.md). window: superframes that a packet's
    context may reach over, its own included. refresh: `chained` starts afresh every so many superframes.
    copies: the last packet of a superframe also carries this many of the lowest layers of the superframe before, of the
    one before that and so on; the decoder waits for as many superframes. Only where no packet leans on earlier ones.
    lookahead: superframes that the concealer waits for beyond that.
    rate_weight: what a bit counts against the error when the transmitter chooses its tokens; 0 sends the nearest ones,
    1 gives for a bit the error that a bit of one more layer would remove. Receivers need not know it.
    security: packets are accepted from who has the key alone; None: from everybody.
    """

    name: str
    id: int
    superframe: int
    groups: tuple[int, ...]
    policy: str
    window: int
    schedule: tuple[tuple[int, ...], ...]
    lookahead: int = 0
    refresh: int = 5
    copies: tuple[int, ...] = ()
    rate_weight: float = 0.0
    phy: Phy | None = None
    security: Security | None = None

    def __post_init__(self):
        set_ = object.__setattr__
        if not isinstance(self.name, str) or not self.name:
            raise ValueError(f"name: expected a word, got {short(self.name)}")
        _integer("id", self.id, 0, 7)
        _integer("superframe", self.superframe, 1, 10)
        _integer("window", self.window, 1, 5)
        _integer("lookahead", self.lookahead, 0, 2)
        _integer("refresh", self.refresh, 1, 20)
        set_(self, "rate_weight", _number("rate_weight", self.rate_weight, 0.0, 4.0))
        if self.policy not in POLICIES:
            raise ValueError(f"policy: {short(self.policy)} is not one of {', '.join(POLICIES)}")
        set_(self, "groups", tuple(_integer("groups", g, 1, MAX_LAYERS) for g in _list("groups", self.groups)))
        if list(self.groups) != sorted(set(self.groups)) or len(self.groups) > MAX_GROUPS:
            raise ValueError(f"groups: expected at most {MAX_GROUPS} rising layer counts, got {list(self.groups)}")
        set_(self, "schedule", tuple(
            tuple(_integer("schedule", f, 0, self.superframe - 1) for f in _list("schedule", step))
            for step in _list("schedule", self.schedule)))
        if not isinstance(self.copies, list | tuple) or len(self.copies) > MAX_COPIES:
            raise ValueError(f"copies: expected at most {MAX_COPIES} layer counts, got {short(self.copies)}")
        set_(self, "copies", tuple(_integer("copies", c, 1, self.layers) for c in self.copies))
        if self.phy is not None and not isinstance(self.phy, Phy):
            set_(self, "phy", _build(Phy, f"profile {self.name}: phy", self.phy))
        if self.security is not None and not isinstance(self.security, Security):
            set_(self, "security", _build(Security, f"profile {self.name}: security", self.security))
        if sorted(f for step in self.schedule for f in step) != list(range(self.superframe)):
            raise ValueError(f"schedule: each of the frames 0..{self.superframe - 1} must appear exactly once")
        if self.packets > len(self.groups):
            raise ValueError(f"phy.packets: {len(self.phy.packets)} packets for {len(self.groups)} groups")
        if self.packets < len(self.groups) and self.policy == "chained":
            raise ValueError(f"phy.packets: chained packets lean on all {len(self.groups)} groups; leave none out")
        if self.copies and (self.policy == "chained" or self.window > 1):
            raise ValueError("copies: only for packets that lean on no earlier superframe (window 1, not chained)")
        if min(self.room or (LEAST,)) < LEAST:
            raise ValueError(f"security.tag_bytes: leaves {min(self.room)} bits of a packet, {LEAST} are needed")

    @property
    def layers(self) -> int:
        return self.groups[-1]

    @property
    def packets(self) -> int:
        """Packets of a superframe."""
        return len(self.phy.packets) if self.phy else len(self.groups)

    @property
    def room(self) -> tuple[int, ...] | None:
        """Bits of each packet for tokens and their check; None without a radio part: as many as it takes."""
        if self.phy is None:
            return None
        return tuple(self.security.room(p.payload_bits) if self.security else p.payload_bits for p in self.phy.packets)

    @property
    def wait(self) -> int:
        """Superframes that a receiver waits before it plays one: for copies, then for the look-ahead."""
        return len(self.copies) + self.lookahead

    @property
    def superframe_samples(self) -> int:
        return self.superframe * FRAME

    @property
    def superframes_per_second(self) -> float:
        return FRAMES_PER_SECOND / self.superframe

    @property
    def raw_bps(self) -> float:
        return self.groups[self.packets - 1] * 10 * FRAMES_PER_SECOND

    def group_layers(self, group: int) -> tuple[int, int]:
        """First and one past the last layer of packet `group`."""
        return (self.groups[group - 1] if group else 0), self.groups[group]

    def with_layers(self, layers: int) -> "LinkProfile":
        """The same profile at another raw rate: the base group stays, the rest ends at `layers`; no radio part."""
        base = self.groups[0]
        groups = (layers,) if layers <= base or len(self.groups) == 1 else (base, layers)
        return replace_profile(self, groups=groups, phy=None, copies=tuple(min(c, layers) for c in self.copies))

    def to_dict(self) -> dict:
        """Plain values that `from_dict` and YAML understand. Where this end has its key is left out."""
        values = asdict(self)
        if self.security is None:
            del values["security"]  # so that files without it stay as they always were
        else:
            del values["security"]["key"]
        return values


@dataclass(frozen=True)
class Ladder:
    """Profiles that a receiver follows from burst to burst: they differ in their packets alone, most robust first.

    A profile by itself is a ladder of one rung. Raises ValueError where rungs differ in anything else, share an id, or
    do not rise in threshold.
    """

    name: str
    rungs: tuple[LinkProfile, ...]

    def __post_init__(self):
        if not 1 <= len(self.rungs) <= MAX_RUNGS:
            raise ValueError(f"ladder {self.name}: expected 1 to {MAX_RUNGS} rungs, got {len(self.rungs)}")
        if len({p.id for p in self.rungs}) < len(self.rungs):
            raise ValueError(f"ladder {self.name}: two rungs have the same id")
        for one, other in pairwise(self.rungs):
            if unlike := _differences(one, other):
                raise ValueError(f"ladder {self.name}: {one.name} and {other.name} differ in {', '.join(unlike)}")
            low, high = one.phy.threshold_db, other.phy.threshold_db
            if None not in (low, high) and high <= low:
                raise ValueError(f"ladder {self.name}: threshold_db of {other.name} is not above that of {one.name}")

    @property
    def common(self) -> LinkProfile:
        """A rung to read what all share: everything but id, name and packets."""
        return self.rungs[0]

    @property
    def packets(self) -> int:
        """Of a superframe, in the rung that has most."""
        return max(p.packets for p in self.rungs)

    @property
    def payload_symbols(self) -> int:
        """Of a burst, in the rung that has most."""
        return max(p.phy.payload_symbols for p in self.rungs)

    @property
    def code_parameters(self) -> dict[str, dict[int, list[int]]]:
        """k, e and bits_per_symbol of each profile id's layer groups, as the LDPC and QAM blocks take them."""
        names = {"k": "payload_bits", "e": "code_bits", "bits_per_symbol": "bits_per_symbol"}
        return {key: {p.id: [getattr(x, name) for x in p.phy.packets] for p in self.rungs}
                for key, name in names.items()}

    def rung(self, place: int) -> LinkProfile:
        """By its place, 0 is the most robust. Raises ValueError."""
        if len(self.rungs) == 1 and place != 0:
            raise ValueError(f"rung: {self.name} is a profile of its own, no ladder; leave it out")
        return self.rungs[_integer(f"rung of {self.name}", place, 0, len(self.rungs) - 1)]

    def find(self, id: int) -> LinkProfile | None:
        """The rung that bursts announce by `id`, None if there is none."""
        return next((p for p in self.rungs if p.id == id), None)


def with_security(ladder: "str | Path | LinkProfile | Ladder", key: str | None = None, encrypt: bool | None = None,
                  tag_bytes: int | None = None) -> Ladder:
    """The ladder, all rungs with these entries of `security`; those that are None or empty stay as they are.

    Raises ValueError as `Security` does, or on a tag that leaves no room.
    """
    ladder = load_ladder(ladder)
    given = {"key": key or None, "encrypt": encrypt, "tag_bytes": tag_bytes}
    changes = {name: value for name, value in given.items() if value is not None}
    if not changes:
        return ladder
    security = replace(ladder.common.security or Security(), **changes)
    return Ladder(ladder.name, tuple(replace_profile(p, security=security) for p in ladder.rungs))


def _differences(one: LinkProfile, other: LinkProfile) -> list[str]:
    """Names of what two rungs must share and do not."""
    if one.phy is None or other.phy is None:
        return ["phy, which both need"]
    shared = [f.name for f in fields(LinkProfile) if f.name not in ("name", "id", "phy")]
    radio = [f.name for f in fields(Phy) if f.name != "packets"]
    return [n for n in shared if getattr(one, n) != getattr(other, n)] + [
        f"phy.{n}" for n in radio if getattr(one.phy, n) != getattr(other.phy, n)]


def from_dict(values: dict) -> LinkProfile:
    """The profile of `to_dict`. Raises ValueError on unknown or missing keys and on wrong values."""
    name = values.get("name") if isinstance(values, dict) else None
    return _build(LinkProfile, f"profile {name}" if isinstance(name, str) else "profile", values)


def replace_profile(profile: LinkProfile, **changes) -> LinkProfile:
    values = {f.name: getattr(profile, f.name) for f in fields(LinkProfile)} | changes
    return LinkProfile(**values)


def profiles() -> list[str]:
    """Names of the profiles that come with the module, rungs of ladders among them."""
    names = []
    for path in _shipped():
        data = _read(path)
        names += [f"{path.stem}-{n}" for n in range(len(data["ladder"]))] if "ladder" in data else [path.stem]
    return sorted(names)


def ladders() -> list[str]:
    """Names of the ladders that come with the module."""
    return [path.stem for path in _shipped() if "ladder" in _read(path)]


def _shipped() -> list[Path]:
    return sorted((Path(__file__).parent / "profiles").glob("*.yaml"))


def with_radio(profile: LinkProfile) -> LinkProfile:
    """The profile itself; ValueError where it has no radio part."""
    if profile.phy is None:
        raise ValueError(f"profile: {profile.name} has no radio part (phy); choose one that has, such as reference")
    return profile


def load(name_or_path: "str | Path | LinkProfile") -> LinkProfile:
    """Read a profile by name (`wide-2` is rung 2 of the ladder `wide`) or from a YAML file.

    A LinkProfile comes back as it is. Raises ValueError that names the wrong key or value.
    """
    if isinstance(name_or_path, LinkProfile):
        return name_or_path
    name = str(name_or_path)
    ladder, _, place = name.rpartition("-")
    if place.isdigit() and ladder in ladders():
        return load_ladder(ladder).rung(int(place))
    found = load_ladder(name_or_path)
    if len(found.rungs) > 1:
        raise ValueError(f"profile: {name} is a ladder; choose one of its rungs, "
                         f"{found.rungs[0].name} to {found.rungs[-1].name}")
    return found.rungs[0]


def load_ladder(name_or_path: "str | Path | LinkProfile | Ladder") -> Ladder:
    """Read a ladder by name or from a YAML file; of a single profile, the ladder with that rung alone.

    A ladder comes back as it is. Raises ValueError that names the wrong key or value.
    """
    if isinstance(name_or_path, Ladder):
        return name_or_path
    if isinstance(name_or_path, LinkProfile):
        return Ladder(name_or_path.name, (name_or_path,))
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        known = {p.stem: p for p in _shipped()}
        if path.name in known:
            path = known[path.name]
        elif str(path) in profiles():
            return load_ladder(load(str(path)))
        else:
            raise ValueError(f"profile: {name_or_path!r} is not one of {', '.join([*profiles(), *ladders()])}, "
                             "nor a .yaml file")
    data = _read(path)
    try:
        return _assemble(path.stem, data)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _assemble(stem: str, data: dict) -> Ladder:
    """The ladder of a file's entries: `ladder` has the packets of each rung, whose id is its place."""
    if "ladder" not in data:
        return load_ladder(from_dict({"name": stem} | data))
    name, phy = data.get("name", stem), data.get("phy")
    if not isinstance(name, str):
        raise ValueError(f"profile: name: expected a word, got {short(name)}")
    if "id" in data or not isinstance(phy, dict) or "packets" in phy:
        raise ValueError(f"profile {name}: a ladder has a phy without packets and no id; its rungs have both")
    common = {key: value for key, value in data.items() if key != "ladder"}
    return Ladder(name, tuple(
        from_dict(common | {"name": f"{name}-{n}", "id": n, "phy": phy | {"packets": packets}})
        for n, packets in enumerate(_list("ladder", data["ladder"]))))


def _read(path: Path) -> dict:
    return read_mapping(path, "profile")
