"""Pictures of strangers: any format upright and in RGB, or one clear line; never more memory than is allowed."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from semrob_env.errors import (
    InvalidMeshError,
    InvalidPictureError,
    LibraryError,
    MissingFileError,
    RefusedFileError,
    SemrobError,
)
from semrob_env.scene.opened_images import opened_image, require_whole
from semrob_env.scene.pictures import picture_files, picture_in, read_picture
from semrob_env.scene.readers.paint import open_image

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


def png(data: bytes, width: int, height: int, *, interlaced: bool) -> bytes:
    """A PNG of 8-bit RGB whose stream of pixels ends as it should, whatever is missing of it."""

    def chunk(kind: bytes, own: bytes) -> bytes:
        return struct.pack(">I", len(own)) + kind + own + struct.pack(">I", zlib.crc32(kind + own))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, interlaced)
    halves = zlib.compress(data)[:9], zlib.compress(data)[9:]
    parts = [(b"IHDR", header), *((b"IDAT", half) for half in halves), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def huge_png(side: int) -> bytes:
    """A header that promises side x side pixels, and hardly any data."""
    return png(bytes(1000), side, side, interlaced=False)


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


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (9, 17)])
@pytest.mark.parametrize("interlaced", [False, True])
def test_pixels_that_end_early_are_not_black(size: tuple[int, int], interlaced: bool, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    starts = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    passes = [pixels[top::down, left::across] for top, left, down, across in starts] if interlaced else [pixels]
    data = b"".join(b"\0" + row.tobytes() for part in passes if part.size for row in part)
    (tmp_path / "whole.png").write_bytes(png(data, size[1], size[0], interlaced=interlaced))
    assert np.array_equal(read_picture(tmp_path / "whole.png").pixels, pixels)
    (tmp_path / "early.png").write_bytes(png(data[:-1], size[1], size[0], interlaced=interlaced))
    with pytest.raises(InvalidPictureError, match=f"end early, {len(data) - 1} of {len(data)} bytes"):
        read_picture(tmp_path / "early.png")
    with pytest.raises(InvalidMeshError, match="end early"):
        open_image((tmp_path / "early.png").read_bytes(), "early.png", 10**6)


def test_what_lies_beyond_the_pixels_is_not_unpacked() -> None:
    data = png(bytes(2**28), 4, 4, interlaced=False)
    with opened_image(data, ("PNG",)) as image:
        tracemalloc.start()
        require_whole(data, image)
        assert tracemalloc.get_traced_memory()[1] < 2**23
        tracemalloc.stop()


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"restart_marker_blocks": 2}, {"subsampling": 0, "optimize": True}], ids=str
)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_whose_end_marker_comes_early_is_refused(tmp_path: Path, mode: str, options: dict[str, object]) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)).convert(mode)
    path = tmp_path / "a.jpg"
    whole = kept(noise, path, **options)
    data = path.read_bytes()
    path.write_bytes(data[:-2] + b"\xff\xff\xd9" + b"more behind it")
    assert np.array_equal(read_picture(path).pixels, whole)
    last = data.find(b"\xff\xda") if options.get("progressive") else data.rfind(b"\xff\xda")
    for share in (0.3, 0.6, 0.9):
        path.write_bytes(data[: last + 20 + int(share * (len(data) - last - 22))] + b"\xff\xd9")
        with pytest.raises(SemrobError, match=r"its pixels end early, before its end marker|truncated"):
            read_picture(path)


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
