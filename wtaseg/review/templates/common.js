'use strict';
/* Constants, small helpers, and the requests to the server. Scripts of the page share their names; review.js is the last. */

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
