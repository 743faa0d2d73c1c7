/*
 * wxsign gives a page WeChat's JS-SDK, configured with a signature from wxsign.
 *
 *   import { config, share, watch } from './wxsign.mjs';
 *
 * Served as wxsign.js too: this file in a function, its exports in window.wxsign. What the options,
 * results and errors are is in wxsign.d.ts. On a server, loading it does nothing.
 *
 * A refusal of WeChat's carries `debug`, a link to wxsign's /debug with everything filled in: its
 * fragment is #d= and the base64, encoded as in a query, of the JSON (UTF-8) of { url, config,
 * realAuthUrl, errMsg, ua }: the signed address, what wx.config got, WeChat's list of addresses or
 * null, its words, the user agent. Fragments are not sent to any server.
 */

const HELP = {
  not_in_wechat: 'Open the page in WeChat.',
  sdk_unreachable: 'The JS-SDK did not load from res.wx.qq.com or res2.wx.qq.com: check the network and the CSP.',
  network: 'wxsign did not answer: check `endpoint`, the network, and page_hosts (CORS).',
  timeout: 'No answer in time: `phase` says from whom.',
  invalid_signature: 'WeChat computed another signature: open `debug`.',
  invalid_url_domain: 'Add the host of this page to JS接口安全域名.',
};

const SHARING = ['updateAppMessageShareData', 'updateTimelineShareData', 'onMenuShareAppMessage', 'onMenuShareTimeline'];
// How long a route must rest before it is worth a signature, in milliseconds.
const REST = 50;
// What wxsign gets for asking WeChat for the ticket.
const TICKET_CHECK = 1500;
// A client may name ever new addresses.
const MOST_ADDRESSES = 5;
const SUPERSEDED = {};

const page = typeof window === 'undefined' ? null : window;
const here = import.meta.url;
// iOS goes on comparing with the address at which the page was entered, so keep it. A copy that is
// loaded later has the first one's.
const landing = page ? (page.wxsign || {}).landing || cut(location.href) : '';

// jweixin holds one global state: two configs at once would take each other's answers.
let last = Promise.resolve();
// The promise of the config that ended last, at first that of one to come.
let begin;
let ended = new Promise((resolve) => { begin = resolve; });
ended.catch(() => {});
// That of the newest one.
let newest = ended;
// What WeChat accepted when there was a choice: the landing address, or the then current one.
let works;
let shareData;
let shared = {};
// Counts what watch() began, or ended; only the last of it is still wanted.
let round = 0;
// Called when the address may have changed, and with true when the page comes out of the
// back-forward cache.
let notice;

function config(options) {
  return enqueue(whole(options), () => false);
}

function ready() {
  return newest;
}

function share(data) {
  shareData = data;
  return newest.then(applyShare);
}

function watch({ onConfig = () => {}, onError = console.error, ...rest } = {}) {
  const options = whole(rest);
  // The component that shares may come when this has long ended.
  options.jsApiList = options.jsApiList.concat(SHARING);
  let href = page && location.href;
  const configure = (after) => {
    const mine = round += 1;
    const stale = () => mine !== round;
    enqueue(options, stale, after).then((result) => stale() || onConfig(result), (error) => stale() || onError(error));
  };
  const own = (restored) => {
    const moved = cut(href) !== cut(location.href);
    if (href === location.href && !restored) return;
    href = location.href;
    if (restored || (moved && (options.openTagList[0] || !staysAtLanding(options)))) return configure(REST);
    // The permissions stay with the landing address; where they do not after all, get new ones.
    const mine = round;
    pause(REST).then(() => newest)
      .then((result) => (shareData ? applyShare(result) : probe(result.wx, result.config.jsApiList)))
      .catch((error) => {
        // An account may lack a permission: then a new config brings none either.
        if (moved && mine === round && (!works || /offline/.test(error.errMsg))) configure(REST);
      });
  };
  if (inWeChat() && !notice) listen();
  notice = own;
  configure(0);
  return () => {
    if (notice !== own) return;
    notice = () => {};
    round += 1;
  };
}

