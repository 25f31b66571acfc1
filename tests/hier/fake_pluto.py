# SPDX-License-Identifier: GPL-3.0-or-later
"""A FAKE Pluto: a server of the iiod network protocol (libiio 0.2x) on 127.0.0.1, for tests without hardware.

It knows the devices, channels and attributes that gr-iio and pyadi-iio ask for, keeps what is written to them, and
hands the samples that are sent, shortened to 12 bits as the converter does, back to who receives. There is no clock and
no radio in it: what passes here says nothing about a real board's timing, levels or filters.

It must be a process of its own, since gr-iio holds Python's lock while it waits for answers, and it must live as long
as that process: gr-iio 3.10.5 looks at the board once a second for ever, and ends the process when it is gone. So there
is one, `board()`, which ends when the process that started it does.
"""

import json
import os
import socket
import socketserver
import subprocess
import sys
import threading
import xml.etree.ElementTree as tree
from functools import cache

import numpy as np

PHY, XADC, DDS, ADC = "iio:device0", "iio:device1", "iio:device2", "iio:device3"
LIMIT = 1 << 20  # samples sent but not yet received
PATIENCE_S = 1.0  # who waits longer for a sender hears silence, who waits longer for a receiver is not heard
EINVAL, ENOENT, ENODEV = -22, -2, -19

_TRX = {"rf_bandwidth": "18000000", "sampling_frequency": "30720000", "filter_fir_en": "0"}
_RX = _TRX | {"quadrature_tracking_en": "1", "rf_dc_offset_tracking_en": "1", "bb_dc_offset_tracking_en": "1",
              "sampling_frequency_available": "[2083333 1 61440000]"}
_RX_OWN = {"gain_control_mode": "slow_attack", "hardwaregain": "71.000000 dB", "rssi": "95.25 dB",
           "rf_port_select": "A_BALANCED"}
_TX_OWN = {"hardwaregain": "-10.000000 dB", "rf_port_select": "A", "rssi": "0.00 dB"}
_LO = {"frequency": "2400000000", "powerdown": "0"}
_PHY = {"calib_mode": "auto", "ensm_mode": "fdd", "filter_fir_config": "FIR Rx: 0,0 Tx: 0,0",
        "xo_correction": "40000000", "trx_rate_governor": "nominal",
        "rx_path_rates": "BBPLL:983040000 ADC:245760000 R2:122880000 R1:61440000 RF:30720000 RXSAMP:30720000",
        "tx_path_rates": "BBPLL:983040000 DAC:122880000 T2:122880000 T1:61440000 TF:30720000 TXSAMP:30720000"}
# libiio checks the description against its own grammar, and complains without one
_PARTS = {"context": ("(device|context-attribute)*", "name description?"), "context-attribute": ("EMPTY", "name value"),
          "device": ("(channel|attribute|debug-attribute|buffer-attribute)*", "id name?"),
          "channel": ("(scan-element?,attribute*)", "id type name?"), "scan-element": ("EMPTY", "index format scale?"),
          **{f"{kind}attribute": ("EMPTY", "name filename? value?") for kind in ("", "debug-", "buffer-")}}
_GRAMMAR = "<!DOCTYPE context [" + "".join(
    f"<!ELEMENT {part} {inside}>" + "".join(
        f"<!ATTLIST {part} {word.rstrip('?')} CDATA #{'IMPLIED' if word.endswith('?') else 'REQUIRED'}>"
        for word in words.split()) for part, (inside, words) in _PARTS.items()) + "]>"


def _attributes(prefix: str, values: dict[str, str]) -> str:
    return "".join(f'<attribute name="{name}" filename="{prefix}_{name}" value="{value}" />'
                   for name, value in values.items())


def _channel(ident: str, direction: str, inside: str, name: str = "") -> str:
    called = f'name="{name}" ' if name else ""
    return f'<channel id="{ident}" {called}type="{direction}" >{inside}</channel>'


