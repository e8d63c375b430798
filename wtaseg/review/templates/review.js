'use strict';
/* The page of wta-seg review.

   Labels are class ids, one byte a pixel, and stay so from the file to the file: the server sends and takes them raw, and
   canvases only show them. All coordinates are pixels of the image; pixel (x, y) covers [x, x + 1) x [y, y + 1). */

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
