'use strict';
/* Labels: class ids, their outlines and their defects. Scripts of the page share their names; review.js is the last. */

// ---------------------------------------------------------------- labels

/** Class ids of one image, with what is drawn from them: a coloured copy and outlines. */
class Label {
  constructor(ids, width, height) {
    Object.assign(this, {ids, width, height});
    this.canvas = null;
    this.columns = Math.ceil(width / TILE);
    this.tiles = new Array(this.columns * Math.ceil(height / TILE));
  }

  /** The label in the colours of its classes, made when it is first shown. */
  get colored() {
    if (!this.canvas) {
      const {width, height} = this;
      this.canvas = element('canvas', {width, height});
      this.color({left: 0, top: 0, right: width, bottom: height});
    }
    return this.canvas;
  }

  color({left, top, right, bottom}) {
    const width = right - left, height = bottom - top;
    const pixels = new ImageData(width, height), words = new Uint32Array(pixels.data.buffer);
    for (let y = 0, i = 0; y < height; y++) {
      const start = (y + top) * this.width + left;
      for (let x = 0; x < width; x++, i++) words[i] = colorWords[this.ids[start + x]];
    }
    this.canvas.getContext('2d').putImageData(pixels, left, top);
  }

  /** Redraw the pixels of a box: their colours and outlines. */
  refresh(box) {
    const {left, top, right, bottom} = box;
    if (right <= left || bottom <= top) return;
    if (this.canvas) this.color(box);
    // the outline of a neighbour may change, too
    for (let row = Math.max(0, top - 1) / TILE | 0; row * TILE <= bottom && row * TILE < this.height; row++)
      for (let column = Math.max(0, left - 1) / TILE | 0; column * TILE <= right && column < this.columns; column++)
        this.tiles[row * this.columns + column] = undefined;
  }

  /** Outlines of a tile by class id: the edges between pixels of the class and all others. */
  outlines(tile) {
    if (this.tiles[tile]) return this.tiles[tile];
    const {ids, width, height} = this, paths = new Map();
    const left = tile % this.columns * TILE, top = Math.floor(tile / this.columns) * TILE;
    const right = Math.min(width, left + TILE), bottom = Math.min(height, top + TILE);
    for (let y = top; y < bottom; y++) {
      for (let x = left; x < right; x++) {
        const i = y * width + x, id = ids[i];
        if (id === NORMAL) continue;
        const edges = [];
        if (x === 0 || ids[i - 1] !== id) edges.push([x, y, x, y + 1]);
        if (x === width - 1 || ids[i + 1] !== id) edges.push([x + 1, y, x + 1, y + 1]);
        if (y === 0 || ids[i - width] !== id) edges.push([x, y, x + 1, y]);
        if (y === height - 1 || ids[i + width] !== id) edges.push([x, y + 1, x + 1, y + 1]);
        if (!edges.length) continue;
        if (!paths.has(id)) paths.set(id, new Path2D());
        const path = paths.get(id);
        for (const [x0, y0, x1, y1] of edges) { path.moveTo(x0, y0); path.lineTo(x1, y1); }
      }
    }
    return this.tiles[tile] = paths;
  }

  /** Set the pixels whose centres are at most `radius` from the line between two points; returns their box. */
  drawLine(a, b, radius, id) {
    const box = this.clip(Math.min(a.x, b.x) - radius, Math.min(a.y, b.y) - radius,
                          Math.max(a.x, b.x) + radius, Math.max(a.y, b.y) + radius);
    const dx = b.x - a.x, dy = b.y - a.y, square = dx * dx + dy * dy, limit = radius * radius + 1e-6;
    for (let y = box.top; y < box.bottom; y++) {
      for (let x = box.left; x < box.right; x++) {
        const px = x + 0.5 - a.x, py = y + 0.5 - a.y;
        const t = square ? clamp((px * dx + py * dy) / square, 0, 1) : 0;
        if ((px - t * dx) ** 2 + (py - t * dy) ** 2 <= limit) this.ids[y * this.width + x] = id;
      }
    }
    return box;
  }

