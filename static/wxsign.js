/*
 * wxsign.js gives a page WeChat's JS-SDK, configured with a signature from wxsign.
 *
 *   <script src="https://YOUR-WXSIGN/static/wxsign.js"></script>
 *
 *   wxsign.config({ jsApiList: ['updateAppMessageShareData'] }).then(
 *     ({ wx }) => wx.updateAppMessageShareData({ title, desc, link, imgUrl }),
 *     (error) => console.error(error.code, error.errMsg, error.help));
 *
 * Options
 *   jsApiList    the APIs that the page will call
 *   openTagList  the open tags that it holds
 *   debug        the SDK alerts every answer
 *   endpoint     where to ask; default: /jsapi/signature of the server that this script is from
 *   appid        which account, when wxsign has several
 *   url          the address to sign; default: the right one for this client
 *   sdk          the SDK, when the page has it already but not as window.wx
 *   timeout      milliseconds for each phase; default 5000
 *   fetch        options for fetch(), for an endpoint of your own in front of wxsign
 *   sign         (url) => wx.config fields or their promise, instead of asking `endpoint`
 *   onStep       (name, data) => ..., told of 'sdk', 'signature', 'config' and 'answer'
 *
 * Resolves with { wx, config, url } when WeChat has accepted the signature, and only then.
 * Rejects with an Error: `code` is a key of HELP below, `help` its text, `errMsg` WeChat's words
 * or ''; and where it applies `problem` (wxsign's refusal), `phase` (what took too long),
 * `result` (WeChat's answer).
 */
