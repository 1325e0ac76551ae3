// Keeps the board as the server would render it now. Without it the board is
// complete, but stands still.
'use strict';

const one = (query, root = document) => root.querySelector(query);
const all = (query, root = document) => [...root.querySelectorAll(query)];
const table = one('table.room');

// What each letter of a row's states looks like stands in the legend.
const faces = Object.fromEntries(all('.legend [data-letter]').map((e) =>
  [e.dataset.letter, { mark: one('.mark', e).textContent, word: one('.word', e).textContent }]));
const titles = all('thead th.cell', table).map((th) => th.dataset.title);
let medians = [];

let rows;
function index() {
  rows = new Map(all('tbody tr[data-id]', table).map((tr) =>
    [tr.dataset.id, { tr, cells: all('td.cell', tr), roll: one(`.roll tr[data-id="${tr.dataset.id}"]`) }]));
}
index();

const put = (element, text) => { if (element.textContent !== text) element.textContent = text; };

function length(ms) {
  const minutes = Math.floor(ms / 60000);
  if (minutes < 1) return 'under 1 min';
  if (minutes < 120) return `${minutes} min`;
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `${Math.floor(minutes / 1440)} days`;
}

function show(now) {
  const row = rows.get(now.id);
  if (!row) return;
  const { tr, cells, roll } = row;
  row.now = now;
  tr.dataset.state = now.state;
  tr.toggleAttribute('data-stuck', Boolean(now.stuck));
  cells.forEach((td, i) => {
    const letter = now.states[i];
    if (td.dataset.s === letter) return;
    td.dataset.s = letter;
    put(one('.mark', td), faces[letter].mark);
    put(one('.word', td), faces[letter].word);
  });
  put(one('.status', tr), now.open ? 'page open' : now.entered ? 'no page open' : 'not in yet');
  put(one('.at-task', tr), now.now < 0 ? (now.solved === titles.length ? 'all solved' : '') : titles[now.now]);
  put(one('.flag', tr), now.stuck ? 'stuck' : '');
  put(one('.in-way span', tr), now.why ?? '');
  put(one('.count-solved', tr), String(now.solved));
  put(one('.entered', roll), now.entered ? `✓ ${now.entered}` : 'not yet');
  put(one('.ready', roll), { yes: `✓ ready ${now.detail ?? ''}`, no: `✗ ${now.detail || 'not ready'}`, unknown: 'not asked' }[now.ready]);
  put(one('.open', roll), now.open ? `✓ ${now.open}` : 'no');
  time(row);
}

function time({ tr, now }) {
  if (!now) return;
  const median = medians[now.now];
  put(one('.time', tr), now.now < 0 ? '' : length(Date.now() - now.since) + (median ? `, median ${length(median)}` : ''));
}

function clock() {
  rows.forEach(time);
  const timer = one('.left[data-until]');
  if (!timer) return;
  const left = Math.round((timer.dataset.until - Date.now()) / 1000);
  put(timer, left > 0 ? `${Math.floor(left / 60)}:${String(left % 60).padStart(2, '0')} left` : 'time is up');
}

// What is replaced may hold the button that has the focus.
function parts(html) {
  const place = one('#parts');
  const focusable = 'a, button, summary';
  const at = all(focusable, place).indexOf(document.activeElement);
  const open = one('details', place)?.open;
  place.innerHTML = html; // rendered and escaped by the server
  if (open && one('details', place)) one('details', place).open = true;
  if (at >= 0) all(focusable, place)[at]?.focus();
  clock();
}

const orders = {
  name: () => 0,
  stuck: (a, b) => (b.now?.stuck ?? 0) - (a.now?.stuck ?? 0) || (a.now?.since || Infinity) - (b.now?.since || Infinity),
  solved: (a, b) => (b.now?.solved ?? 0) - (a.now?.solved ?? 0),
};
function sort() {
  const order = orders[one('#sort').value];
  const body = one('tbody', table);
  const wanted = [...rows.values()].sort((a, b) => order(a, b));
  wanted.forEach((row, i) => { if (body.children[i] !== row.tr) body.insertBefore(row.tr, body.children[i] ?? null); });
}

// Other people are listed: their rows come as the server renders them, and what is
// being typed into the forms stays.
async function relist() {
  const answer = await fetch('/board/', { headers: { Accept: 'text/html' } });
  if (!answer.ok) throw new Error(answer.statusText);
  const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
  const to = one('#to').value;
  for (const css of ['table.room tbody', 'table.roll tbody', '#to']) one(css).replaceWith(one(css, page));
  one('#to').value = to;
  table.dataset.tables = one('table.room', page).dataset.tables;
  index();
}

async function board(news) {
  if (news.tables !== Number(table.dataset.tables)) await relist();
  if (news.medians) {
    medians = news.medians;
    all('tfoot td.median', table).forEach((td, i) => put(td, medians[i] ? String(Math.max(1, Math.round(medians[i] / 60000))) : ''));
  }
  news.rows.forEach(show);
  if (news.medians) rows.forEach(time);
  if (news.parts) parts(news.parts);
  if (one('#sort').value !== 'name') sort();
}

// ---- the stream -----------------------------------------------------------

let source, again, losing;
let last = Promise.resolve();
function listen() {
  if (source || document.hidden) return;
  source = new EventSource('/board/events');
  source.addEventListener('open', () => lost(false));
  // One after another: a list may have to come first.
  source.addEventListener('board', (e) => { last = last.then(() => board(JSON.parse(e.data))).catch(() => {}); });
  source.addEventListener('error', () => {
    lost(true);
    if (source?.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    deafen();
    again = setTimeout(listen, 3000);
    shutOut();
  });
}
// An instructor's link can be renewed too: then the server leads elsewhere.
async function shutOut() {
  const r = await fetch(location.href, { redirect: 'manual', headers: { Accept: 'text/html' } }).catch(() => null);
  if (r?.type === 'opaqueredirect') location.reload();
}
function deafen() {
  clearTimeout(again);
  source?.close();
  source = null;
}
function lost(is) {
  clearTimeout(losing);
  if (is) losing = setTimeout(() => { one('#lost').hidden = false; }, 1500);
  else one('#lost').hidden = true;
}

// ---- forms ----------------------------------------------------------------

async function send(form) {
  const sent = one('.sent', form) ?? one('#news');
  sent.textContent = 'Sending…';
  try {
    const r = await fetch(form.action, { method: 'POST', headers: { Accept: 'text/plain' }, body: new URLSearchParams(new FormData(form)) });
    sent.textContent = r.ok ? 'Done' : await r.text();
    if (r.ok && one('textarea', form)) form.reset();
  } catch {
    sent.textContent = 'Not sent: the server does not answer. Try again.';
  }
}

document.addEventListener('submit', (e) => {
  const form = e.target;
  if (form.matches('.revoke') && !confirm('Shut them out? Their link and their open pages end at once.')) { e.preventDefault(); return; }
  if (form.matches('[action="/board/renew"], [action="/out"]')) return; // these lead to another page
  e.preventDefault();
  send(form);
});

one('#sort').addEventListener('change', sort);
listen();
setInterval(clock, 1000);
document.addEventListener('visibilitychange', () => (document.hidden ? deafen() : listen()));
addEventListener('pagehide', deafen);
addEventListener('pageshow', listen);
