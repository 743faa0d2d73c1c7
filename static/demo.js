/*
 * The demo page: runs wxsign.config() once, shows each step as it happens, and explains a failure.
 *
 * The address is the whole state (?lang=, ?client=, ?mistake=), so every run is a fresh page with
 * a fresh SDK, and every outcome can be linked to.
 */
(function () {
  'use strict';

  const { appid } = document.currentScript.dataset;
  const query = new URLSearchParams(location.search);
  const simulated = window.simulatedWeChat;
  const mistake = (simulated && query.get('mistake')) || '';
  // Nothing is signed wrongly there.
  const isSignedWrongly = mistake && mistake !== 'not_following';
  if (simulated) simulated.following = mistake !== 'not_following';
  // The style sheet leaves room for an explanation, and for two addresses where they differ.
  const SAME_ADDRESS = ['stale_ticket', 'timestamp_milliseconds', 'upper_case_hex', 'not_following'];
  if (mistake) document.documentElement.dataset.room = SAME_ADDRESS.includes(mistake) ? 'small' : 'large';
  // Every text is a pair, English and Chinese; the style sheet hides the one not wanted.
  document.documentElement.lang = (query.get('lang') || navigator.language).startsWith('zh') ? 'zh-CN' : 'en';

  const STATES = {
    waiting: ['waiting', '等待'],
    running: ['running', '进行中'],
    ok: ['OK', '成功'],
    warning: ['note', '注意'],
    failed: ['failed', '失败'],
    skipped: ['not reached', '未执行'],
  };

  const CODES = {
    not_in_wechat: ['Open this page in WeChat', '请在微信中打开本页面'],
    sdk_unreachable: ['The JS-SDK cannot be reached', '无法加载 JS-SDK'],
    network: ['wxsign did not answer', 'wxsign 没有响应'],
    signature_refused: ['wxsign refused to sign', 'wxsign 拒绝签名'],
    timeout: ['No answer in time', '等待超时'],
  };

  const HELP_ZH = {
    sdk_unreachable: '无法从 res.wx.qq.com 或 res2.wx.qq.com 加载 JS-SDK。请检查网络，以及 Content-Security-Policy 的 script-src。',
    network: 'wxsign 没有响应。请检查网络，并确认 page_hosts 包含本页面的域名（否则浏览器会因 CORS 拦截响应）。',
    timeout: '在规定时间内没有响应。原始数据中的 phase 说明了在等谁。',
    invalid_signature: '微信算出的签名不同。请比较签名所用的网址与当前页面的网址（到 # 为止）、AppID 以及 jsapi_ticket 是否过期。',
    invalid_url_domain: '本页面的域名不在公众号的“JS接口安全域名”之内。',
    config_failed: '微信拒绝了 wx.config，原因见 errMsg。',
  };

  const isChinese = document.documentElement.lang === 'zh-CN';
  const SHARE = {
    title: isChinese ? 'wxsign：一次签名的全过程' : 'wxsign: a signature, start to finish',
    desc: isChinese ? '从取得签名到 wx.ready，每一步都能看到原始数据。' : 'From the signature to wx.ready, each step with its raw data.',
    link: location.href.split('#')[0],
    imgUrl: location.origin + '/static/icon.svg',
  };

  const STAND_IN = ['The CDN of the JS-SDK (res.wx.qq.com, res2.wx.qq.com) cannot be reached from here. A minimal wx of the simulated client stands in.',
    '此处无法连接 JS-SDK 的 CDN（res.wx.qq.com、res2.wx.qq.com），改用模拟客户端自带的简易 wx。'];

  const OPEN_IN_WECHAT = ['This wxsign signs for a real account, and only WeChat can check that. Send this address to a chat and tap on it there.',
    '此 wxsign 使用真实的公众号签名，只有微信才能验证。请把上面的网址发到微信聊天中，再点击打开。'];

  const READY_AFTER_ERROR = ['Called all the same, after wx.error: it only says that the check has ended.',
    '在 wx.error 之后照样触发：它只表示验证已结束，并不表示通过。'];

  const READY_ALONE = ['Called although the check failed, and wx.error was not: from version 10 on the SDK never calls it.',
    '验证失败却照样触发，而 wx.error 没有触发：微信版本号达到 10 之后，SDK 不再调用 wx.error。'];

  const NOT_FOLLOWED = ['The account is a test account, and this WeChat user does not follow it: scan the QR code on the page of the test account.',
    '这是测试号，而当前微信用户没有关注它：请扫描测试号页面上的二维码并关注。'];

  const WITHOUT_DATA = ['Refused: a share shows the title and the address of the page alone.',
    '已被拒绝：分享出去只有页面标题和网址。'];

  const FRAGMENT = '#/product/42';
  const FOREIGN_HOST = 'elsewhere.example';

  const STEPS = { sdk: '', signature: '', config: '', ready: '', share: '' };

  const begun = {};
  let sdk = null;
  let given = null;
  let asked = null;
  const events = [];

  // Its own script does no more than bring it; from here on it shows what is logged.
  if (window.VConsole) new window.VConsole();

  document.addEventListener('DOMContentLoaded', () => {
    const missing = document.getElementById('no-vconsole');
    if (missing) missing.hidden = !!window.VConsole;
    fillLinks();
    fillSnippets();
    preview(Object.assign({ ok: true }, SHARE), Object.assign({ ok: true }, SHARE));
    run();
  });

  function run() {
    begin('sdk');
    begin('signature');
    configure().catch((error) => {
      if (error.code !== 'sdk_unreachable' || !simulated) throw error;
      return configure(simulated.wx);
    }).then(succeeded, failed).then(() => { document.body.dataset.done = 'true'; });
  }

  function configure(standIn) {
    return wxsign.config({
      appid,
      sdk: standIn,
      // Where the SDK's CDN is cut off in silence, the stand-in should not be long in coming.
      timeout: simulated ? 3000 : 5000,
      sign: isSignedWrongly ? signWrongly : undefined,
      jsApiList: ['updateAppMessageShareData', 'updateTimelineShareData', 'getNetworkType'],
      onStep: (name, data) => SHOW[name](data),
    });
  }

  // As a home-made signer with that mistake would.
  function signWrongly(url) {
    // This mistake needs a fragment to be made on.
    if (mistake === 'fragment_kept' && !location.hash) location.hash = FRAGMENT;
    const question = { appid, url, mistake };
    if (mistake === 'fragment_kept') question.url = location.href;
    // A page of somebody else, signed faultlessly.
    if (mistake === 'foreign_host') {
      question.url = url.replace(location.host, FOREIGN_HOST);
      question.mistake = 'none';
    }
    asked = 'POST /simulator/sign ' + JSON.stringify(question);
    return fetch('/simulator/sign', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(question),
    }).then((response) => response.json()).then((answer) => {
      if (answer.signature) return answer;
      throw Object.assign(new Error(answer.detail), { code: 'signature_refused', problem: answer });
    });
  }

  const SHOW = {
    sdk({ wx, src }) {
      sdk = wx;
      if (src) end('sdk', 'ok', same(src.replace(/^https?:\/\//, '')), { src });
      else end('sdk', 'warning', STAND_IN, { src: null, standIn: Object.keys(wx) });
    },
    signature(fields) {
      const by = isSignedWrongly ? ['A home-made signer signed ', '自制的签名服务签了 '] : ['wxsign signed ', 'wxsign 签了 '];
      end('signature', 'ok', by.map((text) => text + fields.url),
        { request: asked || 'GET ' + signatureAddress(fields.url), answer: fields });
      if (simulated) simulated.hints = [fields.url];
    },
    config(config) {
      given = config;
      begin('config');
      begin('ready');
      watch('ready');
      watch('error');
    },
    answer(result) {
      const errMsg = (result && result.errMsg) || '–';
      const raw = { given, errMsg };
      if (simulated) Object.assign(raw, { preverify: simulated.exchange, reportsKeptHere: simulated.reports });
      end('config', errMsg === 'config:ok' ? 'ok' : 'failed', same(errMsg), raw);
    },
  };

  // Notes when the SDK calls the handlers; wx.error has one slot, which the helper fills.
  function watch(name) {
    const note = (result) => events.push({
      event: 'wx.' + name,
      errMsg: result && result.errMsg,
      milliseconds: Math.round(performance.now() - begun.config),
    });
    if (name === 'ready') return sdk.ready(note);
    const register = sdk.error;
    sdk.error = (handler) => register.call(sdk, (result) => { note(result); handler(result); });
  }

  function succeeded() {
    end('ready', 'ok', ['Called: the APIs may be used now.', '已触发：现在可以调用接口了。'], events);
    verdict('ok', ['WeChat accepted the signature', '微信接受了签名'],
      simulated ? ['config:ok (simulated WeChat)', 'config:ok（由模拟的微信判定）'] : same('config:ok'));
    return share();
  }

  function failed(error) {
    const { code, errMsg, help, problem, phase } = error;
    if (!errMsg) {
      const where = { network: 'signature', signature_refused: 'signature', sdk_unreachable: 'sdk' };
      const step = where[code] || (phase === 'bridge' ? 'config' : phase);
      if (step) end(step, 'failed', same(code), { code, phase, problem, help });
      Object.keys(STEPS).filter((name) => !STEPS[name]).forEach((name) => end(name, 'skipped', same('')));
      verdict(code === 'not_in_wechat' ? 'warning' : 'failed', CODES[code] || same(String(error)),
        same(problem ? problem.status + ' ' + problem.code : location.href));
      if (code === 'not_in_wechat') return explain(OPEN_IN_WECHAT);
      return explain([problem ? problem.detail : help || '', HELP_ZH[code] || (problem && problem.detail) || '']);
    }
    verdict('failed', same(errMsg), ['WeChat refused the signature', '微信拒绝了签名']);
    const { question, answer } = (simulated && simulated.exchange) || {};
    const diagnosis = answer && answer.diagnosis[0];
    if (mistake === 'not_following') explain(NOT_FOLLOWED);
    else if (diagnosis) explain([diagnosis.message_en, diagnosis.message_zh], diagnosis.code);
    else explain([help, HELP_ZH[code]]);
    if (question) {
      compare(simulated.hints[0], question.urls[0]);
      linkToDebugger(question, errMsg);
    } else if (error.debug) {
      document.getElementById('finding-debug').hidden = false;
      document.getElementById('debug-link').href = error.debug;
    }
    end('ready', 'warning', events.some((event) => event.event === 'wx.error') ? READY_AFTER_ERROR : READY_ALONE, events);
    return Promise.all([share(), mistake === 'foreign_host' && showRefusal()]);
  }

  // Opens the debugger with all of it filled in; a fragment stays in the browser.
  function linkToDebugger(question, errMsg) {
    const { appId, timestamp, nonceStr, signature, jsApiList } = given;
    const config = { appId, timestamp, nonceStr, signature, jsApiList, url: simulated.hints[0] };
    const asked = { url: location.href, config, realAuthUrl: question.urls, errMsg, ua: navigator.userAgent };
    const bytes = new TextEncoder().encode(JSON.stringify(asked));
    const base64 = btoa(String.fromCharCode(...bytes)).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
    document.getElementById('finding-debug').hidden = false;
    document.getElementById('debug-link').href = '/debug?lang=' + document.documentElement.lang.slice(0, 2) + '#d=' + base64;
  }

  // wxsign itself, asked to sign what the mistake signed.
  function showRefusal() {
    const address = signatureAddress(simulated.hints[0]);
    return fetch(address).then((response) => response.json()).then((problem) => {
      finding('wxsign', same(problem.status + ' ' + problem.code + ': ' + problem.detail));
    });
  }

  // On a refused page too: it shows what every API answers there.
  function share() {
    begin('share');
    const call = (name, data) => new Promise((resolve) => {
      sdk[name](Object.assign({ complete: resolve }, data));
    });
    const { title, link, imgUrl } = SHARE;
    return Promise.all([
      call('updateAppMessageShareData', SHARE),
      call('updateTimelineShareData', { title, link, imgUrl }),
    ]).then(([chat, moments]) => {
      const passed = /:ok$/.test(chat.errMsg);
      end('share', passed ? 'ok' : 'failed', same(chat.errMsg), { given: SHARE, chat, moments });
      const data = Object.assign({ ok: passed }, SHARE);
      preview((simulated && simulated.cards.chat) || data, (simulated && simulated.cards.moments) || data);
    });
  }

  // As WeChat would show what the page gave, or what it shows of a page that gave nothing.
  function preview(chat, moments) {
    [['chat', chat], ['moments', moments]].forEach(([name, data]) => {
      const card = document.querySelector('.' + name + ' .card');
      const shown = data.ok ? data : { title: document.title, desc: location.href, imgUrl: '' };
      card.classList.toggle('bare', !shown.imgUrl);
      card.title = data.ok ? data.link : WITHOUT_DATA[isChinese ? 1 : 0];
      card.querySelector('strong').textContent = shown.title;
      if (shown.imgUrl) card.querySelector('img').src = shown.imgUrl;
      if (name === 'chat') card.querySelector('.desc').textContent = shown.desc;
    });
  }

  function begin(name) {
    begun[name] = performance.now();
    state(name, 'running', '');
  }

  function end(name, outcome, note, raw) {
    STEPS[name] = outcome;
    const took = begun[name] && outcome !== 'skipped' ? ' · ' + Math.round(performance.now() - begun[name]) + ' ms' : '';
    state(name, outcome, took);
    const step = document.getElementById('step-' + name);
    say(step.querySelector('.note'), note);
    if (raw === undefined) return;
    step.dataset.raw = 'true';
    step.querySelector('pre').textContent = JSON.stringify(raw, null, 2);
  }

  function state(name, value, more) {
    const step = document.getElementById('step-' + name);
    step.dataset.state = value;
    say(step.querySelector('.state'), STATES[value].map((word) => word + more));
  }

  function verdict(value, headline, subline) {
    document.getElementById('verdict').dataset.state = value;
    say(document.getElementById('headline'), headline);
    say(document.getElementById('subline'), subline);
  }

  function explain(what, code) {
    document.getElementById('findings').hidden = false;
    const row = finding('what', what);
    if (code) row.querySelector('dt').appendChild(element('code', code));
  }

  // Shows two addresses, with what they do not share marked.
  function compare(signed, page) {
    if (signed === page) return;
    const shorter = Math.min(signed.length, page.length);
    let start = 0;
    while (start < shorter && signed[start] === page[start]) start += 1;
    let end = 0;
    while (end < shorter - start && signed.slice(-1 - end)[0] === page.slice(-1 - end)[0]) end += 1;
    [['signed', signed], ['page', page]].forEach(([name, address]) => {
      const place = finding(name, same(address.slice(0, start))).querySelector('dd');
      place.className = 'address';
      place.appendChild(element('mark', address.slice(start, address.length - end)));
      place.appendChild(element('span', address.slice(address.length - end)));
    });
  }

  function finding(name, text) {
    const row = document.getElementById('finding-' + name);
    row.hidden = false;
    say(row.querySelector('dd'), text);
    return row;
  }

  // Puts a text into the page in both languages.
  function say(place, [en, zh]) {
    const texts = en === zh ? [element('span', en)] : [element('span', en, 'en'), element('span', zh, 'zh-CN')];
    place.textContent = '';
    texts.forEach((text) => place.appendChild(text));
  }

  function same(text) {
    return [text, text];
  }

  function element(name, text, lang) {
    const made = document.createElement(name);
    made.textContent = text;
    if (lang) made.lang = lang;
    return made;
  }

  function fillLinks() {
    document.getElementById('more').search = 'lang=' + document.documentElement.lang.slice(0, 2) + '&appid=' + appid;
    if (simulated) document.getElementById('real-wechat').hidden = !simulated.inWeChat;
    document.querySelectorAll('a[data-lang], a[data-client], a[data-mistake], a[data-vconsole]').forEach((link) => {
      const { lang, client, mistake: made, vconsole = query.get('vconsole') } = link.dataset;
      const target = new URLSearchParams();
      target.set('lang', (lang || document.documentElement.lang).slice(0, 2));
      if (simulated) target.set('client', client || simulated.client);
      const chosen = made === undefined ? mistake : made;
      if (chosen) target.set('mistake', chosen);
      if (vconsole) target.set('vconsole', vconsole);
      // What WeChat appends to a shared page: an address with a query worth losing.
      if (chosen) target.set('from', 'singlemessage');
      link.href = '?' + target + (chosen === 'fragment_kept' ? FRAGMENT : '');
      const state = { lang: document.documentElement.lang, client: simulated && simulated.client, mistake };
      if (Object.keys(link.dataset).some((key) => link.dataset[key] === state[key])) {
        link.setAttribute('aria-current', 'true');
        // The row of clients is longer than a phone is wide.
        const row = link.closest('.clients');
        if (row) row.scrollLeft = link.offsetLeft - row.clientWidth / 2;
      }
      // A change of the fragment alone would not load the page anew.
      link.addEventListener('click', (event) => {
        if (link.href.split('#')[0] !== location.href.split('#')[0]) return;
        event.preventDefault();
        location.reload();
      });
    });
  }

  function fillSnippets() {
    document.getElementById('snippet-html').textContent = [
      '<script src="' + location.origin + '/static/wxsign.js"></' + 'script>',
      '<script>',
      'wxsign.watch({',
      '  onError: (error) => console.error(error.code, error.errMsg, error.help, error.debug),',
      '});',
      "wxsign.share({ title: 'Hello', desc: 'From my page', imgUrl: 'https://…/icon.png' }).catch(() => {});",
      '</' + 'script>',
    ].join('\n');
    document.getElementById('snippet-curl').textContent =
      "curl '" + location.origin + signatureAddress(location.origin + '/demo') + "'";
  }

  // For routes.js.
  window.demoPage = { say, element, preview, signatureAddress, share: { title: SHARE.title, desc: SHARE.desc, imgUrl: SHARE.imgUrl } };

  function signatureAddress(url) {
    return '/jsapi/signature?url=' + encodeURIComponent(url) + (appid ? '&appid=' + appid : '');
  }
})();
