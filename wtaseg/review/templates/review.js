'use strict';
/* The page of wta-seg review.

   Labels are class ids, one byte a pixel, and stay so from the file to the file: the server sends and takes them raw, and
   canvases only show them. All coordinates are pixels of the image; pixel (x, y) covers [x, x + 1) x [y, y + 1). */
(() => {
const $ = id => document.getElementById(id);
const T = JSON.parse($('texts').textContent);
const NORMAL = 0, IGNORED = 255;
const TILE = 128;                  // side of the tiles whose outlines are kept
const SAVE_AFTER = 250;            // milliseconds without a change
const UNDO_BYTES = 64 << 20;
const WINDOW_MIN = 96, WINDOW_CONTEXT = 0.6;   // a place is shown with its extent around it, at least so many pixels
const SCALE_MAX = 40;
const DIFFERENCE_GAIN = 4;         // a power of two
const THUMBNAIL = 640;             // long side of the whole image beside the main pane
const AHEAD = 2;                   // images loaded before they are asked for
const IGNORED_COLOR = [150, 150, 150];

const fillIn = (text, values) => text.replace(/\{(\w+)\}/g, (_, key) => values[key]);
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

// ---------------------------------------------------------------- server

class Refused extends Error {
  constructor(status, content) {
    super(content.message || `HTTP ${status}`);
    this.status = status;
    this.state = content.state;
  }
}

async function request(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Refused(0, {message: T.offline});
  }
  if (!response.ok) throw new Refused(response.status, await response.json().catch(() => ({})));
  return response;
}

async function loadBitmap(path) {
  const blob = await (await request(path)).blob();
  return createImageBitmap(blob, {colorSpaceConversion: 'none', premultiplyAlpha: 'none'});
}

async function loadLabel(path) {
  const response = await request(path);
  const ids = new Uint8Array(await response.arrayBuffer());
  const header = name => response.headers.get(name);
  return {ids, width: Number(header('X-Width')), height: Number(header('X-Height')), version: header('X-Version')};
}

const change = (method, path, version, body) =>
  request(path, {method, body, headers: {'X-Version': version, 'Content-Type': 'application/octet-stream'}})
    .then(response => response.json());

/** Bitmaps of an item and its source by item, the last few. */
const bitmaps = new Map();

function bitmapsOf(n) {
  if (!bitmaps.has(n)) {
    const pair = Promise.all([loadBitmap(`image/${n}`), items[n].edit ? loadBitmap(`source/${n}`) : null]);
    pair.catch(() => bitmaps.delete(n));
    bitmaps.set(n, pair);
    for (const old of [...bitmaps.keys()].slice(0, -(AHEAD + 3))) bitmaps.delete(old);
  }
  return bitmaps.get(n);
}

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

// ---------------------------------------------------------------- state

let items = [], classes = [], colors = [], current = null, busy = false;
const colorWords = new Uint32Array(256);   // RGBA as canvases store it
const view = {x: 0, y: 0, scale: 1};       // centre of the main pane, and its screen pixels per image pixel
const tool = {name: 'brush', id: 1, size: 3, opacity: 0.1, outline: true};
const pointer = {x: 0, y: 0, inside: false};
let heldView = '', spaceHeld = false, polygon = [], stroke = null, beforeWhole = null;
const decidedAt = [];

/** One opened item. `fault` says why its label can't be changed. */
class Doc {
  constructor(n, [image, source], label, version, sourceLabel, fault) {
    Object.assign(this, {n, image, source, version, fault, sourceLabel, conflict: null, unsaved: false});
    this.width = image.width; this.height = image.height;
    this.label = new Label(label ? label.ids : new Uint8Array(this.width * this.height), this.width, this.height);
    this.undo = []; this.redo = []; this.places = []; this.place = -1;
    this.thumbnail = this.reduce();
    this.findPlaces();
  }

  /** The image small enough to be drawn with every change of the view. */
  reduce() {
    const share = Math.min(1, THUMBNAIL / Math.max(this.width, this.height));
    const size = {width: Math.ceil(this.width * share), height: Math.ceil(this.height * share)};
    const canvas = element('canvas', size), context = canvas.getContext('2d');
    context.imageSmoothingQuality = 'high';
    context.drawImage(this.image, 0, 0, size.width, size.height);
    return canvas;
  }

  findPlaces() { this.places = placesOf(this.label.components()); }
}

// ---------------------------------------------------------------- painting

const panes = ['main', 'source', 'difference', 'whole'].map(kind => ({kind, canvas: $(kind)}));
const dirty = new Set();

function repaint(...kinds) {
  if (!dirty.size) requestAnimationFrame(() => {
    const due = [...dirty];
    dirty.clear();
    for (const pane of panes) if (due.includes(pane.kind)) paint(pane);
  });
  for (const kind of kinds.length ? kinds : panes.map(pane => pane.kind)) dirty.add(kind);
}

const shortSide = canvas => Math.min(canvas.clientWidth, canvas.clientHeight) || 1;
const wholeScale = canvas => Math.min(canvas.clientWidth / current.width, canvas.clientHeight / current.height) || 1;

/** Centre and scale of a pane: all but that of the whole image show the same window. */
function viewOf(pane) {
  if (pane.kind === 'whole')
    return {x: current.width / 2, y: current.height / 2, scale: wholeScale(pane.canvas)};
  return {x: view.x, y: view.y, scale: view.scale * shortSide(pane.canvas) / shortSide($('main'))};
}

function paint(pane) {
  const {canvas, kind} = pane, ratio = devicePixelRatio;
  const width = Math.round(canvas.clientWidth * ratio), height = Math.round(canvas.clientHeight * ratio);
  if (!width || !height) return;
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, {width, height});
  const context = canvas.getContext('2d');
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, width, height);
  if (!current) return;
  const {x, y, scale} = viewOf(pane), s = scale * ratio;
  context.setTransform(s, 0, 0, s, width / 2 - x * s, height / 2 - y * s);
  context.imageSmoothingEnabled = s < 1;
  if (kind === 'whole') {
    context.drawImage(current.thumbnail, 0, 0, current.width, current.height);
    return paintMarks(context, s);
  }
  const shown = kind === 'main' ? heldView || 'image' : kind;
  if (shown === 'difference') paintDifference(context);
  else context.drawImage(shown === 'source' ? current.source : current.image, 0, 0);
  const label = shown === 'source' ? current.sourceLabel : current.label;
  if (kind === 'main' && !heldView && tool.opacity) {
    context.globalAlpha = tool.opacity;
    context.imageSmoothingEnabled = false;
    context.drawImage(label.colored, 0, 0);
    context.globalAlpha = 1;
  }
  if (tool.outline && label) paintOutlines(context, label, s / ratio * (kind === 'main' ? 1 : 1.4), {
    left: x - width / 2 / s, top: y - height / 2 / s, right: x + width / 2 / s, bottom: y + height / 2 / s});
  if (kind === 'main' && !heldView) paintTool(context, s / ratio);
}

