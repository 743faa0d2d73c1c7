/*
 * simulated-client.js makes this browser look like WeChat to the page: the user agent, the bridge
 * WeixinJSBridge, and the checks behind it, which the simulator does (POST /simulator/preverify).
 * The real JS-SDK runs on it unchanged. Only for the demo page.
 *
 * Load it before every other script. `?client=android|ios|v10` chooses which WeChat.
 * It leaves window.simulatedWeChat:
 *   client     the choice
 *   inWeChat   whether this browser is the real WeChat
 *   exchange   the last question to the simulator and its answer
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
  const AGENTS = {
    android: ANDROID('8.0.47.2560(0x28002F30)'),
    ios: 'Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, ' +
      'like Gecko) Mobile/15E148 MicroMessenger/8.0.47(0x18002f2b) NetType/WIFI Language/zh_CN',
    v10: ANDROID('10.0.1.2560(0x2A000130)'),
  };

  const asked = new URLSearchParams(location.search).get('client');
  const client = Object.prototype.hasOwnProperty.call(AGENTS, asked) ? asked : 'android';
  const simulated = {
    client,
    inWeChat: /micromessenger/i.test(navigator.userAgent),
    exchange: null,
    hints: [],
    reports: [],
    wx: minimalWx(),
  };
  const landing = location.href.split('#')[0];
  // The APIs that the last verification opened, in the bridge's own spelling; null: none passed.
  let granted = null;

  Object.defineProperty(navigator, 'userAgent', { get: () => AGENTS[client] });
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
    if (!granted) return answer(name + ':fail, the permission value is offline verifying');
    if (name === 'checkJsApi') return answer('checkJsApi:ok', { checkResult: checkResult(params.jsApiList) });
    if (granted.indexOf(name) < 0) return answer('system:access_denied');
    return answer(name + ':ok');
  }

  function preVerify(params) {
    const question = {
      appId: params.verifyAppId,
      timestamp: params.verifyTimestamp,
      nonceStr: params.verifyNonceStr,
      signature: params.verifySignature,
      signType: params.verifySignType,
      jsApiList: params.verifyJsApiList || [],
      openTagList: params.verifyOpenTagList || [],
      urls: [location.href.split('#')[0], landing],
      hints: simulated.hints.slice(),
    };
    simulated.exchange = { question, answer: null };
    granted = null;
    return fetch('/simulator/preverify', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(question),
    }).then((response) => response.json()).then((answer) => {
      simulated.exchange.answer = answer;
      if (!answer.ok) return { err_msg: answer.bridge_err_msg, realAuthUrl: question.urls };
      const denied = answer.denied || [];
      granted = question.jsApiList.filter((name) => denied.indexOf(name) < 0);
      return { err_msg: answer.bridge_err_msg };
    }).catch(() => ({ err_msg: 'pre_verify_jsapi:fail' }));
  }

  function checkResult(names) {
    const result = {};
    (names || []).forEach((name) => { result[name] = granted.indexOf(name) >= 0; });
    // Android answers such fields as text.
    return client === 'ios' ? result : JSON.stringify(result);
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
      wx[name] = (options) => call(name, { jsApiList: options.jsApiList }, (answer) => {
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
