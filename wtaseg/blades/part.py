"""The part in front of the camera: ribs, pads, pockets, slots, bores, edges and engraving."""

import cv2
import numpy as np

from .geometry import Frame, arch, block, closed_contour, gear, slot
from .surface import BACKGROUND_LEVEL, Part, Surface, fill, shade

#: Width of the blade in part coordinates; the far edge is background again.
BLADE_WIDTH = 1180.0

#: Strips of the blade, as y ranges, that bores with their pads keep to.
BORE_STRIPS = ((150.0, 430.0), (740.0, 1030.0))


class _Plan:
    """What the stretch of blade in view holds: its ends, and which places are taken."""

    def __init__(self, rng: np.random.Generator, frame: Frame, size: int) -> None:
        corners = np.array([[0, 0], [size, 0], [0, size], [size, size]], float)
        x = frame.to_part(corners)[:, 0]
        self.span = (x.min(), x.max())
        length = self.span[1] - self.span[0]
        self.start, self.end = self.span[0] - 400, self.span[1] + 400
        if rng.random() < 0.2:
            self.start = self.span[0] + rng.uniform(0.05, 0.3) * length
        if rng.random() < 0.1:
            self.end = self.span[1] - rng.uniform(0.05, 0.2) * length
        self._taken = np.empty((0, 3))

    def take(self, centre: np.ndarray, radius: float) -> bool:
        """Claims a disc; False where it leaves the blade or something else stands there."""
        x, y = centre
        if not (self.start + radius + 20 < x < self.end - radius - 20):
            return False
        if not (radius + 20 < y < BLADE_WIDTH - radius - 20):
            return False
        a, b, r = self._taken.T
        if ((x - a) ** 2 + (y - b) ** 2 < (radius + r) ** 2).any():
            return False
        self.claim(np.array([centre]), radius)
        return True

    def claim(self, points: np.ndarray, radius: float) -> None:
        """Claims the surroundings of a line, whatever stands there."""
        discs = np.column_stack([points, np.full(len(points), radius)])
        self._taken = np.concatenate([self._taken, discs])


def render_part(rng: np.random.Generator, size: int, frame: Frame) -> Part:
    """Renders the stretch of a part that ``frame`` shows; metal fills what is neither edge nor bore."""
    surface = Surface(size, frame)
    plan = _Plan(rng, frame, size)
    part = Part(np.empty(0), np.ones((size, size), np.float32), frame)
    light = np.full((size, size), BACKGROUND_LEVEL, np.float32)

    _add_ribs(rng, surface, part, plan)
    _add_pockets(rng, surface, part, plan)
    _add_bores(rng, surface, part, plan, light)
    _add_blocks(rng, surface, part, plan)
    _add_slots(rng, surface, part, plan)
    _engrave(rng, surface, plan)
    _add_edges(rng, surface, part, plan)
    part.image = shade(rng, surface, part.metal, light)
    return part


def _closed(outline: np.ndarray) -> np.ndarray:
    return np.concatenate([outline, outline[:1]])


def _add_ribs(rng: np.random.Generator, surface: Surface, part: Part, plan: _Plan) -> None:
    """Long curved walls that run along the blade."""
    frame = surface.frame
    x = np.linspace(plan.span[0] - 60, plan.span[1] + 60, 60)
    for y in (rng.uniform(490, 530), rng.uniform(620, 660)):
        sag = rng.choice([4.0, rng.uniform(15, 34)]) * np.sin(x / rng.uniform(90, 240) + rng.uniform(0, 6))
        centre = y + sag + rng.uniform(-0.06, 0.06) * (x - x.mean())
        width = rng.uniform(24, 62)
        top, bottom = np.stack([x, centre + width], 1), np.stack([x, centre], 1)
        outline = frame.to_image(np.concatenate([bottom, top[::-1]]))
        side = frame.direction((0, rng.choice([-1, 1])))
        wall = rng.uniform(0.35, 0.9) * width * frame.scale
        level = rng.uniform(0.88, 0.98)
        plan.claim((top + bottom) / 2, width / 2 + 8)
        if surface.step(outline, wall, rng.uniform(0.14, 0.32), level, tuple(side), 0.45):
            part.walls += [frame.to_image(bottom), frame.to_image(top)]