function listen() {
  const changed = () => notice();
  page.addEventListener('pageshow', (event) => { if (event.persisted) notice(true); });
  // Without that API, window.navigation may be an element with this id.
  const { navigation } = page;
  if (navigation && navigation.currentEntry) return navigation.addEventListener('currententrychange', changed);
  page.addEventListener('popstate', changed);
  page.addEventListener('hashchange', changed);
  ['pushState', 'replaceState'].forEach((name) => {
    const original = history[name];
    history[name] = function () {
      original.apply(this, arguments);
      notice();
    };
  });
}

function whole({ timeout = 5000, onStep = () => {}, jsApiList = SHARING, openTagList = [], ...others } = {}) {
  return { timeout, onStep, jsApiList, openTagList, ...others };
}

function enqueue(options, stale, after) {
  const run = last.then(async () => {
    if (!stale() && after) await pause(after);
    return attempt(options, stale);
  });
  last = run.then((done) => { if (shareData) applyShare(done).catch(() => {}); }).catch(() => {});
  const end = (error) => { if (error !== SUPERSEDED) begin(ended = run); };
  run.then(end, end);
  // Whoever waits for a config that a newer one has replaced gets that one.
  const result = newest = run.catch((error) => {
    if (error !== SUPERSEDED) throw error;
    // Nothing has replaced what was only ended.
    if (newest === result) newest = ended;
    return newest;
  });
  return result;
}

async function attempt(options, stale) {
  if (stale()) throw SUPERSEDED;
  // Outside WeChat wx.config does nothing at all: no ready, no error.
  if (!inWeChat()) throw failure('not_in_wechat');
  const loading = loadSdk(options).then((sdk) => (options.onStep('sdk', sdk), sdk));
  const tried = [];
  let checked = options.sign;
  let url = cut(options.url || (staysAtLanding(options) ? landing : location.href));
  for (;;) {
    tried.push(url);
    try {
      const result = await once(options, url, loading, stale);
      const current = cut(location.href);
      if (current !== landing && [current, landing].includes(url)) works = url;
      return result;
    } catch (error) {
      if (stale()) throw SUPERSEDED;
      if (error.code !== 'invalid_signature' || tried.length >= MOST_ADDRESSES) throw error;
      const real = realAddresses(error.result);
      url = real.concat(landing, cut(location.href)).find((one) => !tried.includes(one));
      if (!url && !checked) {
        checked = true;
        if (await reportTicket(options, tried[0], error.errMsg)) url = real[0] || tried[0];
      }
      if (!url) throw error;
    }
  }
}

async function once(options, url, loading, stale) {
  const { timeout, onStep } = options;
  const signing = within(timeout, 'signature', () => fetchSignature(options, url))
    .then((fields) => (onStep('signature', fields), fields));
  const [sdk, fields] = await Promise.all([loading, signing]);
  await within(timeout, 'bridge', bridgeReady);
  if (stale()) throw SUPERSEDED;
  const settings = {
    debug: !!options.debug,
    appId: fields.appId,
    timestamp: fields.timestamp,
    nonceStr: fields.nonceStr,
    signature: fields.signature,
    // What share() was called for before this may not have been thought of.
    jsApiList: [...new Set(options.jsApiList.concat(shareData ? SHARING : []))],
    openTagList: options.openTagList,
  };
  // jweixin renames entries in the arrays that it is given, so it gets its own.
  const copy = () => JSON.parse(JSON.stringify(settings));
  onStep('config', copy());
  try {
    onStep('answer', await within(timeout, 'config', () => configure(sdk.wx, copy())));
  } catch (error) {
    onStep('answer', error.result);
    if (error.errMsg) error.debug = debugLink(options, url, settings, error);
    throw error;
  }
  return { wx: sdk.wx, config: copy(), url };
}