/** |edit - source| x 4, by the blending modes of canvases; exact where one pixel of the image is at least one here. */
function paintDifference(context) {
  const {canvas} = context;
  context.drawImage(current.source, 0, 0);
  context.globalCompositeOperation = 'difference';
  context.drawImage(current.image, 0, 0);
  context.globalCompositeOperation = 'lighter';
  context.save();
  context.setTransform(1, 0, 0, 1, 0, 0);
  for (let factor = 1; factor < DIFFERENCE_GAIN; factor *= 2) context.drawImage(canvas, 0, 0);
  context.restore();
  context.globalCompositeOperation = 'source-over';
}

function paintOutlines(context, label, scale, seen) {
  const first = Math.max(0, seen.top / TILE | 0), left = Math.max(0, seen.left / TILE | 0);
  for (let row = first; row * TILE < Math.min(label.height, seen.bottom); row++) {
    for (let column = left; column * TILE < Math.min(label.width, seen.right); column++) {
      for (const [id, path] of label.outlines(row * label.columns + column)) {
        context.lineCap = 'square';
        context.strokeStyle = '#000a'; context.lineWidth = 3 / scale; context.stroke(path);
        context.strokeStyle = colors[id]; context.lineWidth = 1.4 / scale; context.stroke(path);
      }
    }
  }
}

