'use strict';
/* Changes of labels, decisions, and the way from item to item. Scripts of the page share their names; review.js is the last. */

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