function loadSdk({ sdk, timeout }) {
  const wx = sdk || page.jWeixin || page.wx;
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
    const define = page.define;
    const taker = define && Object.assign(function (factory) {
      if (document.currentScript !== script) return define.apply(this, arguments);
      // Parts of jweixin rely on the global all the same. A second copy makes nothing.
      page.jWeixin = factory() || page.jWeixin;
      page.wx = page.jWeixin;
    }, define);
    script.onload = script.onerror = () => {
      if (taker && page.define === taker) page.define = define;
      if (page.jWeixin) resolve({ wx: page.jWeixin, src: script.src });
      else reject(failure('sdk_unreachable'));
    };
    script.async = true;
    script.src = src;
    if (taker) page.define = taker;
    document.head.appendChild(script);
  });
}

// Of the wxsign that this file is from; a copy of the file asks the page's own server.
function endpoint(options) {
  const own = /^http.*\/static\/wxsign\.m?js/.test(here) ? new URL('../jsapi/signature', here) : '/jsapi/signature';
  return new URL(options.endpoint || own, location.href);
}

async function fetchSignature(options, url) {
  if (options.sign) return options.sign(url);
  const asked = endpoint(options);
  asked.search += (asked.search ? '&' : '?') + 'url=' + encodeURIComponent(url) +
    (options.appid ? '&appid=' + encodeURIComponent(options.appid) : '');
  const response = await fetch(asked.href, options.fetch).catch(() => { throw failure('network'); });
  const body = await response.json().catch(() => ({}));
  if (response.ok && body.signature) return body;
  // Else it is a proxy's error page, or an application's own HTML for every path.
  const { status } = response;
  throw failure('signature_refused', { problem: body.code ? body : { status, detail: 'not from wxsign: ' + asked } });
}

// Has wxsign look whether it signs with a ticket that WeChat has replaced. Tells whether it will.
async function reportTicket(options, url, errMsg) {
  const body = JSON.stringify({ url, appid: options.appid, errMsg });
  const ask = () => fetch(new URL('report', endpoint(options)).href, { ...options.fetch, method: 'POST', body });
  const { ok } = await within(options.timeout, 'report', ask).catch(() => ({}));
  if (ok) await pause(TICKET_CHECK);
  return ok;
}

function bridgeReady() {
  return new Promise((resolve) => {
    if (page.WeixinJSBridge) resolve();
    else document.addEventListener('WeixinJSBridgeReady', resolve, { once: true });
  });
}

/*
 * jweixin's events do not tell whether a config passed: `ready` comes after failures too, and
 * at once when an earlier config has ended; `error` never comes from version 10 on, because
 * "10.0" < "6.0.2" as texts. But jweixin writes its verdict (errMsg) into the bridge's answer,
 * so look there. Where the bridge cannot be overheard, `error` decides, then an API call.
 */
function configure(wx, settings) {
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
      wx.config(settings);
    });
    if (!overheard) wx.ready(() => probe(wx, settings.jsApiList).then(resolve, reject));
  });
}

// Runs `act`; `hear` gets the bridge's answer to its preVerifyJSAPI, after the SDK. Tells
// whether there was such a call; the bridge is as before when this returns.
function overhear(hear, act) {
  const bridge = page.WeixinJSBridge;
  const invoke = bridge.invoke;
  let heard = false;
  const ear = function (name, params, callback) {
    if (name !== 'preVerifyJSAPI') return invoke.apply(bridge, arguments);
    heard = true;
    return invoke.call(bridge, name, params, (answer) => {
      try { callback(answer); } finally { hear(answer); }
    });
  };
  // If it is frozen, nothing is heard.
  try { bridge.invoke = ear; } catch (frozen) {}
  try { act(); } finally { if (bridge.invoke === ear) bridge.invoke = invoke; }
  return heard;
}

