/*
 * The demo page as a single-page application: changes the address without a load, and shows which
 * address the simulated WeChat compared with and which one was signed. Signed is by wxsign.watch(),
 * or, as many pages do it, the present address after each change.
 */
(function () {
  'use strict';

  const { appid } = document.currentScript.dataset;
  const { say, element, preview, signatureAddress, share } = window.demoPage;
  const simulated = window.simulatedWeChat;
  const landing = location.href.split('#')[0];
  const visits = document.getElementById('visits');
  const back = document.querySelector('[data-move="back"]');

  const ROWS = {
    page: ['The page', '页面'],
    compared: ['WeChat compares with', '微信比较的网址'],
    signed: ['Signed', '签名所用的网址'],
    shared: ['Shared', '分享的网址'],
  };
  const NOT_CONFIGURED = ['no new wx.config: the permissions stay with the address at which the page was entered',
    '无需重新 wx.config：权限属于进入页面时的网址'];
  const OR = [' or ', ' 或 '];
  const PATIENCE = 6000;

  let signer = 'helper';
  let unwatch = null;
  let routes = 0;
  let depth = 0;
  // The address that was signed last, and whom to tell that a move has ended.
  let signed = '';
  let finish = () => {};

  simulated.onShare = () => {
    const share = simulated.shares[simulated.shares.length - 1];
    if (share.ok && share.link === location.href) finish('');
  };
  document.querySelectorAll('[data-signer]').forEach((button) => button.addEventListener('click', () => choose(button)));
  document.querySelectorAll('[data-move]').forEach((button) => button.addEventListener('click', () => go(button.dataset.move)));

  const MOVES = {
    push() {
      const query = new URLSearchParams(location.search);
      query.set('route', routes += 1);
      history.pushState(null, '', '?' + query);
    },
    hash() { location.hash = '#/' + (routes += 1); },
    back() { history.back(); },
  };

  function choose(chosen) {
    signer = chosen.dataset.signer;
    document.querySelectorAll('[data-signer]').forEach((button) => button.setAttribute('aria-pressed', String(button === chosen)));
    if (unwatch) unwatch();
    unwatch = null;
  }

  function go(move) {
    busy(true);
    const configured = signer === 'helper' ? watch() : Promise.resolve();
    let before;
    configured.then(() => {
      before = simulated.answers.length;
      const ended = end();
      return moved(move).then(() => {
        if (signer === 'own') signPresent();
        return ended;
      });
    }).then((refused) => {
      depth += move === 'back' ? -1 : 1;
      show(move, refused, simulated.answers.length > before);
      busy(false);
    });
  }

  // Starts watching, and waits for the first configuration.
  function watch() {
    if (!unwatch) {
      unwatch = wxsign.watch(Object.assign(options(), { onError: (error) => finish(error.errMsg || error.code) }));
      // Without a link: each route is shared as itself.
      wxsign.share(share).catch(() => {});
    }
    return wxsign.ready().catch(() => {});
  }

  function signPresent() {
    const url = location.href.split('#')[0];
    const sign = () => fetch(signatureAddress(url)).then((response) => response.json());
    wxsign.config(Object.assign(options(), { url, sign })).then(() => finish(''), (error) => finish(error.errMsg || error.code));
  }

  function options() {
    const sdk = window.jWeixin ? undefined : simulated.wx;
    return { appid, sdk, timeout: 3000, onStep: (name, data) => { if (name === 'signature') signed = data.url; } };
  }

  // What comes first: word of the end, or the end of patience.
  function end() {
    return new Promise((resolve) => {
      finish = resolve;
      setTimeout(() => resolve('timeout'), PATIENCE);
    });
  }

  function moved(move) {
    const from = location.href;
    MOVES[move]();
    return new Promise((resolve) => {
      const look = () => (location.href === from ? setTimeout(look, 10) : resolve());
      look();
    });
  }

  function show(move, refused, isNew) {
    const visit = element('li', '');
    const line = visit.appendChild(element('p', ''));
    line.dataset.state = refused ? 'failed' : 'ok';
    line.appendChild(element('i', '')).className = 'mark';
    line.appendChild(element('strong', { push: 'pushState', hash: '#', back: 'history.back' }[move]));
    const answer = line.appendChild(element('span', ''));
    if (refused || isNew) answer.textContent = refused || 'config:ok';
    else say(answer, NOT_CONFIGURED);
    const compared = simulated.exchange.question.urls.map(short);
    const list = visit.appendChild(element('dl', ''));
    row(list, 'page', [short(location.href), short(location.href)]);
    row(list, 'compared', OR.map((word) => compared.filter((url, at) => compared.indexOf(url) === at).join(word)));
    row(list, 'signed', [short(signed), short(signed)]);
    visits.prepend(visit);
    const { chat, moments } = simulated.cards;
    if (refused || !chat || !moments) return;
    preview(chat, moments);
    if (signer === 'helper') row(list, 'shared', [short(chat.link), short(chat.link)]);
  }

  function row(list, name, text) {
    const place = list.appendChild(element('div', ''));
    say(place.appendChild(element('dt', '')), ROWS[name]);
    say(place.appendChild(element('dd', '')), text);
  }

  // Without what all addresses of this page begin with.
  function short(url) {
    const start = landing + (landing.includes('?') ? '' : '?');
    if (url === landing) return landing.replace(location.origin, '');
    return (url.startsWith(start) ? '…' + url.slice(landing.length) : url.replace(location.origin, ''));
  }

  function busy(is) {
    document.querySelectorAll('[data-move], [data-signer]').forEach((button) => { button.disabled = is; });
    back.disabled = is || depth < 1;
    document.body.dataset.moving = String(is);
  }
})();
