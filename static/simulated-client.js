/*
 * simulated-client.js makes this browser look like WeChat to the page: the user agent, the bridge
 * WeixinJSBridge, and the checks behind it, which the simulator does (POST /simulator/preverify).
 * The real JS-SDK runs on it unchanged. Only for the demo page.
 *
 * Load it before every other script. `?client=`, or data-client of its script element, chooses
 * which WeChat: a key of CLIENTS. They compare the signed address with different ones:
 *   landing    that at which the page was entered
 *   current    the present one
 *   either     one of both
 * and open the APIs for that address alone (`either`: for the present one).
 * It leaves window.simulatedWeChat:
 *   client     the choice
 *   policy     which address it compares with
 *   inWeChat   whether this browser is the real WeChat
 *   exchange   the last question to the simulator and its answer
 *   answers    what the page was told of each wx.config
 *   shares     what it gave to be shared, and whether that was accepted
 *   cards      the newest of them whole, for `chat` and for `moments`
 *   onShare    called after each
 *   following  set to false: the account is a test account that this user does not follow
 *   hints      addresses that may have been signed; they sharpen the diagnosis
 *   reports    what the SDK wanted to tell open.weixin.qq.com; it was kept from leaving
 *   wx         a minimal stand-in for the SDK, for when its real file cannot be loaded
 */