(function () {
  'use strict';

  // A second copy must not forget the landing address.
  if (window.wxsign) return;

  const HELP = {
    not_in_wechat: 'Open the page in WeChat or in its developer tools.',
    sdk_unreachable: 'The JS-SDK did not load from res.wx.qq.com or res2.wx.qq.com: check the network and the script-src of the page\'s CSP.',
    network: 'wxsign did not answer: check `endpoint`, the network, and that page_hosts lists this page (else the browser withholds the answer, CORS).',
    signature_refused: 'wxsign did not sign: `problem` says why.',
    timeout: 'No answer in time: `phase` says from whom.',
    invalid_signature: 'WeChat computed another signature: compare the signed address with the page\'s up to the #, the AppID, and the age of the jsapi_ticket.',
    invalid_url_domain: 'Add the host of this page to the account\'s JS接口安全域名.',
    config_failed: '`errMsg` says what WeChat found wrong.',
  };

  // iOS goes on comparing with the address at which the page was entered, so keep it.
  const landing = withoutFragment(location.href);
  const here = document.currentScript && document.currentScript.src;
  const endpoint = new URL(here ? '../jsapi/signature' : '/jsapi/signature', here || location.href).href;

  // jweixin holds one global state: two configs at once would take each other's answers.
  let last = Promise.resolve();

  function config(options) {
    const result = last.then(() => attempt(options || {}));
    last = result.catch(() => {});
    return result;
  }

  function attempt(options) {
    // Outside WeChat wx.config does nothing at all: no ready, no error.
    if (!/micromessenger/i.test(navigator.userAgent)) throw failure('not_in_wechat');
    const timeout = options.timeout || 5000;
    const step = options.onStep || (() => {});
    const url = withoutFragment(options.url || (isIos() ? landing : location.href));
    const loading = loadSdk(options.sdk, timeout).then((sdk) => (step('sdk', sdk), sdk));
    const signing = within(timeout, 'signature', () => fetchSignature(options, url))
      .then((fields) => (step('signature', fields), fields));
    return Promise.all([loading, signing]).then(([sdk, fields]) => {
      const config = {
        debug: !!options.debug,
        appId: fields.appId,
        timestamp: fields.timestamp,
        nonceStr: fields.nonceStr,
        signature: fields.signature,
        // jweixin renames entries in the arrays that it is given, so it gets its own.
        jsApiList: (options.jsApiList || []).slice(),
        openTagList: (options.openTagList || []).slice(),
      };
      return within(timeout, 'bridge', bridgeReady)
        .then(() => {
          step('config', JSON.parse(JSON.stringify(config)));
          return within(timeout, 'config', () => configure(sdk.wx, config));
        })
        .then((answer) => {
          step('answer', answer);
          return { wx: sdk.wx, config, url };
        }, (error) => {
          step('answer', error.result);
          throw error;
        });
    });
  }

  function loadSdk(given, timeout) {
    const wx = given || window.jWeixin || window.wx;
    if (wx && typeof wx.config === 'function') return Promise.resolve({ wx, src: '' });
    const from = (host) => within(timeout, 'sdk', () => loadScript(host + '/open/js/jweixin-1.6.0.js'));
    return from('//res.wx.qq.com').catch(() => from('//res2.wx.qq.com'))
      .catch(() => { throw failure('sdk_unreachable'); });
  }

  function loadScript(src) {
    return new Promise((resolve, reject) => {
      const script = document.createElement('script');
      // Beside an AMD or CMD loader jweixin hands itself to define() and sets no window.wx; so
      // take that one call, pass on others.
      const define = window.define;
      const taker = define && Object.assign(function (factory) {
        if (document.currentScript !== script) return define.apply(this, arguments);
        // Parts of jweixin rely on the global all the same. A second copy makes nothing.
        window.jWeixin = factory() || window.jWeixin;
        window.wx = window.jWeixin;
      }, define);
      const end = () => {
        if (taker && window.define === taker) window.define = define;
        if (window.jWeixin) resolve({ wx: window.jWeixin, src: script.src });
        else reject(failure('sdk_unreachable'));
      };
      script.onload = script.onerror = end;
      script.async = true;
      script.src = src;
      if (taker) window.define = taker;
      document.head.appendChild(script);
    });
  }

  function fetchSignature(options, url) {
    if (options.sign) return Promise.resolve(options.sign(url));
    const base = options.endpoint || endpoint;
    const ask = base + (base.indexOf('?') < 0 ? '?' : '&') + 'url=' + encodeURIComponent(url) +
      (options.appid ? '&appid=' + encodeURIComponent(options.appid) : '');
    return fetch(ask, options.fetch).then(
      (response) => response.json().catch(() => ({})).then((body) => {
        if (response.ok && body.signature) return body;
        // A proxy's error page, or an application's own HTML for every path.
        const foreign = { status: response.status, title: 'Not an answer of wxsign', detail: ask };
        throw failure('signature_refused', { problem: body.code ? body : foreign });
      }),
      () => { throw failure('network'); });
  }

  function bridgeReady() {
    return new Promise((resolve) => {
      if (window.WeixinJSBridge) resolve();
      else document.addEventListener('WeixinJSBridgeReady', resolve, { once: true });
    });
  }

  /*
   * jweixin's events do not tell whether a config passed: `ready` comes after failures too, and
   * at once when an earlier config has ended; `error` never comes from version 10 on, because
   * "10.0" < "6.0.2" as texts. But jweixin writes its verdict (errMsg) into the bridge's answer,
   * so look there. Where the bridge cannot be overheard, `error` decides, then an API call.
   */
  function configure(wx, config) {
    return new Promise((resolve, reject) => {
      const judge = (result) => {
        if (/:ok$/.test(result.errMsg)) resolve(result);
        else reject(refusal(result));
      };
      let asked = false;
      // Before the call it may bring an older failure.
      wx.error((result) => { if (asked) judge(result); });
      const overheard = overhear(judge, () => {
        asked = true;
        wx.config(config);
      });
      if (!overheard) wx.ready(() => probe(wx, config.jsApiList, judge));
    });
  }

  // Runs `act`; `hear` gets the bridge's answer to its preVerifyJSAPI, after the SDK. Tells
  // whether there was such a call; the bridge is as before when this returns.
  function overhear(hear, act) {
    const bridge = window.WeixinJSBridge;
    const invoke = bridge.invoke;
    let heard = false;
    const ear = function (name, params, callback) {
      if (name !== 'preVerifyJSAPI') return invoke.apply(bridge, arguments);
      heard = true;
      return invoke.call(bridge, name, params, (answer) => {
        try { callback(answer); } finally { hear(answer); }
      });
    };
    try { bridge.invoke = ear; } catch (frozen) { /* then nothing is heard */ }
    try { act(); } finally { if (bridge.invoke === ear) bridge.invoke = invoke; }
    return heard;
  }

  // Without a passed config every API fails: "the permission value is offline verifying".
  function probe(wx, jsApiList, judge) {
    wx.checkJsApi({
      jsApiList: jsApiList.slice(),
      complete: (result) => {
        const usable = result.checkResult || {};
        const none = jsApiList.length && !Object.keys(usable).some((name) => usable[name]);
        const passed = /:ok$/.test(result.errMsg) && !none;
        judge({ errMsg: passed ? 'config:ok' : 'config:fail', probe: result });
      },
    });
  }

  function refusal(result) {
    const said = String(result.errMsg).toLowerCase();
    const code = said.indexOf('invalid signature') >= 0 ? 'invalid_signature'
      : said.indexOf('invalid url domain') >= 0 ? 'invalid_url_domain' : 'config_failed';
    return failure(code, { errMsg: result.errMsg, result });
  }

  function failure(code, more) {
    const details = Object.assign({ code, errMsg: '', help: HELP[code] }, more);
    const why = details.errMsg || details.phase || (details.problem && details.problem.code);
    return Object.assign(new Error(code + (why ? ' (' + why + ')' : '') + '. ' + HELP[code]), details);
  }

  function within(milliseconds, phase, start) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(failure('timeout', { phase })), milliseconds);
      const end = (settle) => (value) => { clearTimeout(timer); settle(value); };
      start().then(end(resolve), end(reject));
    });
  }

  function isIos() {
    // An iPad calls itself a Mac; Macs have no touch screen.
    return /iphone|ipad|ipod/i.test(navigator.userAgent) ||
      (/mac/i.test(navigator.platform) && navigator.maxTouchPoints > 2);
  }

  function withoutFragment(url) {
    return url.split('#')[0];
  }

  window.wxsign = { config };
})();
