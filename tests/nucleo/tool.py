"""What stands for OpenOCD and pyOCD on a path: understands the command lines that they do, says what they say.

    python tool.py openocd|pyocd ARGUMENTS...

The texts of failures are theirs (OpenOCD 0.12, pyOCD 0.46). It uses nothing but the standard library's core, so that it
starts in a few hundredths of a second.
"""

from __future__ import annotations

import json
import os
import re
import socket
import sys
from typing import Any, NoReturn

TROUBLES = {
    "openocd": {
        "absent": "Error: open failed",
        "busy": "Error: libusb_open() failed with LIBUSB_ERROR_BUSY\nError: open failed",
        "forbidden": "Error: libusb_open() failed with LIBUSB_ERROR_ACCESS\nError: open failed",
        "unpowered": "Error: init mode failed (unable to connect to the target)",
    },
    "pyocd": {
        "absent": "No connected debug probes",
        "busy": "0000333 C [Errno 16] Resource busy [__main__]",
        "forbidden": "0000333 C [Errno 13] Access denied (insufficient permissions) [__main__]",
        "unpowered": "0000333 C STLink error (9): Get IDCODE error: unable to connect [__main__]",
        "unknown": "0000333 C Target type stm32f446retx not recognized. Use 'pyocd list --targets' to see currently "
        "available target types. [__main__]",
    },
}


def ask(verb: str, image: str = "") -> dict[str, Any]:
    """Let the stand-in do something."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(os.environ["NUCLEO_STAND_IN"])
        with line.makefile("rw", encoding="utf-8") as stream:
            stream.write(json.dumps({"verb": verb, "image": image}) + "\n")
            stream.flush()
            answer: dict[str, Any] = json.loads(stream.readline())
    return answer


def fail(text: str) -> NoReturn:
    """End as a program that cannot go on."""
    sys.stderr.write(text + "\n")
    sys.exit(1)


def connect(tool: str, serial_number: str) -> int:
    """Open the probe; returns the part's identification."""
    found = ask("connect")
    if found["trouble"] in TROUBLES[tool]:
        fail(TROUBLES[tool][found["trouble"]])
    if serial_number and found["serial_number"] != serial_number:
        fail(
            "Error: open failed"
            if tool == "openocd"
            else f"No connected debug probe matches unique ID '{serial_number}'"
        )
    return 0x10000000 | int(found["device_id"])


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(text + "\n")


def openocd(words: list[str]) -> None:
    """Follow OpenOCD's configuration commands."""
    pairs = list(zip(words[::2], words[1::2], strict=True))
    if pairs[0] != ("-f", "board/st_nucleo_f4.cfg"):
        fail(f"Can't find {pairs[0][1]}")
    commands = [command for flag, command in pairs[1:] if flag == "-c"]
    number, code = "", 0
    while commands:
        command = commands.pop(0)
        if found := re.fullmatch(r"if \{\[catch \{adapter serial (\w+)\}\]\} \{hla_serial \1\}", command):
            number = found[1]
        elif command == "init":
            code = connect("openocd", number)
        elif not command.endswith("_port disabled"):
            target_command(command, code & 0xFFF)


def target_command(command: str, device: int) -> None:
    """Do what only works behind ``init``."""
    if found := re.match(r"set device .*if \{\$device != (\d+)\} \{shutdown error\}$", command):
        say(f"tinyml: device {device}")
        if device != int(found[1]):
            fail("shutdown command invoked")
    elif found := re.fullmatch(r"program \{(.+)\} verify reset exit", command):
        say("** Programming Started **")
        ask("flash", found[1])
        say("** Programming Finished **\n** Verified OK **\n** Resetting Target **\nshutdown command invoked")
    elif command == "reset run":
        ask("reset")
    elif command != "shutdown":
        fail(f'invalid command name "{command}"')


def pyocd(words: list[str]) -> None:
    """Follow pyOCD's subcommands."""
    verb, *rest = words
    number = rest[rest.index("--uid") + 1] if "--uid" in rest else ""
    if rest[rest.index("--target") + 1] != "stm32f446retx" or "--no-wait" not in rest:
        fail(f"pyocd: error: unexpected arguments {rest}")
    code = connect("pyocd", number)
    if verb == "commander" and rest[-2:] == ["-c", "read32 0xE0042000"]:
        say(f"e0042000:  {code:08x}    |....|")
    elif verb == "load" and rest[-3:-1] == ["--format", "elf"]:
        ask("flash", rest[-1])
    elif verb == "reset":
        ask("reset")
    else:
        fail(f"pyocd: error: unexpected arguments {words}")


if __name__ == "__main__":
    {"openocd": openocd, "pyocd": pyocd}[sys.argv[1]](sys.argv[2:])