(function () {
  'use strict';

  const ANDROID = (version) => 'Mozilla/5.0 (Linux; Android 13; Pixel 7) AppleWebKit/537.36 ' +
    '(KHTML, like Gecko) Version/4.0 Chrome/116.0.0.0 Mobile Safari/537.36 XWEB/1160065 ' +
    'MMWEBSDK/20231202 MMWEBID/1 MicroMessenger/' + version +
    ' WeChat/arm64 Weixin NetType/WIFI Language/zh_CN ABI/arm64';
  const APPLE = (device, rest) => 'Mozilla/5.0 (' + device + ') AppleWebKit/605.1.15 (KHTML, like Gecko) ' + rest;
  const IPHONE = 'iPhone; CPU iPhone OS 17_4 like Mac OS X';
  const MAC = 'Macintosh; Intel Mac OS X 10_15_7';
  const MOBILE = 'Mobile/15E148 MicroMessenger/8.0.47(0x18002f2b) NetType/WIFI Language/zh_CN';
  const CLIENTS = {
    android: { agent: ANDROID('8.0.47.2560(0x28002F30)'), platform: 'Linux armv8l', touch: 5, policy: 'either' },
    ios: { agent: APPLE(IPHONE, MOBILE), platform: 'iPhone', touch: 5, policy: 'landing' },
    ipad: { agent: APPLE(MAC, MOBILE), platform: 'MacIntel', touch: 5, policy: 'landing' },
    mac: {
      agent: APPLE(MAC, 'MicroMessenger/6.8.0(0x16080000) MacWechat/3.8.7(0x13080710) XWEB/1191 Flue'),
      platform: 'MacIntel',
      touch: 0,
      policy: 'current',
    },
    windows: {
      agent: 'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/116.0.0.0 ' +
        'Safari/537.36 NetType/WIFI MicroMessenger/7.0.20.1781(0x6700143B) WindowsWechat(0x63090a13) XWEB/9129 Flue',
      platform: 'Win32',
      touch: 0,
      policy: 'current',
    },
    devtools: {
      agent: APPLE(IPHONE, 'Version/13.0.3 Mobile/15E148 Safari/604.1 wechatdevtools/1.06.2307260 ' +
        'MicroMessenger/8.0.5 Language/zh_CN webview/'),
      platform: 'MacIntel',
      touch: 0,
      policy: 'current',
    },
    miniprogram: {
      agent: ANDROID('8.0.47.2560(0x28002F30)') + ' miniProgram/wx0123456789abcdef',
      platform: 'Linux armv8l',
      touch: 5,
      policy: 'either',
    },
    v10: { agent: ANDROID('10.0.1.2560(0x2A000130)'), platform: 'Linux armv8l', touch: 5, policy: 'current' },
  };

  const CARDS = { updateAppMessageShareData: 'chat', updateTimelineShareData: 'moments' };

  const asked = new URLSearchParams(location.search).get('client') || document.currentScript.dataset.client;
  const client = Object.prototype.hasOwnProperty.call(CLIENTS, asked) ? asked : 'android';
  const { agent, platform, touch, policy } = CLIENTS[client];
  const simulated = {
    client,
    policy,
    inWeChat: /micromessenger/i.test(navigator.userAgent),
    exchange: null,
    answers: [],
    shares: [],
    cards: {},
    onShare() {},
    following: true,
    hints: [],
    reports: [],
    wx: minimalWx(),
  };
  const landing = location.href.split('#')[0];
  // The APIs that a verification opened, in the bridge's own spelling, by the address of the page.
  const grants = {};

  const shown = { userAgent: agent, platform, maxTouchPoints: touch };
  Object.keys(shown).forEach((name) => Object.defineProperty(navigator, name, { get: () => shown[name] }));
  // The web view of iOS has no Navigation API.
  if (policy === 'landing') Object.defineProperty(window, 'navigation', { value: undefined });
  if (client === 'miniprogram') window.__wxjs_environment = 'miniprogram';
  keepReportsHere();
  install();
  // A real WeChat announces a bridge of its own, which would refuse what the simulator signs.
  document.addEventListener('WeixinJSBridgeReady', () => { window.WeixinJSBridge = bridge(); }, true);

  function install() {
    // The real bridge comes after the page's first scripts, so the simulated one does too.
    setTimeout(() => {
      window.WeixinJSBridge = bridge();
      document.dispatchEvent(new Event('WeixinJSBridgeReady'));
    }, 20);
  }

  function bridge() {
    return { invoke, on() {}, call() {} };
  }

  function invoke(name, params, callback) {
    const answer = (message, more) => setTimeout(() => callback(Object.assign({ err_msg: message }, more)), 0);
    if (name === 'preVerifyJSAPI') return preVerify(params).then(callback);
    // Real clients answer this one whether or not a config has passed.
    if (name === 'getNetworkType') return answer('network_type:wifi');
    const granted = grants[place()];
    if (CARDS[name]) keepCard(name, params, !!granted && granted.indexOf(name) >= 0);
    if (!granted) return answer(name + ':fail, the permission value is offline verifying');
    if (name === 'checkJsApi') return answer('checkJsApi:ok', { checkResult: checkResult(params.jsApiList, granted) });
    if (granted.indexOf(name) < 0) return answer('system:access_denied');
    return answer(name + ':ok');
  }

  function keepCard(name, { title, desc, link, imgUrl }, ok) {
    simulated.cards[CARDS[name]] = { title, desc, link, imgUrl, ok };
    if (CARDS[name] !== 'chat') return;
    simulated.shares.push({ link, title, ok });
    setTimeout(() => simulated.onShare(), 0);
  }

  // The address whose permissions count.
  function place() {
    return policy === 'landing' ? landing : current();
  }

  function current() {
    return location.href.split('#')[0];
  }

  function preVerify(params) {
    const page = place();
    const compared = policy === 'either' ? [page, landing] : [page];
    const question = {
      appId: params.verifyAppId,
      timestamp: params.verifyTimestamp,
      nonceStr: params.verifyNonceStr,
      signature: params.verifySignature,
      signType: params.verifySignType,
      jsApiList: params.verifyJsApiList || [],
      openTagList: params.verifyOpenTagList || [],
      urls: compared,
      hints: simulated.hints.concat([current(), landing].filter((one) => compared.indexOf(one) < 0)),
    };
    simulated.exchange = { question, answer: null };
    delete grants[page];
    const told = (answer) => {
      simulated.answers.push(answer.err_msg || answer.errMsg);
      return answer;
    };
    return fetch('/simulator/preverify', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(question),
    }).then((response) => response.json()).then((answer) => {
      simulated.exchange.answer = answer;
      if (!answer.ok) return refusal(answer);
      if (!simulated.following) return { err_msg: 'pre_verify_jsapi:fail_require subscribe' };
      const denied = answer.denied || [];
      grants[page] = question.jsApiList.filter((name) => denied.indexOf(name) < 0);
      return { err_msg: answer.bridge_err_msg };
    }).catch(() => ({ err_msg: 'pre_verify_jsapi:fail' })).then(told);
  }

  function refusal(answer) {
    // The developer tools answer in the words of the page, which the SDK passes on.
    if (client === 'devtools') return { errMsg: 'config:fail,Error: 系统错误，错误码：63002,' + answer.errmsg + ' []' };
    const more = /Android/.test(agent) ? { realAuthUrl: [current(), landing] } : {};
    return Object.assign({ err_msg: answer.bridge_err_msg }, more);
  }

  function checkResult(names, granted) {
    const result = {};
    (names || []).forEach((name) => { result[name] = granted.indexOf(name) >= 0; });
    // Android answers such fields as text.
    return /Android/.test(agent) ? JSON.stringify(result) : result;
  }

  // After each config the SDK reports the page's address to Tencent through an image.
  function keepReportsHere() {
    const src = Object.getOwnPropertyDescriptor(HTMLImageElement.prototype, 'src');
    Object.defineProperty(HTMLImageElement.prototype, 'src', Object.assign({}, src, {
      set(url) {
        if (/^https?:\/\/open\.weixin\.qq\.com\//.test(url)) simulated.reports.push(url);
        else src.set.call(this, url);
      },
    }));
  }

  // As much of the SDK as the demo page calls, with its order of events: error, then ready.
  function minimalWx() {
    const APIS = ['checkJsApi', 'getNetworkType', 'updateAppMessageShareData', 'updateTimelineShareData'];
    let fields = {};
    let ended = false;
    let waiting = [];
    let onError = () => {};
    const call = (name, params, end) => window.WeixinJSBridge.invoke(name, Object.assign({}, params, {
      verifyAppId: fields.appId,
      verifySignType: 'sha1',
      verifyTimestamp: String(fields.timestamp),
      verifyNonceStr: fields.nonceStr,
      verifySignature: fields.signature,
    }), (answer) => {
      if (answer.errMsg) return end(answer);
      const said = answer.err_msg.slice(answer.err_msg.indexOf(':') + 1).replace(/^fail_/, '').replace(/_/g, ' ');
      answer.errMsg = (name === 'preVerifyJSAPI' ? 'config' : name) + ':' +
        (said === 'access denied' ? 'permission denied' : said);
      end(answer);
    });
    const wx = {
      config(given) {
        fields = given;
        const names = { verifyJsApiList: given.jsApiList, verifyOpenTagList: given.openTagList };
        call('preVerifyJSAPI', names, (answer) => {
          ended = true;
          if (answer.errMsg !== 'config:ok') onError(answer);
          waiting.splice(0).forEach((ready) => ready());
        });
      },
      ready(callback) { if (ended) callback(); else waiting.push(callback); },
      error(callback) { onError = callback; },
    };
    APIS.forEach((name) => {
      wx[name] = (options) => call(name, JSON.parse(JSON.stringify(options)), (answer) => {
        if (typeof answer.checkResult === 'string') answer.checkResult = JSON.parse(answer.checkResult);
        const end = /:(ok|wifi)$/.test(answer.errMsg) ? options.success : options.fail;
        if (end) end(answer);
        if (options.complete) options.complete(answer);
      });
    });
    return wx;
  }

  window.simulatedWeChat = simulated;
})();