// Without a passed config every API fails: "the permission value is offline verifying".
function probe(wx, jsApiList) {
  return new Promise((resolve, reject) => {
    wx.checkJsApi({
      jsApiList: jsApiList.slice(),
      complete: (result) => {
        const usable = result.checkResult || {};
        const none = jsApiList.length && !Object.keys(usable).some((name) => usable[name]);
        if (/:ok$/.test(result.errMsg) && !none) resolve({ errMsg: 'config:ok', probe: result });
        else reject(refusal({ errMsg: 'config:fail', probe: result }));
      },
    });
  });
}

// Gives the share data to WeChat, once for each config and address.
function applyShare(result) {
  const { wx } = result;
  const href = location.href;
  if (shared.result !== result || shared.data !== shareData || shared.href !== href) {
    const card = { link: href, ...shareData };
    const done = Promise.all([offer(wx, SHARING[0], SHARING[2], card), offer(wx, SHARING[1], SHARING[3], card)]);
    shared = { result, data: shareData, href, done };
  }
  return shared.done;
}

function offer(wx, name, older, card) {
  return within(5000, 'share', () => new Promise((resolve, reject) => {
    const fail = (answer) => {
      if (!/not exist/.test(answer.errMsg) || !wx[older]) return reject(failure('share_failed', { errMsg: answer.errMsg }));
      // It calls back only when the reader shares the page.
      wx[older]({ ...card });
      resolve({ errMsg: older + ':ok' });
    };
    if (wx[name]) wx[name]({ ...card, success: resolve, fail });
    else fail({ errMsg: name + ':function not exist' });
  }));
}

// The addresses that the client says it compared.
function realAddresses(result) {
  let list = result && result.realAuthUrl;
  // Android answers some lists as text; a text that is none is an address.
  try { if (typeof list === 'string') list = JSON.parse(list); } catch (other) {}
  return [].concat(list || []).map((one) => cut(String(one))).filter((one) => (one + '/').startsWith(location.origin + '/'));
}

function debugLink(options, url, settings, error) {
  const { realAuthUrl = null } = error.result;
  const json = JSON.stringify({ url, config: settings, realAuthUrl, errMsg: error.errMsg, ua: navigator.userAgent });
  const data = btoa(String.fromCharCode(...new TextEncoder().encode(json)));
  return new URL('../debug#d=' + encodeURIComponent(data), endpoint(options)).href;
}

function refusal(result) {
  const said = String(result.errMsg).toLowerCase();
  const code = said.includes('invalid signature') ? 'invalid_signature'
    : said.includes('invalid url domain') ? 'invalid_url_domain' : 'config_failed';
  return failure(code, { errMsg: result.errMsg, result });
}

function failure(code, more) {
  const details = { code, errMsg: '', help: HELP[code] || '`errMsg` or `problem` says why.', ...more };
  const { errMsg, phase, problem = {}, help } = details;
  return Object.assign(new Error([code, errMsg || phase || problem.code, help].join(' ')), details);
}

function within(milliseconds, phase, start) {
  const late = pause(milliseconds).then(() => { throw failure('timeout', { phase }); });
  return Promise.race([start(), late]);
}

function pause(milliseconds) {
  return new Promise((resolve) => { setTimeout(resolve, milliseconds); });
}

function inWeChat() {
  return !!page && /micromessenger/i.test(navigator.userAgent);
}

// Open tags are permitted to one address, so the manual wants the present one signed; where iOS
// refuses that, `works` remembers.
function staysAtLanding({ openTagList }) {
  if (works) return works === landing;
  // An iPad calls itself a Mac; Macs have no touch screen.
  return !openTagList[0] && (/iphone|ipad|ipod/i.test(navigator.userAgent) ||
    (/mac/i.test(navigator.platform) && navigator.maxTouchPoints > 2));
}

function cut(url) {
  return url.split('#')[0];
}

export { config, watch, share, ready, landing };
