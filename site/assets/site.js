// Keeps a page as the server would render it now, and makes it quick to use.
// Without it the page is complete, but stands still.
'use strict';

const one = (query, root = document) => root.querySelector(query);
const all = (query, root = document) => [...root.querySelectorAll(query)];
const article = one('article[data-events]');
const base = article?.dataset.events;
const stream = base ? base + 'events' : document.body.dataset.notices;

// ---- verdicts -------------------------------------------------------------

// steady changes the page and keeps what is being read where it is: the first
// thing in view that is not itself a verdict stays at its place.
function steady(change) {
  const bar = one('.bar').offsetHeight;
  const anchor = all('.prose > *, .task > h2, h1').find((e) => e.getBoundingClientRect().top >= bar);
  const before = anchor?.getBoundingClientRect().top;
  change();
  const moved = anchor ? anchor.getBoundingClientRect().top - before : 0;
  if (moved && before < innerHeight) scrollBy({ top: moved, behavior: 'instant' });
}

// A verdict that gets shorter in view keeps its height until it is out of view.
const leaving = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting || !target.style.minHeight) continue;
    steady(() => { target.style.minHeight = ''; });
    leaving.unobserve(target);
  }
});

function hold(card, height) {
  const box = card.getBoundingClientRect();
  if (box.height >= height || box.bottom < 0 || box.top > innerHeight) return;
  card.style.minHeight = height + 'px';
  leaving.observe(card);
}

function say(check, now) {
  if (check.dataset.state === now.state && check.html === now.html) return;
  const said = one('.said', check);
  const open = one('details', said)?.open;
  said.innerHTML = now.html; // rendered and escaped by the server's own template
  check.html = now.html;
  check.dataset.state = now.state;
  const details = one('details', said);
  if (details && open) details.open = true;
}

function show(state) {
  const news = [];
  for (const task of state.tasks) {
    for (const link of all(`.tasks [data-task="${task.id}"]`)) {
      link.dataset.state = task.state;
      one('.mark', link).textContent = task.mark;
      one('.word', link).textContent = task.word;
    }
    const card = one(`.verdict[data-task="${task.id}"]`);
    if (!card) continue;
    const height = card.getBoundingClientRect().height;
    card.dataset.state = task.state;
    for (const now of task.checks) {
      const check = one(`[data-check="${now.id}"]`, card);
      const before = check.dataset.state;
      say(check, now);
      check.toggleAttribute('data-stuck', Boolean(now.stuck));
      if (now.state === 'passed' && !['passed', 'kept', 'looking'].includes(before)) news.push(`Passed: ${now.that}.`);
      if (now.state === 'was' && before === 'passed') news.push(`Not so any more: ${now.that}.`);
    }
    hold(card, height);
  }
  for (const lab of state.labs) {
    const tick = one(`#labs [data-lab="${lab.id}"] .tick`);
    const done = lab.total > 0 && lab.solved === lab.total;
    tick.dataset.done = done;
    tick.textContent = done ? '✓' : lab.solved ? `${lab.solved}/${lab.total}` : '';
  }
  one('.tasks .count').textContent = state.total ? `${state.solved} of ${state.total}` : '';
  const solved = state.total > 0 && state.solved === state.total;
  if (solved && one('#solved').hidden) news.push('All tasks of this lab are solved. Well done.');
  one('#solved').hidden = !solved;
  if (news.length) one('#news').textContent = news.join(' ');
}

// ---- what the instructor says ---------------------------------------------

const notices = one('#notices');
function tell(now) {
  if (notices.html !== now.html) {
    notices.html = notices.innerHTML = now.html; // rendered and escaped by the server
    quiet();
  }
  notices.hidden = !now.html;
  count();
  for (const place of all('.handed')) {
    const html = now.solutions[place.dataset.task] ?? '';
    if (place.html === undefined) place.html = place.innerHTML;
    if (place.html !== html) place.html = place.innerHTML = html;
  }
}

// A message that was read stays away until there is another.
const text = () => one('#notices .text')?.textContent;
function quiet() {
  if (text() && sessionStorage.getItem('seen') === text()) one('#notices .message').hidden = true;
}

function count() {
  const timer = one('#notices .countdown');
  if (!timer) return;
  const left = Math.round((timer.dataset.until - Date.now()) / 1000);
  const two = (n) => String(n).padStart(2, '0');
  const clock = left >= 3600 ? `${Math.floor(left / 3600)}:${two(Math.floor(left / 60) % 60)}:${two(left % 60)}` : `${Math.floor(left / 60)}:${two(left % 60)}`;
  one('strong', timer).textContent = left > 0 ? `${clock} left` : 'Time is up';
  timer.classList.toggle('up', left <= 0);
}

// ---- the stream -----------------------------------------------------------

