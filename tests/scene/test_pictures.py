"""Pictures of strangers: any format upright and in RGB, or one clear line; never more memory than is allowed."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from semrob_env.errors import InvalidPictureError, LibraryError, MissingFileError, RefusedFileError, SemrobError
from semrob_env.scene.pictures import picture_files, picture_in, read_picture

RAMP = np.tile(np.arange(0, 240, 10, dtype=np.uint8)[None, :, None], (12, 1, 3))


def kept(image: Image.Image, path: Path, **options: object) -> np.typing.NDArray[np.uint8]:
    image.save(path, **options)  # type: ignore[arg-type]
    return read_picture(path).pixels


def test_sixteen_bits_are_divided_not_cut_off(tmp_path: Path) -> None:
    deep = (RAMP[..., 0].astype(np.uint16) << 8) + 7
    assert np.array_equal(kept(Image.fromarray(deep), tmp_path / "a.png"), RAMP)
    assert np.array_equal(kept(Image.fromarray(deep), tmp_path / "a.tif"), RAMP)


def test_palettes_gray_and_cmyk_become_rgb(tmp_path: Path) -> None:
    plain = Image.fromarray(RAMP)
    assert np.array_equal(kept(plain.convert("L"), tmp_path / "gray.png"), RAMP)
    assert np.abs(kept(plain.quantize(64), tmp_path / "palette.png").astype(int) - RAMP).max() < 16
    assert np.abs(kept(plain.convert("CMYK"), tmp_path / "print.jpg", quality=95).astype(int) - RAMP).max() < 12
    assert set(np.unique(kept(plain.convert("1"), tmp_path / "bits.png"))) == {0, 255}


def test_transparency_lies_over_white(tmp_path: Path) -> None:
    clear = np.concatenate([RAMP, np.zeros((12, 24, 1), np.uint8)], axis=2)
    assert (kept(Image.fromarray(clear), tmp_path / "clear.png") == 255).all()


def test_photos_are_turned_upright(tmp_path: Path) -> None:
    image, exif = Image.fromarray(RAMP), Image.Exif()
    exif[0x0112] = 6  # turn clockwise to see it
    pixels = kept(image, tmp_path / "phone.png", exif=exif)
    assert np.array_equal(pixels, np.rot90(RAMP, -1))


def test_several_pictures_in_a_file_are_refused_but_for_those_of_a_camera(tmp_path: Path) -> None:
    image = Image.fromarray(RAMP)
    with pytest.raises(InvalidPictureError, match="2 pictures in one file"):
        kept(image, tmp_path / "moves.gif", save_all=True, append_images=[image.rotate(180)])
    camera = kept(image, tmp_path / "camera.jpg", save_all=True, append_images=[image.rotate(180)], format="MPO")
    assert np.abs(camera.astype(int) - RAMP).max() < 12


def huge_png(side: int) -> bytes:
    """A header that promises side x side pixels, and hardly any data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("name", "data", "error", "told"),
    [
        ("huge.png", huge_png(20_000), InvalidPictureError, "far too many pixels; at most 67108864"),
        ("large.png", huge_png(9_000), InvalidPictureError, "9000 x 9000 pixels; at most 67108864"),
        ("short.png", huge_png(100), InvalidPictureError, "save it anew"),
        ("text.jpg", b"no picture at all", InvalidPictureError, "no picture that is read"),
        ("empty.jpg", b"", InvalidPictureError, "no picture that is read"),
        ("missing.jpg", None, MissingFileError, "missing.jpg"),
    ],
)
def test_a_bad_file_is_one_clear_line(
    tmp_path: Path, name: str, data: bytes | None, error: type[SemrobError], told: str
) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(error, match=told) as raised:
        read_picture(tmp_path / name)
    assert "\n" not in str(raised.value)


def test_a_cut_off_photo_is_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(stream, "JPEG")
    (tmp_path / "half.jpg").write_bytes(stream.getvalue()[: len(stream.getvalue()) // 2])
    with pytest.raises(InvalidPictureError, match=r"half\.jpg"):
        read_picture(tmp_path / "half.jpg")


def test_a_folder_is_no_picture_and_one_without_pictures_no_folder_of_them(tmp_path: Path) -> None:
    with pytest.raises(RefusedFileError):
        read_picture(tmp_path)
    with pytest.raises(LibraryError, match="no picture"):
        picture_files(str(tmp_path))
    with pytest.raises(LibraryError, match="no such folder"):
        picture_files(str(tmp_path / "gone"))


def test_links_that_lead_outside_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    Image.fromarray(RAMP).save(tmp_path / "secret.png")
    Image.fromarray(RAMP).save(tmp_path / "inner" / "own.png")
    (tmp_path / "inner" / "link.png").symlink_to(tmp_path / "secret.png")
    assert picture_files(str(tmp_path / "inner")) == ("own.png",)
    for name in ("link.png", "../secret.png", "gone.png"):
        with pytest.raises(MissingFileError):
            picture_in(str(tmp_path / "inner"), name)