/** The window of the main pane and the places of defects, in the whole image. */
function paintMarks(context, s) {
  for (const place of current.places) {
    context.fillStyle = colors[place.ids[0]];
    context.beginPath();
    context.arc(place.x, place.y, 2.5 * devicePixelRatio / s, 0, 2 * Math.PI);
    context.fill();
  }
  const main = $('main'), w = main.clientWidth / view.scale, h = main.clientHeight / view.scale;
  context.strokeStyle = '#fff'; context.lineWidth = 1.5 * devicePixelRatio / s;
  context.strokeRect(view.x - w / 2, view.y - h / 2, w, h);
}

function paintTool(context, scale) {
  context.lineWidth = 1.5 / scale; context.strokeStyle = '#fff';
  if (tool.name === 'polygon') {
    if (!polygon.length) return;
    context.beginPath();
    for (const p of polygon) context.lineTo(p.x, p.y);
    if (pointer.inside) context.lineTo(pointer.x, pointer.y);
    context.stroke();
    for (const p of polygon) context.strokeRect(p.x - 2 / scale, p.y - 2 / scale, 4 / scale, 4 / scale);
  } else if (pointer.inside && !current.fault) {
    const at = snapped(pointer);
    context.beginPath();
    context.arc(at.x, at.y, Math.max(tool.size / 2, 1 / scale), 0, 2 * Math.PI);
    context.stroke();
  }
}

// ---------------------------------------------------------------- view

const toImage = (px, py) => ({x: (px - $('main').clientWidth / 2) / view.scale + view.x,
                              y: (py - $('main').clientHeight / 2) / view.scale + view.y});
const toScreen = (x, y) => ({x: (x - view.x) * view.scale + $('main').clientWidth / 2,
                             y: (y - view.y) * view.scale + $('main').clientHeight / 2});

function setView(x, y, scale) {
  view.scale = clamp(scale, wholeScale($('main')) / 2, SCALE_MAX);
  view.x = clamp(x, 0, current.width); view.y = clamp(y, 0, current.height);
  repaint();
}

function zoom(factor, at = {x: view.x, y: view.y}) {
  const scale = clamp(view.scale * factor, wholeScale($('main')) / 2, SCALE_MAX), share = view.scale / scale;
  setView(at.x + (view.x - at.x) * share, at.y + (view.y - at.y) * share, scale);
}

function showWhole() { setView(current.width / 2, current.height / 2, wholeScale($('main'))); }

function toggleWhole() {
  if (beforeWhole) setView(beforeWhole.x, beforeWhole.y, beforeWhole.scale);
  const before = beforeWhole ? null : {...view};
  if (before) showWhole();
  beforeWhole = before;
}

function showPlace(index) {
  if (!current.places.length) { current.place = -1; showWhole(); return listPlaces(); }
  current.place = (index + current.places.length) % current.places.length;
  const place = current.places[current.place];
  beforeWhole = null;
  if (tool.id !== place.ids[0]) setTool({id: place.ids[0]});
  const {clientWidth, clientHeight} = $('main');
  const scale = clamp(shortSide($('main')) / place.side, wholeScale($('main')), SCALE_MAX);
  // at the edge of the image the window is moved inwards
  const within = (center, seen, size) => seen >= size ? size / 2 : clamp(center, seen / 2, size - seen / 2);
  setView(within(place.x, clientWidth / scale, current.width), within(place.y, clientHeight / scale, current.height),
          scale);
  listPlaces();
}

// ---------------------------------------------------------------- drawing

/** A brush of odd size is centred on a pixel, one of even size on a corner. */
function snapped({x, y}) {
  return tool.size % 2 ? {x: Math.floor(x) + 0.5, y: Math.floor(y) + 0.5} : {x: Math.round(x), y: Math.round(y)};
}

const union = (a, b) => !a ? b : {left: Math.min(a.left, b.left), top: Math.min(a.top, b.top),
                                  right: Math.max(a.right, b.right), bottom: Math.max(a.bottom, b.bottom)};

function beginStroke(point, erase) {
  stroke = {before: current.label.ids.slice(), id: erase ? NORMAL : tool.id, at: snapped(point), box: null};
  continueStroke(point);
}