  /** Set the pixels whose centres are inside a polygon (even-odd rule); returns their box. */
  fillPolygon(points, id) {
    const xs = points.map(p => p.x), ys = points.map(p => p.y);
    const box = this.clip(Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys));
    for (let y = box.top; y < box.bottom; y++) {
      const center = y + 0.5, crossings = [];
      points.forEach((p, i) => {
        const q = points[(i + 1) % points.length];
        if ((p.y <= center) !== (q.y <= center)) crossings.push(p.x + (center - p.y) / (q.y - p.y) * (q.x - p.x));
      });
      crossings.sort((p, q) => p - q);
      for (let i = 0; i + 1 < crossings.length; i += 2) {
        const from = clamp(Math.ceil(crossings[i] - 0.5), 0, this.width);
        const to = clamp(Math.ceil(crossings[i + 1] - 0.5), 0, this.width);
        if (to > from) this.ids.fill(id, y * this.width + from, y * this.width + to);
      }
    }
    return box;
  }

  clip(left, top, right, bottom) {
    const {width, height} = this;
    return {left: clamp(Math.floor(left), 0, width), top: clamp(Math.floor(top), 0, height),
            right: clamp(Math.ceil(right), 0, width), bottom: clamp(Math.ceil(bottom), 0, height)};
  }

  /** A copy of the ids in a box. */
  cut(box, ids = this.ids) {
    const width = box.right - box.left, part = new Uint8Array(width * (box.bottom - box.top));
    for (let y = box.top, i = 0; y < box.bottom; y++, i += width)
      part.set(ids.subarray(y * this.width + box.left, y * this.width + box.right), i);
    return part;
  }

  paste(box, part) {
    const width = box.right - box.left;
    for (let y = box.top, i = 0; y < box.bottom; y++, i += width)
      this.ids.set(part.subarray(i, i + width), y * this.width + box.left);
  }

  /** The 8-connected regions of each defect class. */
  components() {
    const {ids, width, height} = this, seen = new Uint8Array(ids.length), result = [];
    for (let start = 0; start < ids.length; start++) {
      const id = ids[start];
      if (id === NORMAL || id === IGNORED || seen[start]) continue;
      const region = {id, pixels: 0, left: width, top: height, right: 0, bottom: 0}, stack = [start];
      seen[start] = 1;
      while (stack.length) {
        const i = stack.pop(), x = i % width, y = (i - x) / width;
        region.pixels++;
        region.left = Math.min(region.left, x); region.right = Math.max(region.right, x + 1);
        region.top = Math.min(region.top, y); region.bottom = Math.max(region.bottom, y + 1);
        for (let v = Math.max(0, y - 1); v <= Math.min(height - 1, y + 1); v++)
          for (let u = Math.max(0, x - 1); u <= Math.min(width - 1, x + 1); u++) {
            const j = v * width + u;
            if (!seen[j] && ids[j] === id) { seen[j] = 1; stack.push(j); }
          }
      }
      result.push(region);
    }
    return result;
  }
}

/** Where to look, largest defect first: windows that each hold one defect and all others that fit into it. */
function placesOf(components) {
  let rest = [...components].sort((a, b) => b.pixels - a.pixels);
  const places = [];
  while (rest.length) {
    const first = rest[0], x = (first.left + first.right) / 2, y = (first.top + first.bottom) / 2;
    const extent = Math.max(first.right - first.left, first.bottom - first.top);
    const half = Math.max(WINDOW_MIN, extent * (1 + 2 * WINDOW_CONTEXT)) / 2;
    const isInside = c => c.left >= x - half && c.right <= x + half && c.top >= y - half && c.bottom <= y + half;
    const members = [], others = [];
    for (const c of rest) (c === first || isInside(c) ? members : others).push(c);
    rest = others;
    places.push({x, y, side: 2 * half, members, ids: [...new Set(members.map(c => c.id))],
                 pixels: members.reduce((sum, c) => sum + c.pixels, 0)});
  }
  return places;
}