def _phy() -> str:
    parts = [_channel("altvoltage0", "output", _attributes("out_altvoltage0_RX_LO", _LO), "RX_LO"),
             _channel("altvoltage1", "output", _attributes("out_altvoltage1_TX_LO", _LO), "TX_LO"),
             _channel("temp0", "input", _attributes("in_temp0", {"input": "36842"})),
             _channel("out", "input", '<attribute name="voltage_filter_fir_en" filename="in_out_voltage_filter_fir_en" '
                      'value="0" />'),
             _channel("voltage0", "input", _attributes("in_voltage", _RX) + _attributes("in_voltage0", _RX_OWN)),
             _channel("voltage0", "output", _attributes("out_voltage", _TRX) + _attributes("out_voltage0", _TX_OWN))]
    parts += [f'<attribute name="{name}" value="{value}" />' for name, value in _PHY.items()]
    return f'<device id="{PHY}" name="ad9361-phy" >{"".join(parts)}</device>'


def _converter(ident: str, name: str, direction: str, bits: int) -> str:
    prefix, rate = direction.removesuffix("put"), {"sampling_frequency": "30720000"}
    parts = []
    for i in range(2):
        scan = f'<scan-element index="{i}" format="le:S{bits}/16&gt;&gt;0" />'
        parts.append(_channel(f"voltage{i}", direction, scan + _attributes(f"{prefix}_voltage", rate)))
    tones = ("TX1_I_F1", "TX1_I_F2", "TX1_Q_F1", "TX1_Q_F2") if direction == "output" else ()
    for i, tone in enumerate(tones):
        values = {"frequency": "1000000", "phase": "0", "raw": "1", "scale": "0.000000"}
        parts.append(_channel(f"altvoltage{i}", direction, _attributes(f"out_altvoltage{i}_{tone}", values), tone))
    parts.append('<debug-attribute name="direct_reg_access" /><buffer-attribute name="watermark" value="2048" />')
    return f'<device id="{ident}" name="{name}" >{"".join(parts)}</device>'


def description() -> str:
    """The context as XML, as iiod gives it."""
    devices = _phy() + f'<device id="{XADC}" name="xadc" ></device>'
    devices += _converter(DDS, "cf-ad9361-dds-core-lpc", "output", 16) + _converter(ADC, "cf-ad9361-lpc", "input", 12)
    facts = {"hw_model": "FAKE Pluto of the tests", "fw_version": "v0.0", "ad9361-phy,model": "ad9363a"}
    inside = "".join(f'<context-attribute name="{name}" value="{value}" />' for name, value in facts.items()) + devices
    top = f'<context name="network" description="fake" >{inside}</context>'
    return f'<?xml version="1.0" encoding="utf-8"?>{_GRAMMAR}{top}'


class Board:
    """The state of the board: attributes by (device, name of their file), and the samples in the air."""

    def __init__(self):
        self.xml = description()
        self.written: dict[tuple[str, str], str] = {}
        self.sent = self.silent = 0  # samples sent; samples of silence received where nobody sent
        self._files = dict(self._attributes())
        self._air: list[bytes] = []
        self._size = 0  # bytes in the air
        self._changed = threading.Condition()

    def _attributes(self):
        """((device, direction, channel, attribute), (file, value at the start)), fewer words where no channel."""
        for device in tree.fromstring(self.xml.encode()).iter("device"):
            ident = device.get("id")
            for a in device.findall("attribute"):
                yield (ident, a.get("name")), (a.get("name"), a.get("value"))
            for c in device.findall("channel"):
                for a in c.findall("attribute"):
                    for name in {c.get("id"), c.get("name")} - {None}:
                        key = ident, c.get("type").upper(), name, a.get("name")
                        yield key, (a.get("filename"), a.get("value"))

    def read(self, words: list[str]) -> str | None:
        """The attribute that the words of a command name; None where there is none."""
        if words[1] == "DEBUG":  # the register of overflows: there are none
            return "0x0"
        file, start = self._files.get(tuple(words), (None, None))
        return self.written.get((words[0], file), start)

    def write(self, words: list[str], text: str) -> bool:
        if words[1] not in ("DEBUG", "BUFFER"):
            if tuple(words) not in self._files:
                return False
            self.written[words[0], self._files[tuple(words)][0]] = text
        return True

    def send(self, data: bytes) -> None:
        data = (np.frombuffer(data, "<i2") >> 4).tobytes()  # 12 bits of the 16
        with self._changed:
            self._changed.wait_for(lambda: self._size < 4 * LIMIT, PATIENCE_S)
            self._air.append(data)
            self._size += len(data)
            self.sent += len(data) // 4
            self._changed.notify_all()

    def receive(self, size: int) -> bytes:
        with self._changed:
            self._changed.wait_for(lambda: self._size >= size, PATIENCE_S)
            air = b"".join(self._air)
            self._air, self._size = [air[size:]], max(self._size - size, 0)
            self._changed.notify_all()
        self.silent += max(size - len(air), 0) // 4
        return air[:size].ljust(size, b"\0")

    def state(self) -> dict:
        names = {PHY: "phy", XADC: "xadc", DDS: "dds", ADC: "adc"}
        written = {f"{names[device]}/{file}": text for (device, file), text in self.written.items()}
        return {"written": written, "sent": self.sent, "silent": self.silent}


