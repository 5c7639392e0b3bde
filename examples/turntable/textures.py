"""The example's textures, painted with numpy: the same pixels on every machine."""

import struct
import zlib
from pathlib import Path

import numpy as np

Pixels = np.ndarray  #: height x width x 3 floats; colours 0..1 as displayed (sRGB), light in linear units

TEAL, CREAM, RED, STEEL = (0.07, 0.45, 0.47), (0.93, 0.86, 0.70), (0.72, 0.13, 0.08), (0.62, 0.60, 0.57)
TERRAZZO_CHIPS = ((0.86, 0.36, 0.27), (0.12, 0.42, 0.45), (0.85, 0.62, 0.22), (0.30, 0.26, 0.30), (0.70, 0.66, 0.60))

#: Lit bars of a seven-segment digit: top, upper left, upper right, middle, lower left, lower right, bottom.
SEVEN_SEGMENTS = {"0": "1110111", "7": "1010010"}
#: Each bar's centre and half size on a digit that is 1 high.
BARS = (
    (0.0, 0.45, 0.24, 0.05),
    (-0.24, 0.23, 0.05, 0.23),
    (0.24, 0.23, 0.05, 0.23),
    (0.0, 0.0, 0.24, 0.05),
    (-0.24, -0.23, 0.05, 0.23),
    (0.24, -0.23, 0.05, 0.23),
    (0.0, -0.45, 0.24, 0.05),
)


def write_textures(folder: Path) -> None:
    """Write every texture of the example into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    paint, wear = robot_paint(512)
    write_png(folder / "robot_paint.png", paint)
    write_png(folder / "robot_wear.png", wear)
    write_png(folder / "terrazzo.png", terrazzo(1024))
    write_hdr(folder / "studio.hdr", studio(256))


def robot_paint(size: int) -> tuple[Pixels, Pixels]:
    """Colour, and wear (red: roughness, green: bare metal), of a body's front, right, back and left in a row."""
    x, y = np.meshgrid((np.arange(4 * size) + 0.5) / size, (np.arange(size)[::-1] + 0.5) / size)
    side, u = np.floor(x), x % 1.0
    colour = np.empty((size, 4 * size, 3))
    colour[:] = TEAL
    for low, high, paint in ((0.13, 0.31, CREAM), (0.17, 0.27, RED)):
        colour[(y > low) & (y < high)] = paint
    for middle, digit in ((0.36, "0"), (0.64, "7")):
        colour[(side % 2 == 1) & _digit(digit, (u - middle) / 0.36, (y - 0.60) / 0.36)] = CREAM
    grain = _noise(size, 4 * size, seed=3, octaves=(16, 32, 64, 128, 256))
    edge = np.minimum(np.minimum(u, 1 - u), np.minimum(y, 1 - y))
    chipped = grain + 0.22 * np.exp(-edge / 0.03) > 0.93
    shade = 1.0 - 0.22 * np.clip(grain - 0.35, 0, 1) - 0.10 * np.exp(-edge / 0.04)
    colour *= shade[..., None]
    colour[chipped] = STEEL
    wear = np.zeros_like(colour)
    wear[..., 0] = np.where(chipped, 0.42, 0.20 + 0.25 * grain)
    wear[..., 1] = chipped
    return colour, wear


def terrazzo(size: int) -> Pixels:
    """Stone chips of every size in pale cement; tiles."""
    random = np.random.default_rng(7)
    colour = np.empty((size, size, 3))
    colour[:] = (0.90, 0.87, 0.82)
    colour *= 0.97 + 0.06 * _noise(size, size, seed=5, octaves=(32, 64, 128))[..., None]
    free = np.ones((size, size), bool)
    for radius in np.geomspace(0.042, 0.005, 1400) * size:
        _lay_stone(colour, free, random, radius)
    return colour


def studio(height: int) -> Pixels:
    """Light from all around (latitude by longitude): a dim room with soft boxes, for metal to mirror."""
    longitude, latitude = np.meshgrid(np.linspace(-180, 180, 2 * height), np.linspace(90, -90, height))
    light = np.empty((height, 2 * height, 3))
    light[:] = np.array((0.30, 0.26, 0.25)) * (0.35 + 0.65 * np.clip((latitude + 90) / 180, 0, 1))[..., None]
    for where, half, colour in (
        ((-55, 38), (28, 20), (9.0, 8.2, 7.0)),
        ((62, 22), (9, 34), (4.2, 4.8, 6.0)),
        ((170, 30), (34, 10), (6.5, 5.2, 4.0)),
        ((5, 78), (60, 8), (4.0, 4.0, 4.0)),
    ):
        away_x = (longitude - where[0] + 180) % 360 - 180
        edge = np.maximum(np.abs(away_x) - half[0], np.abs(latitude - where[1]) - half[1])
        light += np.array(colour) * (1 / (1 + np.exp(edge / 1.5)))[..., None]
    return light