function continueStroke(point) {
  const next = snapped(point), box = current.label.drawLine(stroke.at, next, tool.size / 2, stroke.id);
  stroke.at = next;
  stroke.box = union(stroke.box, box);
  current.label.refresh(box);
  repaint('main');
}

function endStroke() {
  const {before, box} = stroke;
  stroke = null;
  recordChange(before, box);
}

function closePolygon() {
  const points = polygon;
  polygon = [];
  repaint('main');
  if (points.length < 3) return;
  const before = current.label.ids.slice(), box = current.label.fillPolygon(points, tool.id);
  current.label.refresh(box);
  recordChange(before, box);
}

/** Take the label of the source in place of this one; can be undone. */
function takeSourceLabel() {
  const {label, sourceLabel} = current;
  if (!sourceLabel || stroke || current.fault || current.conflict) return;
  const before = label.ids.slice(), box = label.clip(0, 0, label.width, label.height);
  label.ids.set(sourceLabel.ids);
  label.refresh(box);
  recordChange(before, box);
}

function recordChange(before, box) {
  const label = current.label, entry = {box, old: label.cut(box, before), new: label.cut(box)};
  if (entry.old.every((id, i) => id === entry.new[i])) return;
  current.undo.push(entry);
  current.redo = [];
  let bytes = current.undo.reduce((sum, e) => sum + 2 * e.old.length, 0);
  while (bytes > UNDO_BYTES && current.undo.length > 1) bytes -= 2 * current.undo.shift().old.length;
  changed();
}

function stepBack(from, to, side) {
  const entry = from.pop();
  if (!entry) return;
  to.push(entry);
  current.label.paste(entry.box, entry[side]);
  current.label.refresh(entry.box);
  changed();
}

const undo = () => stepBack(current.undo, current.redo, 'old');
const redo = () => stepBack(current.redo, current.undo, 'new');

let saveTimer = 0, saving = null;

function changed() {
  current.unsaved = true;
  repaint();
  showSaved();
  clearTimeout(saveTimer);
  saveTimer = setTimeout(save, SAVE_AFTER);
}

/** Save what is not saved yet; true if everything is saved afterwards. */
async function save() {
  clearTimeout(saveTimer);
  while (saving) await saving;
  const doc = current;
  if (!doc || !doc.unsaved) return true;
  if (doc.conflict) return false;
  doc.unsaved = false;
  saving = change('PUT', `label/${doc.n}`, doc.version, doc.label.ids).then(
    state => { hideBanner(); applyState(doc, state); doc.findPlaces(); listPlaces(); repaint(); },
    error => { doc.unsaved = true; report(error, doc, save); },
  ).finally(() => { saving = null; showSaved(); });
  showSaved();
  await saving;
  return !doc.unsaved;
}

// ---------------------------------------------------------------- decisions and navigation

function applyState(doc, state) {
  doc.version = state.version;
  Object.assign(items[doc.n], {decision: state.decision, reason: state.reason, relabelled: state.relabelled});
  showItem();
  showProgress();
}

/** Only one change of item or decision at a time. */
async function alone(action) {
  if (busy || !current) return;
  busy = true;
  try { await action(); } finally { busy = false; }
}

const decide = (decision, reason = '') => alone(async () => {
  const doc = current;
  if (stroke) endStroke();
  if (doc.conflict || (doc.fault && decision === 'accepted') || !await save()) return;
  try {
    const body = JSON.stringify({decision, reason});
    applyState(doc, await change('POST', `decision/${doc.n}`, doc.version, body));
  } catch (error) {
    return report(error, doc, () => decide(decision, reason));
  }
  hideBanner();
  decidedAt.push(performance.now());
  showProgress();
  const next = find(doc.n, 1, isTodo);
  if (next === -1) return showBanner(T.all_decided);
  await open(next);
});

const isRefused = item => !item.decision && item.refused.length > 0;
const isTodo = item => !item.decision && !item.refused.length;
const FILTERS = {
  todo: isTodo, all: () => true, refused: isRefused,
  accepted: item => item.decision === 'accepted', rejected: item => item.decision === 'rejected',
};