def _add_pockets(rng: np.random.Generator, surface: Surface, part: Part, plan: _Plan) -> None:
    """Arched pockets in rows along both edges: a deep wall away from the edge, none towards it."""
    frame = surface.frame
    for edge, inward in ((0.0, 1.0), (BLADE_WIDTH, -1.0)):
        pitch = rng.uniform(150, 300)
        base = rng.uniform(26, 50)
        for x in np.arange(plan.span[0] - pitch + rng.uniform(0, pitch), plan.span[1] + pitch, pitch):
            width, height = pitch * rng.uniform(0.6, 0.85), rng.uniform(48, 92)
            inside = plan.start + 0.6 * width < x < plan.end - 0.6 * width
            if not inside or rng.random() < 0.12:
                continue
            outline, top = arch(rng, width, height)
            place = np.array([x, edge + inward * base])
            outline, top = outline * [1, inward] + place, top * [1, inward] + place
            plan.claim(top, 14)
            wall = height * rng.uniform(0.34, 0.5)
            lean = frame.direction((rng.uniform(-0.4, 0.4), -inward))
            level = rng.uniform(0.94, 1.0)
            depth = rng.uniform(0.18, 0.36)
            if not surface.step(frame.to_image(outline), wall * frame.scale, depth, level, tuple(lean), 0.75):
                continue
            middle = np.array([x, edge + inward * (base + 0.1 * height)])
            foot = middle + (top - middle) * (1 - wall / height)
            part.floors.append(frame.to_image(foot))
            part.walls.append(frame.to_image(top))


def _add_bores(
    rng: np.random.Generator, surface: Surface, part: Part, plan: _Plan, light: np.ndarray
) -> None:
    """Rows of bores, each in a pad with slanted steps."""
    frame = surface.frame
    depth = rng.uniform(0.09, 0.22)
    lean = tuple(frame.direction((rng.uniform(-1, 1), rng.uniform(-1, 1))))
    pitch, start = rng.uniform(380, 620), rng.uniform(0, 600)
    for row, strip in enumerate(BORE_STRIPS):
        y = rng.uniform(strip[0] + 125, strip[1] - 130)
        first = int(np.floor((plan.span[0] - start) / pitch)) - 1
        last = int(np.ceil((plan.span[1] - start) / pitch)) + 1
        for k in range(first, last + 1):
            radius = rng.uniform(48, 88)
            centre = np.array([start + (k + 0.5 * row) * pitch, y]) + rng.uniform(-8, 8, 2)
            if rng.random() < 0.15 or not plan.take(centre, 1.25 * radius):
                continue
            pad = gear(
                rng, radius * rng.uniform(1.35, 1.5), radius * rng.uniform(1.7, 2.1), rng.integers(4, 7)
            )
            pad = pad + centre
            pad[:, 1] = np.clip(pad[:, 1], *strip)
            plan.claim(pad, 12)
            outline = frame.to_image(pad)
            width = rng.uniform(11, 19) * frame.scale
            if surface.step(
                outline, width, depth * rng.uniform(0.8, 1.2), rng.uniform(0.95, 1.04), lean, 0.3
            ):
                part.walls.append(_closed(outline))
            _add_bore(rng, surface, part, light, centre, radius)


def _add_bore(
    rng, surface: Surface, part: Part, light: np.ndarray, centre: np.ndarray, radius: float
) -> None:
    """A round through hole, light grey from the table behind it, with a countersink around it."""
    frame, size = surface.frame, surface.size
    t = np.linspace(0, 2 * np.pi, 120)
    circle = np.stack([np.cos(t), np.sin(t)], 1)
    rim = frame.to_image(centre + radius * circle)
    lean = tuple(frame.direction((rng.uniform(-1, 1), rng.uniform(-1, 1))))
    width = rng.uniform(9, 20) * frame.scale
    if not surface.step(rim, width, rng.uniform(0.12, 0.3), 1.0, lean, 0.35, outside=True):
        return
    hole = np.zeros((size, size), np.uint8)
    fill(hole, rim)
    if not hole.any():
        return
    axis = frame.direction((rng.uniform(-1, 1), rng.uniform(-1, 1)))
    middle = frame.to_image(centre[None])[0]
    y, x = np.ogrid[:size, :size]
    slope = ((x - middle[0]) * axis[0] + (y - middle[1]) * axis[1]) / (radius * frame.scale)
    level = rng.uniform(150, 186) + rng.uniform(8, 24) * np.clip(slope, -1.2, 1.2)
    cover = hole.astype(np.float32) / 255
    light += cover * (level.astype(np.float32) - light)
    part.metal *= 1 - cover
    part.rims.append(rim)


def _add_blocks(rng: np.random.Generator, surface: Surface, part: Part, plan: _Plan) -> None:
    """Bevelled blocks and recesses between the bores."""
    depth = rng.uniform(0.09, 0.24)
    lean = tuple(surface.frame.direction((rng.uniform(-1, 1), rng.uniform(-1, 1))))
    for _ in range(36):
        width, height = rng.uniform(80, 220), rng.uniform(60, 130)
        centre = np.array([rng.uniform(*plan.span), rng.uniform(120, BLADE_WIDTH - 120)])
        if not plan.take(centre, 0.5 * np.hypot(width, height) * 0.92):
            continue
        turn = rng.choice([0, np.pi / 2, np.pi / 4]) + rng.normal(0, 0.05)
        c, s = np.cos(turn), np.sin(turn)
        outline = surface.frame.to_image(block(rng, width, height) @ np.array([[c, s], [-s, c]]) + centre)
        band = rng.uniform(10, 22) * surface.frame.scale
        if surface.step(outline, band, depth * rng.uniform(0.8, 1.2), rng.uniform(0.93, 1.04), lean, 0.3):
            part.walls.append(_closed(outline))


