"""A build folder as idf.py leaves one, whose application holds a program of this computer.

The twin has no processor that could run an ESP32's code. What is flashed is an image in the format of the chip, with
header, segments, checksum and digest that esptool and the twin's boot loader check; its data are the native build of
the firmware.
"""

from __future__ import annotations

import hashlib
import json
import struct
from typing import TYPE_CHECKING, Final

from esptool import ESPLoader
from esptool.bin_image import ELFSection, ESP32FirmwareImage, LoadFirmwareImage

if TYPE_CHECKING:
    from pathlib import Path

BOOTLOADER_AT: Final = 0x1000
TABLE_AT: Final = 0x8000
APP_AT: Final = 0x10000
APP_BYTES: Final = 0x300000
FLASH_BYTES: Final = 4 << 20
_DROM: Final = 0x3F400020
_IRAM: Final = 0x40080000
_ENTRY: Final = struct.Struct("<HBBII16sI")
"""ESP-IDF, "Partition Tables": magic, type, subtype, offset, size, name, flags."""
_ENTRY_MAGIC: Final = 0x50AA
_TABLE_DIGEST: Final = b"\xeb\xeb" + b"\xff" * 14
_LENGTH: Final = struct.Struct("<I")


def make_build(
    folder: Path,
    program: Path,
    *,
    firmware_sha256: str,
    model_sha256: str,
    engine: str = "aot",
    baud: int = 115_200,
) -> Path:
    """Write a build folder.

    Args:
        folder: made.
        program: becomes the application.
        firmware_sha256: what the program says it is.
        model_sha256: of the model in it.
        engine: what executes the model.
        baud: of its console.

    Returns:
        The folder.
    """
    (folder / "config").mkdir(parents=True)
    for name in ("bootloader", "partition_table"):
        (folder / name).mkdir()
    (folder / "bootloader" / "bootloader.bin").write_bytes(_image(b"second stage", _IRAM))
    (folder / "partition_table" / "partition-table.bin").write_bytes(partition_table())
    (folder / "twin.bin").write_bytes(_image(program.read_bytes(), _DROM))
    (folder / "twin.elf").write_bytes(program.read_bytes())
    files = {
        hex(BOOTLOADER_AT): "bootloader/bootloader.bin",
        hex(TABLE_AT): "partition_table/partition-table.bin",
        hex(APP_AT): "twin.bin",
    }
    settings = {"flash_mode": "dio", "flash_size": "4MB", "flash_freq": "40m"}
    flash_options = [(f"--{key.replace('_', '-')}", value) for key, value in settings.items()]
    described = {
        "flasher_args.json": {
            "write_flash_args": [word for option in flash_options for word in option],
            "flash_settings": settings,
            "flash_files": files,
            "bootloader": {"offset": hex(BOOTLOADER_AT), "file": files[hex(BOOTLOADER_AT)], "encrypted": "false"},
            "partition-table": {"offset": hex(TABLE_AT), "file": files[hex(TABLE_AT)], "encrypted": "false"},
            "app": {"offset": hex(APP_AT), "file": "twin.bin", "encrypted": "false"},
            "extra_esptool_args": {"after": "hard_reset", "before": "default_reset", "stub": True, "chip": "esp32"},
        },
        "project_description.json": {
            "project_name": "twin", "target": "esp32", "app_elf": "twin.elf", "app_bin": "twin.bin",
        },
        "config/sdkconfig.json": {"IDF_TARGET": "esp32"},
        "tinyml-build.json": {
            "firmware_sha256": firmware_sha256, "model_sha256": model_sha256, "version": "twin",
            "engine": engine, "emulated": True, "baud": baud,
        },
    }  # fmt: skip
    for name, content in described.items():
        (folder / name).write_text(json.dumps(content, indent=2), encoding="utf-8")
    return folder


def flash_of(folder: Path) -> bytes:
    """Return what is in the flash of a chip onto which a build folder was flashed."""
    flash = bytearray(b"\xff" * FLASH_BYTES)
    files = json.loads((folder / "flasher_args.json").read_text(encoding="utf-8"))["flash_files"]
    for at, name in files.items():
        content = (folder / name).read_bytes()
        flash[int(at, 0) : int(at, 0) + len(content)] = content
    return bytes(flash)


def partition_table() -> bytes:
    """Return the table that the firmware's application has: NVS, PHY data and one application."""
    rows = [
        _ENTRY.pack(_ENTRY_MAGIC, 1, 0x02, 0x9000, 0x6000, b"nvs", 0),
        _ENTRY.pack(_ENTRY_MAGIC, 1, 0x01, 0xF000, 0x1000, b"phy_init", 0),
        _ENTRY.pack(_ENTRY_MAGIC, 0, 0x00, APP_AT, APP_BYTES, b"factory", 0),
    ]
    table = b"".join(rows)
    return (table + _TABLE_DIGEST + hashlib.md5(table).digest()).ljust(0xC00, b"\xff")  # noqa: S324 - the format's


def _image(data: bytes, address: int) -> bytes:
    """Return an application image with one segment, which holds its length and the data."""
    image = ESP32FirmwareImage()
    image.entrypoint = _IRAM
    payload = _LENGTH.pack(len(data)) + data
    image.segments.append(ELFSection(b".twin", address, payload + bytes(-len(payload) % 4), 0))
    return bytes(image.save(None))


class BootError(Exception):
    """What is in the flash cannot be started; the text is what a boot loader says."""


def program_in(flash: bytes, scratch: Path) -> bytes:
    """Return the program that was flashed.

    Args:
        flash: all of it.
        scratch: a file that may be written.

    Raises:
        BootError: there is none, or it is damaged.
    """
    if flash[BOOTLOADER_AT] != ESPLoader.ESP_IMAGE_MAGIC:
        msg = "invalid header: 0xffffffff"
        raise BootError(msg)
    entries = (_ENTRY.unpack_from(flash, row) for row in range(TABLE_AT, TABLE_AT + 0xC00, _ENTRY.size))
    at = next((entry[3] for entry in entries if entry[:2] == (_ENTRY_MAGIC, 0)), None)
    if at is None:
        msg = "E (45) boot: No bootable app partitions in the partition table"
        raise BootError(msg)
    scratch.write_bytes(flash[at : at + APP_BYTES])
    try:
        image = LoadFirmwareImage("esp32", str(scratch))
    except Exception as error:
        msg = f"E (45) esp_image: {error}"
        raise BootError(msg) from error
    (segment,) = image.segments
    if image.checksum != image.calculate_checksum() or image.stored_digest != image.calc_digest:
        msg = "E (45) esp_image: Image hash failed - image is corrupt"
        raise BootError(msg)
    data = bytes(segment.data)
    (length,) = _LENGTH.unpack_from(data)
    return data[_LENGTH.size : _LENGTH.size + length]