def write_png(path: Path, pixels: Pixels) -> None:
    """8 bits a channel, no time stamp."""
    height, width = pixels.shape[:2]
    rows = np.zeros((height, 1 + 3 * width), np.uint8)
    rows[:, 1:] = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8).reshape(height, -1)
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows.tobytes(), 9)),
        (b"IEND", b""),
    )
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for kind, body in chunks:
            file.write(struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)))


def write_hdr(path: Path, light: Pixels) -> None:
    """Radiance RGBE, uncompressed."""
    mantissa, exponent = np.frexp(np.maximum(light.max(axis=2), 1e-9))
    bytes_ = np.empty((*light.shape[:2], 4), np.uint8)
    bytes_[..., :3] = light * (mantissa * 256 / light.max(axis=2))[..., None]
    bytes_[..., 3] = exponent + 128
    header = f"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y {light.shape[0]} +X {light.shape[1]}\n"
    path.write_bytes(header.encode() + bytes_.tobytes())


def _digit(digit: str, x: Pixels, y: Pixels) -> Pixels:
    lit = np.zeros(x.shape, bool)
    for on, (middle_x, middle_y, half_x, half_y) in zip(SEVEN_SEGMENTS[digit], BARS, strict=True):
        if on == "1":
            beyond_x, beyond_y = np.abs(x - middle_x) - half_x + 0.03, np.abs(y - middle_y) - half_y + 0.03
            lit |= np.hypot(np.maximum(beyond_x, 0), np.maximum(beyond_y, 0)) < 0.05
    return lit


def _noise(height: int, width: int, seed: int, octaves: tuple[int, ...]) -> Pixels:
    """Smooth random values, 0..1, that tile; `octaves` are cells along the height."""
    random = np.random.default_rng(seed)
    total, weight = np.zeros((height, width)), 0.0
    for cells in octaves:
        lattice = random.random((cells, cells * width // height))
        total += _enlarged(lattice, height, width) / np.sqrt(cells)
        weight += 1 / np.sqrt(cells)
    low, high = np.quantile(total, (0.001, 0.999))
    return np.clip((total - low) / (high - low), 0, 1)


def _enlarged(lattice: Pixels, height: int, width: int) -> Pixels:
    for axis, size in ((0, height), (1, width)):
        cells = lattice.shape[axis]
        at = np.arange(size) * cells / size
        near = at.astype(int)
        ease = (at - near) ** 2 * (3 - 2 * (at - near))
        ease = ease[:, None] if axis == 0 else ease[None, :]
        after = lattice.take((near + 1) % cells, axis)
        lattice = lattice.take(near, axis) * (1 - ease) + after * ease
    return lattice


def _lay_stone(colour: Pixels, free: np.ndarray, random: np.random.Generator, radius: float) -> None:
    """Lay one convex stone of about `radius` pixels somewhere, wrapping around the edges, unless one lies there."""
    reach = int(radius * 1.6) + 2
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    beyond = np.full(x.shape, -np.inf)
    for angle in random.uniform(0, 2 * np.pi) + np.arange(6) * np.pi / 3 + random.normal(0, 0.25, 6):
        beyond = np.maximum(beyond, x * np.cos(angle) + y * np.sin(angle) - radius * random.uniform(0.6, 1.0))
    at_y, at_x = random.integers(0, colour.shape[0], 2)
    rows, columns = (y + at_y) % colour.shape[0], (x + at_x) % colour.shape[1]
    tint = np.array(TERRAZZO_CHIPS[random.integers(len(TERRAZZO_CHIPS))]) * random.uniform(0.85, 1.1)
    if free[rows[beyond < 4], columns[beyond < 4]].all():
        colour[rows[beyond < 0], columns[beyond < 0]] = tint
        free[rows[beyond < 0], columns[beyond < 0]] = False