def _add_slots(rng: np.random.Generator, surface: Surface, part: Part, plan: _Plan) -> None:
    """Shallow elongated recesses and small blind holes."""
    for _ in range(24):
        centre = np.array([rng.uniform(*plan.span), rng.uniform(60, BLADE_WIDTH - 60)])
        if rng.random() < 0.6:
            length = rng.uniform(60, 150)
            outline, reach = slot(length, rng.uniform(22, 44), rng.uniform(0, np.pi)), length / 2
        else:
            reach = rng.uniform(7, 22)
            outline = closed_contour(rng, reach, 0.0, 1)
        if not plan.take(centre, 1.1 * reach):
            continue
        outline = surface.frame.to_image(outline + centre)
        width = rng.uniform(5, 12) * surface.frame.scale
        lean = tuple(surface.frame.direction((0, rng.choice([-1, 1]))))
        if surface.step(outline, width, rng.uniform(0.1, 0.3), rng.uniform(0.86, 0.98), lean, 0.5):
            part.walls.append(_closed(outline))


def _engrave(rng: np.random.Generator, surface: Surface, plan: _Plan) -> None:
    """Type marks: letters a little darker than the face, lit on one side."""
    letters = np.array(list('ABCDEFHKLMNPRTUXZ0123456789'))
    font = cv2.FONT_HERSHEY_SIMPLEX
    for _ in range(8):
        word = ''.join(rng.choice(letters, rng.integers(2, 5)))
        scale = rng.uniform(1.0, 2.2)
        thick = round(3.2 * scale)
        (width, height), low = cv2.getTextSize(word, font, scale, thick)
        place = np.array([rng.uniform(*plan.span), rng.uniform(110, BLADE_WIDTH - 110)])
        if not plan.take(place, 0.5 * width):
            continue
        stamp = np.zeros((height + low + 2 * thick, width + 2 * thick), np.uint8)
        cv2.putText(stamp, word, (thick, height + thick), font, scale, 255, thick, cv2.LINE_AA)
        turn = rng.choice([0, np.pi / 2, np.pi]) + rng.normal(0, 0.1)
        c, s = np.cos(turn), np.sin(turn)
        box = np.array([[0, 0], [width, 0], [0, height]], float)
        on_part = (box - [width / 2, height / 2]) @ np.array([[c, s], [-s, c]]) + place
        target = surface.frame.to_image(on_part)
        matrix = cv2.getAffineTransform(box.astype(np.float32), target.astype(np.float32))
        drawn = cv2.warpAffine(stamp, matrix, (surface.size, surface.size)).astype(np.float32) / 255
        if not drawn.any():
            continue
        drawn = cv2.GaussianBlur(drawn, (0, 0), max(0.8, 1.1 * surface.frame.scale))
        shift = np.roll(drawn, (1, 1), (0, 1)) - drawn
        surface.tone *= 1 - rng.uniform(0.06, 0.14) * drawn + rng.uniform(0.05, 0.2) * shift
        surface.wall = np.maximum(surface.wall, 0.6 * drawn)


def _add_edges(rng: np.random.Generator, surface: Surface, part: Part, plan: _Plan) -> None:
    """Both long edges and the ends of the blade, with a chamfer; beyond is white."""
    frame, size = surface.frame, surface.size
    t = np.linspace(0, np.pi / 2, 16)
    cap = np.stack([1 - np.sin(t), 1 - np.cos(t)], 1)[::-1] * rng.uniform(30, 150)
    turned = cap[::-1]
    # Clockwise from the origin; each corner is the cap mirrored and moved there.
    corners = []
    for arc, mirror, corner in (
        (cap, (1, 1), (plan.start, 0)),
        (turned, (-1, 1), (plan.end, 0)),
        (cap, (-1, -1), (plan.end, BLADE_WIDTH)),
        (turned, (1, -1), (plan.start, BLADE_WIDTH)),
    ):
        corners.append(arc * mirror + np.array(corner))
    outline = frame.to_image(np.concatenate(corners))
    blade = np.zeros((size, size), np.uint8)
    fill(blade, outline)
    surface.step(outline, rng.uniform(7, 26) * frame.scale, rng.uniform(0.05, 0.16), directional=0.0)
    part.metal *= blade.astype(np.float32) / 255
    part.rims.append(_closed(outline))