/** Index of the next item of a kind after n, or -1; goes on at the other end. */
function find(n, step, accepts) {
  for (let i = 1; i <= items.length; i++) {
    const index = (n + step * i + items.length * i) % items.length;
    if (accepts(items[index])) return index;
  }
  return -1;
}

const go = step => alone(async () => {
  if (stroke) endStroke();
  const next = find(current.n, step, FILTERS[$('filter').value]);
  if (next === -1) return showBanner(T.none_left);
  if (next !== current.n && await save()) { hideBanner(); await open(next); }
});

/** Load an item and show it. One whose image or label can't be used can only be rejected. */
async function open(n, reload = false) {
  const item = items[n];
  if (reload) bitmaps.delete(n);
  const wanted = [bitmapsOf(n), loadLabel(`label/${n}`), item.edit ? loadLabel(`source-label/${n}`) : null];
  const [pair, label, source] = await Promise.allSettled(wanted);
  const errors = [pair, label].filter(result => result.status === 'rejected').map(result => result.reason);
  try {
    for (const error of errors) if (error.status === 0 || error.status === 404) throw error;
    const state = label.value || await (await request(`state/${n}`)).json();
    const usable = pair.value && label.value && pair.value[0].width === label.value.width
      && pair.value[0].height === label.value.height;
    const sourceLabel = source.value && usable && new Label(source.value.ids, source.value.width, source.value.height);
    const blank = [element('canvas', {width: 64, height: 64}), null];
    const fault = usable ? '' : errors.map(error => error.message).join(' ') || T.size_fault;
    current = new Doc(n, pair.value || blank, usable ? label.value : null, state.version, sourceLabel, fault);
  } catch (error) {
    return showBanner(error.message, [[T.retry, () => open(n)]]);
  }
  history.replaceState(null, '', `#${encodeURIComponent(item.name)}`);
  polygon = []; stroke = null; heldView = ''; beforeWhole = null;
  $('source-pane').hidden = !current.source;
  $('difference-pane').hidden = !current.source;
  showItem(); showProgress(); showSaved();
  showPlace(0);
  if (current.fault) showBanner(current.fault);
  document.body.dataset.item = item.name;
  for (let i = 0, next = n; i < AHEAD; i++) {
    next = find(next, 1, FILTERS[$('filter').value]);
    if (next !== -1 && next !== n) bitmapsOf(next).catch(() => {});
  }
}

async function refreshItems() {
  const list = await (await request('items')).json();
  if (list.items.length === items.length) list.items.forEach((item, n) => Object.assign(items[n], item));
  if (current) { showItem(); showProgress(); }
}

// ---------------------------------------------------------------- texts of the page

function showBanner(text, buttons = []) {
  $('banner-text').textContent = text;
  $('banner-buttons').replaceChildren(...buttons.map(([name, action]) =>
    element('button', {textContent: name, onclick: () => { hideBanner(); action(); }})));
  $('banner').hidden = false;
}

function hideBanner() { $('banner').hidden = true; }

/** Say what went wrong; a conflict leaves the choice between both versions. */
function report(error, doc, retry) {
  if (error.status !== 409) return showBanner(error.message, [[T.retry, retry]]);
  doc.conflict = error.state;
  showSaved();
  showBanner(T.conflict, [
    [T.load_other, () => { doc.unsaved = false; open(doc.n, true); refreshItems(); }],
    [T.keep_mine, () => {
      doc.version = doc.conflict.version; doc.conflict = null; doc.unsaved = true; showSaved(); save();
    }],
  ]);
}

function showSaved() {
  const state = !current ? '' : saving ? 'saving' : current.unsaved ? 'unsaved' : 'saved';
  $('saved').textContent = state && T[state];
  $('saved').className = `saved ${state}`;
  $('undo').disabled = !current || !current.undo.length;
  $('redo').disabled = !current || !current.redo.length;
}

function showItem() {
  const item = items[current.n], badge = (name, text) => element('span', {className: name, textContent: text});
  $('name').textContent = item.name;
  $('main-caption').textContent = item.edit ? T.edit : T.image;
  const state = item.decision || (isRefused(item) ? 'refused' : 'undecided');
  const badges = [badge(state, T[`state_${state}`])];
  if (item.word) badges.push(badge('', item.word));
  if (item.relabelled) badges.push(badge('', T[`label_${item.relabelled}`]));
  $('badges').replaceChildren(...badges);
  $('reason').textContent = item.reason || (isRefused(item) ? item.refused.join('\n') : '');
  $('accept').disabled = Boolean(current.fault);
}

