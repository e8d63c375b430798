'use strict';
/* What is open and what the four panes show of it. Scripts of the page share their names; review.js is the last. */

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
