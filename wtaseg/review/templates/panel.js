'use strict';
/* The texts and lists beside the panes. Scripts of the page share their names; review.js is the last. */

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