class Connection(socketserver.StreamRequestHandler):
    """One client: a command a line, an answer that begins with a number."""

    def handle(self) -> None:
        for line in self.rfile:
            command, *words = line.decode().split() or ["EXIT"]
            if command == "EXIT":
                return
            answer = getattr(self, "on_" + command.lower(), lambda words: b"0\n")(words)
            self.wfile.write(answer)

    @property
    def board(self) -> Board:
        return self.server.board

    @staticmethod
    def number(value: int) -> bytes:
        return f"{value}\n".encode()

    def on_version(self, words) -> bytes:
        return b"0.24.v0.24  \n"

    def on_print(self, words) -> bytes:
        return f"{len(self.board.xml)}\n{self.board.xml}\n".encode()

    def on_zprint(self, words) -> bytes:
        return self.number(EINVAL)

    def on_gettrig(self, words) -> bytes:
        return self.number(ENODEV)

    def on_read(self, words) -> bytes:
        text = self.board.read(words)
        return self.number(ENOENT) if text is None else f"{len(text) + 1}\n{text}\0\n".encode()

    def on_write(self, words) -> bytes:
        size = int(words.pop())
        text = self.rfile.read(size).decode().rstrip("\0\n")
        return self.number(size if self.board.write(words, text) else ENOENT)

    def on_readbuf(self, words) -> bytes:
        data = self.board.receive(int(words[1]))
        return f"{len(data)}\n00000003\n".encode() + data

    def on_writebuf(self, words) -> bytes:
        size = int(words[1])
        self.wfile.write(self.number(size))
        self.board.send(self.rfile.read(size))
        return self.number(size)

    # What a real iiod does not know:

    def on_state(self, words) -> bytes:
        return json.dumps(self.board.state()).encode() + b"\n"

    def on_reset(self, words) -> bytes:
        self.board.__init__()
        return b"0\n"


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True


def serve(port: int = 0) -> None:
    """Print the port, then answer until standard input ends."""
    with Server(("127.0.0.1", port), Connection) as server:
        server.board = Board()
        sys.stdout.write(f"{server.server_address[1]}\n")
        sys.stdout.flush()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sys.stdin.read()
        os._exit(0)


class Fake:
    """A running fake as a test sees it."""

    def __init__(self, port: int):
        self.port, self.uri = port, f"ip:127.0.0.1:{port}"

    def ask(self, command: str):
        """An answer of one line to one of our own commands."""
        with socket.create_connection(("127.0.0.1", self.port), 30) as connection:
            connection.sendall(command.encode() + b"\r\n")
            return json.loads(connection.makefile().readline())

    @property
    def written(self) -> dict[str, str]:
        return self.ask("STATE")["written"]

    def unplug(self) -> None:
        """As if somebody pulled the cable."""
        self.process.kill()
        self.process.wait()


@cache
def board() -> Fake:
    """The fake of this process, started when it is first asked for."""
    return start()


def start(port: int = 0) -> Fake:
    """One more, for flowgraphs in other processes: `unplug` ends it."""
    reading, _ = os.pipe()  # whose other end the system closes when this process is gone, not before
    command = [sys.executable, __file__, str(port)]
    process = subprocess.Popen(command, stdin=reading, stdout=subprocess.PIPE, text=True)
    os.close(reading)
    fake = Fake(int(process.stdout.readline()))
    fake.process = process
    return fake


if __name__ == "__main__":
    serve(int(sys.argv[1]))