function showProgress() {
  const counted = items.filter(item => !isRefused(item)), done = counted.filter(item => item.decision).length;
  $('progress').value = counted.length ? done / counted.length : 1;
  let text = fillIn(T.decided, {done, total: counted.length});
  const recent = decidedAt.slice(-21);
  if (recent.length > 3 && done < counted.length) {
    const seconds = (recent.at(-1) - recent[0]) / 1000 / (recent.length - 1);
    const minutes = Math.ceil(seconds * (counted.length - done) / 60);
    text += ` · ${fillIn(T.pace, {seconds: seconds.toFixed(1), minutes})}`;
  }
  $('progress-text').textContent = text;
  $('position').textContent = current ? `${current.n + 1} / ${items.length}` : '';
}

function listPlaces() {
  const rows = current.places.map((place, index) => {
    const swatches = place.ids.map(id => swatch(colors[id]));
    const names = place.ids.map(id => classes[id].name).join(', ');
    const text = place.members.length > 1 ? fillIn(T.more_defects, {count: place.members.length, pixels: place.pixels})
                                          : `${place.pixels} px`;
    const button = element('button', {onclick: () => showPlace(index), title: names}, ...swatches, names,
                           element('span', {className: 'count', textContent: text}));
    button.setAttribute('aria-current', index === current.place);
    if (index === current.place) requestAnimationFrame(() => button.scrollIntoView({block: 'nearest'}));
    return element('li', {}, button);
  });
  $('places').replaceChildren(...rows.length ? rows : [element('li', {className: 'none', textContent: T.no_defects})]);
}

function swatch(color) {
  const node = element('span', {className: 'swatch'});
  node.style.backgroundColor = color;
  return node;
}

function showTool() {
  for (const button of document.querySelectorAll('[data-tool]'))
    button.setAttribute('aria-pressed', button.dataset.tool === tool.name);
  for (const button of $('classes').children)
    button.setAttribute('aria-pressed', Number(button.dataset.id) === tool.id && tool.name !== 'eraser');
  $('size').value = tool.size; $('size-text').textContent = `${tool.size} px`;
  $('opacity').value = Math.round(tool.opacity * 100); $('opacity-text').textContent = `${$('opacity').value} %`;
  $('outline').checked = tool.outline;
  repaint();
}

function setTool(values) {
  if (values.name && values.name !== tool.name) polygon = [];
  Object.assign(tool, values);
  tool.size = clamp(tool.size, 1, 64);
  tool.opacity = clamp(Math.round(tool.opacity * 20) / 20, 0, 1);
  showTool();
}

/** Choosing a class while the eraser is active goes back to the brush. */
function setClass(id) {
  if (id === IGNORED || id < classes.length) setTool({id, name: tool.name === 'eraser' ? 'brush' : tool.name});
}

// ---------------------------------------------------------------- pointer

const main = $('main');
const positionOf = event => {
  const box = main.getBoundingClientRect();
  return toImage(event.clientX - box.left, event.clientY - box.top);
};
let moving = null;

main.addEventListener('pointerdown', event => {
  if (!current || busy) return;
  main.focus();
  main.setPointerCapture(event.pointerId);
  const at = positionOf(event);
  if (event.button === 1 || spaceHeld) {
    moving = {at, x: view.x, y: view.y};
    event.preventDefault();
  } else if (current.fault || current.conflict) {
    return;
  } else if (tool.name === 'polygon' && event.button === 0) {
    // the second click of a double click closes the polygon and adds no corner
    if (event.detail < 2) polygon.push(at);
    repaint('main');
  } else if (event.button === 0 || event.button === 2) {
    beginStroke(at, event.button === 2 || tool.name === 'eraser');
  }
});
main.addEventListener('pointermove', event => {
  if (!current) return;
  Object.assign(pointer, positionOf(event), {inside: true});
  if (moving) {
    setView(view.x - (pointer.x - moving.at.x), view.y - (pointer.y - moving.at.y), view.scale);
  } else if (stroke) {
    const events = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
    for (const part of events.length ? events : [event]) continueStroke(positionOf(part));
  }
  repaint('main');
});
const release = () => {
  moving = null;
  if (stroke) endStroke();
};
main.addEventListener('pointerup', release);
main.addEventListener('pointercancel', release);
main.addEventListener('pointerleave', () => { pointer.inside = false; repaint('main'); });
main.addEventListener('dblclick', () => { if (tool.name === 'polygon') closePolygon(); });
main.addEventListener('contextmenu', event => event.preventDefault());