let source, again;
function listen() {
  if (source || document.hidden) return;
  source = new EventSource(stream);
  source.addEventListener('open', () => lost(false));
  source.addEventListener('state', (e) => steady(() => show(JSON.parse(e.data))));
  source.addEventListener('notices', (e) => steady(() => tell(JSON.parse(e.data))));
  source.addEventListener('reload', () => location.reload());
  source.addEventListener('error', () => {
    lost(true);
    if (source?.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    deafen();
    again = setTimeout(listen, 3000);
    if (notices) shutOut();
  });
}

// In a class a link can be revoked: then the server leads elsewhere.
async function shutOut() {
  const r = await fetch(location.href, { redirect: 'manual', headers: { Accept: 'text/html' } }).catch(() => null);
  if (r?.type === 'opaqueredirect') location.reload();
}

function deafen() {
  clearTimeout(again);
  source?.close();
  source = null;
}

// A short gap, as when the server restarts, is not worth a word.
let losing;
function lost(is) {
  clearTimeout(losing);
  if (!article) return;
  if (is) losing = setTimeout(() => { one('#lost').hidden = false; }, 1500);
  else one('#lost').hidden = true;
}

// ---- copy -----------------------------------------------------------------

async function copy(button) {
  const code = one('code', button.closest('figure'));
  const text = button.dataset.text ?? code.textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch { // not a secure context: a class's server is reached by its plain address
    const area = document.createElement('textarea');
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
    button.focus();
  }
  button.dataset.label ??= button.textContent;
  button.textContent = 'Copied';
  button.classList.add('copied');
  clearTimeout(button.timer);
  button.timer = setTimeout(() => {
    button.textContent = button.dataset.label;
    button.classList.remove('copied');
  }, 1600);
  one('#news').textContent = 'Copied.';
}

let copied = -1;
function copyNext() {
  const buttons = all('.prose .command .copy:last-child, .prose .file .copy:last-child');
  const visible = (b) => b.closest('figure').getBoundingClientRect().bottom > 60;
  const last = buttons[copied]?.closest('figure').getBoundingClientRect();
  const stayed = last && last.bottom > 0 && last.top < innerHeight;
  const next = stayed ? copied + 1 : buttons.findIndex(visible);
  if (!buttons[next]) return;
  copied = next;
  buttons[next].closest('figure').scrollIntoView({ block: 'nearest', behavior: 'instant' });
  copy(buttons[next]);
}

// ---- find -----------------------------------------------------------------

const find = one('#find');
function search() {
  const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
  const links = all('#labs .found a');
  for (const a of links) {
    const text = a.textContent.toLowerCase();
    a.parentElement.hidden = !words.every((w) => text.includes(w));
  }
  one('#labs .labs').hidden = words.length > 0;
  one('#labs .found').hidden = words.length === 0;
  one('#labs .nothing').hidden = words.length === 0 || links.some((a) => !a.parentElement.hidden);
}
find?.addEventListener('input', search);
find?.addEventListener('keydown', (e) => {
  if (e.key === 'Enter' && find.value) one('#labs .found li:not([hidden]) a')?.click();
  if (e.key === 'Escape') { find.value = ''; search(); find.blur(); }
});
// A task of this very page needs no load: the list folds away by itself.
all('#labs a').forEach((a) => a.addEventListener('click', () => closeLabs()));

function closeLabs() {
  const nav = one('#labs');
  if (nav.matches(':popover-open')) nav.hidePopover();
}
function startFinding() {
  const nav = one('#labs');
  if (getComputedStyle(one('.menu')).display !== 'none' && !nav.matches(':popover-open')) nav.showPopover();
  find.focus();
}

// ---- keys -----------------------------------------------------------------

document.addEventListener('keydown', (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey || e.target.closest('input, textarea, select') || one('dialog[open]')) return;
  switch (e.key) {
    case '/': if (!find) return; startFinding(); break;
    case 'n': one('a[rel=next]')?.click(); break;
    case 'p': one('a[rel=prev]')?.click(); break;
    case 'c': copyNext(); break;
    case '?': one('#keys').showModal(); break;
    default: return;
  }
  e.preventDefault();
});

document.addEventListener('click', (e) => {
  const button = e.target.closest('button.copy');
  if (button) copy(button);
});

// ---- the lab's page -------------------------------------------------------

async function reset(dialog) {
  const steps = one('.steps', dialog);
  const buttons = all('button', dialog);
  const step = (text) => steps.append(Object.assign(document.createElement('li'), { textContent: text }));
  steps.replaceChildren();
  buttons.forEach((b) => { b.disabled = true; });
  let last = 'failed: kindlab is not answering';
  try {
    const answer = await fetch(base + 'reset', { method: 'POST' });
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let text = '', part = await reader.read(); ; part = await reader.read()) {
      text += part.value ?? '';
      const lines = text.split('\n');
      text = lines.pop();
      for (last of lines) step(last);
      if (part.done) break;
    }
  } catch { step(last); }
  if (last === 'done') location.reload();
  else buttons.forEach((b) => { b.disabled = false; });
}

// The verdict that follows comes as all others do.
async function answer(form) {
  const sent = one('.sent', form);
  sent.textContent = 'Sending…';
  try {
    const r = await fetch(form.action, { method: 'POST', headers: { Accept: 'text/plain' }, body: new URLSearchParams(new FormData(form)) });
    sent.textContent = r.ok ? 'Sent' : await r.text();
  } catch {
    sent.textContent = 'Not sent: kindlab does not answer. Try again.';
  }
}

if (stream) {
  listen();
  document.addEventListener('visibilitychange', () => (document.hidden ? deafen() : listen()));
  addEventListener('pagehide', deafen);
  addEventListener('pageshow', listen);
}

if (notices) {
  quiet();
  count();
  setInterval(count, 1000);
  notices.addEventListener('click', (e) => {
    if (!e.target.closest('.seen')) return;
    sessionStorage.setItem('seen', text());
    quiet();
  });
}

if (article) {
  if (!('looked' in article.dataset)) all('details.hint').forEach((d) => d.addEventListener('toggle', () => {
    if (d.open) fetch(`${base}hints/${d.closest('[data-check]').dataset.check}`, { method: 'POST' }).catch(() => {});
  }, { once: true }));
  all('form.answer').forEach((f) => f.addEventListener('submit', (e) => { e.preventDefault(); answer(f); }));
  one('#reset')?.addEventListener('click', () => one('#reset-dialog').showModal());
  one('#reset-dialog .danger')?.addEventListener('click', () => reset(one('#reset-dialog')));
}
