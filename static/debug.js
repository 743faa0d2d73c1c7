/*
 * The debugger's page with a script: the form is filled in from the address, and the answer comes
 * into the page. Without it the form works all the same.
 *
 *   /debug#d=<base64, also base64url, of the UTF-8 JSON {url, config, realAuthUrl, errMsg, ua, landing}>
 *
 * A fragment is not sent to any server, so what an error of the page holds stays in the browser
 * until the form is sent.
 */
(function () {
  'use strict';

  const form = document.getElementById('question');
  // In the storage of this tab.
  const KEPT = 'wxsign-question';
  const FIELDS = ['url', 'landing', 'config', 'realAuthUrl', 'errMsg', 'ua'];

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    ask();
  });
  addEventListener('hashchange', fill);
  // The other language keeps what was pasted.
  document.querySelectorAll('.switch a').forEach((link) => link.addEventListener('click', () => {
    link.hash = 'd=' + encode(question());
  }));
  // So does signing in, of whose way back the address of the page is no part.
  document.querySelectorAll('a[href^="/console/login"]').forEach((link) => link.addEventListener('click', () => {
    keep(encode(question()));
  }));
  fill();

  function fill() {
    const kept = takeKept();
    const given = new URLSearchParams(location.hash.slice(1)).get('d') || kept;
    if (!given) return;
    let filled;
    try { filled = decode(given); } catch (unreadable) { return; }
    if (!filled || typeof filled !== 'object') return;
    FIELDS.forEach((name) => { form.elements[name].value = text(name, filled[name]); });
    const more = ['realAuthUrl', 'landing', 'ua'].some((name) => form.elements[name].value);
    form.querySelector('details').open = more;
    if (form.checkValidity()) ask();
  }

  // A browser that blocks storage throws when it is as much as named.
  function keep(asked) {
    try { sessionStorage.setItem(KEPT, asked); } catch (blocked) { /* it is lost */ }
  }

  function takeKept() {
    try {
      const kept = sessionStorage.getItem(KEPT);
      sessionStorage.removeItem(KEPT);
      return kept;
    } catch (blocked) { return null; }
  }

  function text(name, value) {
    if (value === undefined || value === null) return '';
    if (typeof value === 'string') return value;
    if (name === 'realAuthUrl' && Array.isArray(value)) return value.join('\n');
    return JSON.stringify(value, null, 2);
  }

  function question() {
    const asked = {};
    FIELDS.forEach((name) => { if (form.elements[name].value) asked[name] = form.elements[name].value; });
    return asked;
  }

  function ask() {
    const button = form.querySelector('button');
    button.disabled = true;
    fetch(form.action, { method: 'POST', body: new URLSearchParams(new FormData(form)) })
      .then(async (response) => {
        const text = await response.text();
        const isProblem = /problem.json/.test(response.headers.get('content-type'));
        const answer = isProblem ? told(JSON.parse(text))
          : new DOMParser().parseFromString(text, 'text/html').getElementById('report');
        // No page of ours: let the browser show what it is.
        if (!answer) return form.submit();
        const report = document.getElementById('report');
        report.replaceChildren(...answer.childNodes);
        document.body.dataset.done = 'true';
        if (report.getBoundingClientRect().top < 0) report.scrollIntoView();
      }).catch(() => form.submit())
      .then(() => { button.disabled = false; });
  }

  // A refusal that came before the page was made, as the page would show it.
  function told({ title, detail }) {
    const answer = document.getElementById('refusal').content.cloneNode(true);
    answer.querySelector('p').textContent = title + ': ' + detail;
    return answer;
  }

  function decode(given) {
    const bytes = atob(given.replace(/-/g, '+').replace(/_/g, '/'));
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(bytes, (char) => char.charCodeAt(0))));
  }

  function encode(value) {
    const bytes = new TextEncoder().encode(JSON.stringify(value));
    let binary = '';
    bytes.forEach((byte) => { binary += String.fromCharCode(byte); });
    return btoa(binary).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
  }
})();