for (const pane of panes) {
  pane.canvas.addEventListener('wheel', event => {
    event.preventDefault();
    if (!current) return;
    const at = pane.kind === 'main' ? positionOf(event) : undefined;
    zoom(Math.pow(1.2, -clamp(event.deltaY, -300, 300) / 100), at);
  }, {passive: false});
  if (pane.kind === 'main') continue;
  const center = event => {
    if (!current || !(event.buttons & 1)) return;
    const box = pane.canvas.getBoundingClientRect(), {x, y, scale} = viewOf(pane);
    setView((event.clientX - box.left - box.width / 2) / scale + x,
            (event.clientY - box.top - box.height / 2) / scale + y, view.scale);
  };
  pane.canvas.addEventListener('pointerdown', center);
  if (pane.kind === 'whole') pane.canvas.addEventListener('pointermove', center);
}
new ResizeObserver(() => repaint()).observe(main);

// ---------------------------------------------------------------- keys and buttons

const KEYS = {
  a: () => decide('accepted'),
  x: () => chooseReason(),
  n: () => go(1), p: () => go(-1), ArrowRight: () => go(1), ArrowLeft: () => go(-1),
  c: event => showPlace(current.place + (event.shiftKey ? -1 : 1)),
  f: toggleWhole,
  b: () => setTool({name: 'brush'}), e: () => setTool({name: 'eraser'}), g: () => setTool({name: 'polygon'}),
  i: () => setClass(IGNORED),
  r: takeSourceLabel,
  o: () => setTool({outline: !tool.outline}),
  '[': () => setTool({size: tool.size - 1}), ']': () => setTool({size: tool.size + 1}),
  ',': () => setTool({opacity: tool.opacity - 0.1}), '.': () => setTool({opacity: tool.opacity + 0.1}),
  '+': () => zoom(1.25), '=': () => zoom(1.25), '-': () => zoom(0.8),
  Enter: closePolygon,
  Escape: () => { polygon = []; repaint('main'); },
  '?': () => $('help').showModal(), h: () => $('help').showModal(),
};

/** The key by its letter; by its place on the keyboard where the layout types others, such as Hangul. */
function keyOf(event) {
  if (/^[\x20-\x7e]$/.test(event.key)) return event.key.toLowerCase();
  const place = /^(?:Key|Digit)(.)$/.exec(event.code);
  return place ? place[1].toLowerCase() : event.key;
}

addEventListener('keydown', event => {
  const key = keyOf(event);
  if ($('reasons').open) return reasonKey(event, key);
  if ($('help').open || !current || event.target.matches('input:not([type=range]):not([type=checkbox]), select')) return;
  if (event.ctrlKey || event.metaKey) {
    if (key !== 'z' && key !== 'y') return;
    event.preventDefault();
    if (!stroke && !busy && !current.conflict) (key === 'y' || event.shiftKey ? redo : undo)();
    return;
  }
  if (event.altKey || event.isComposing) return;
  if (key === ' ') {
    spaceHeld = true;
    main.classList.add('moving');
  } else if ((key === 's' || key === 'd') && current.source) {
    heldView = key === 's' ? 'source' : 'difference';
    repaint('main');
  } else if (/^[0-9]$/.test(key)) {
    setClass(Number(key));
  } else if (KEYS[key]) {
    KEYS[key](event);
  } else {
    return;
  }
  event.preventDefault();
});
addEventListener('keyup', event => {
  const key = keyOf(event);
  if (key === ' ') { spaceHeld = false; main.classList.remove('moving'); }
  if ((key === 's' || key === 'd') && heldView) { heldView = ''; repaint('main'); }
});
addEventListener('blur', () => { spaceHeld = false; heldView = ''; main.classList.remove('moving'); repaint('main'); });

function chooseReason() {
  if (!current || busy) return;
  $('reason-other').value = '';
  $('reason-list').replaceChildren(...presetReasons().map((text, index) => element('li', {}, element(
    'button', {onclick: () => rejectFor(text)}, element('kbd', {textContent: index + 1}), ` ${text}`))));
  $('reasons').showModal();
  $('reason-list').querySelector('button').focus();
}

function rejectFor(reason) {
  $('reasons').close();
  main.focus();
  decide('rejected', reason);
}

/** Reasons by their keys; the first three are for edits. */
const presetReasons = () =>
  (items[current.n].edit ? [1, 2, 3, 4, 5, 6] : [4, 5, 6]).map(number => T[`reason_${number}`]);

function reasonKey(event, key) {
  const typing = event.target === $('reason-other');
  if (typing && key === 'Enter' && !event.isComposing) {
    event.preventDefault();
    rejectFor($('reason-other').value.trim());
  } else if (!typing && presetReasons()[key - 1]) {
    event.preventDefault();
    rejectFor(presetReasons()[key - 1]);
  } else if (!typing && /^[\p{L}]$/u.test(event.key) && !event.ctrlKey && !event.metaKey) {
    $('reason-other').focus();   // the letter is typed there
  }
}

$('reason-cancel').onclick = () => $('reasons').close();
$('accept').onclick = () => decide('accepted');
$('reject').onclick = chooseReason;
$('next').onclick = () => go(1);
$('previous').onclick = () => go(-1);
$('undo').onclick = () => undo();
$('redo').onclick = () => redo();
$('help-button').onclick = () => $('help').showModal();
$('size').oninput = event => setTool({size: Number(event.target.value)});
$('opacity').oninput = event => setTool({opacity: event.target.value / 100});
$('outline').onchange = event => setTool({outline: event.target.checked});
$('filter').onchange = () => {
  main.focus();
  if (current && !FILTERS[$('filter').value](items[current.n])) go(1);
};
for (const button of document.querySelectorAll('[data-tool]'))
  button.onclick = () => { setTool({name: button.dataset.tool}); main.focus(); };
addEventListener('focus', () => refreshItems().catch(() => {}));
addEventListener('beforeunload', event => { if (current && (current.unsaved || saving)) event.preventDefault(); });

// ---------------------------------------------------------------- start

function makeClasses(list) {
  classes = list;
  const entries = classes.map((entry, id) => [id, entry.name, entry.color, id < 10 ? String(id) : '']);
  for (const [id, name, color, key] of [...entries, [IGNORED, T.ignored, IGNORED_COLOR, 'I']]) {
    colors[id] = `rgb(${color})`;
    new Uint8Array(colorWords.buffer, 4 * id, 4).set(id === NORMAL ? [0, 0, 0, 0] : [...color, 255]);
    const button = element('button', {onclick: () => { setClass(id); main.focus(); }}, swatch(colors[id]), `${name} `);
    if (key) button.append(element('kbd', {textContent: key}));
    button.dataset.id = id;
    $('classes').append(button);
  }
}

async function start() {
  const list = await (await request('items')).json();
  items = list.items;
  makeClasses(list.classes);
  if (!items.some(isTodo)) $('filter').value = 'all';
  $('filter').querySelector('[value=refused]').hidden = !items.some(item => item.refused.length);
  const name = decodeURIComponent(location.hash.slice(1)), asked = items.findIndex(item => item.name === name);
  showTool();
  await open(asked === -1 ? list.start : asked);
  main.focus();
}

/** For tests: where a pixel is on the screen, and what is shown. */
window.review = {
  toScreen(x, y) {
    const box = main.getBoundingClientRect(), at = toScreen(x, y);
    return {x: at.x + box.left, y: at.y + box.top};
  },
  get ids() { return current.label.ids; },
  get view() { return {...view}; },
  get place() { return current.place; },
};

start().catch(error => showBanner(error.message, [[T.retry, () => location.reload()]]));
})();
