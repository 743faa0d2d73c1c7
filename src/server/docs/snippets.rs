//! Code for pages, ready to be pasted.

use crate::account::AppId;

/// What stands for the server's address.
const ADDRESS: &str = "https://YOUR-WXSIGN";

/// What stands for the account's AppID.
const APPID: &str = "YOUR-APPID";

/// Code, and what to do with it.
pub(super) struct Snippet {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) title_zh: &'static str,
    pub(super) about: &'static str,
    pub(super) about_zh: &'static str,
    /// The language that it is in.
    pub(super) kind: &'static str,
    pub(super) code: String,
}

/// All of them, for the account `appid` of the server at `address`.
pub(super) fn snippets(address: &str, appid: &AppId) -> Vec<Snippet> {
    let templates = match appid.wecom() {
        None => &SNIPPETS[..],
        Some(_) => &OF_WECOM[..],
    };
    let appid = appid.as_str();
    let filled = templates.iter().map(|(id, titles, about, code)| Snippet {
        id,
        title: titles[0],
        title_zh: titles[1],
        about: about[0],
        about_zh: about[1],
        kind: if code.trim_start().starts_with('<') {
            "HTML"
        } else {
            "JavaScript"
        },
        code: code.trim().replace(ADDRESS, address).replace(APPID, appid),
    });
    filled.collect()
}

type Template = (
    &'static str,
    [&'static str; 2],
    [&'static str; 2],
    &'static str,
);

const SNIPPETS: [Template; 7] = [
    (
        "classic",
        ["Plain HTML", "普通页面"],
        [
            "Two script tags, before every other script. It holds for all routes of a page.",
            "两个 script 标签，放在其他脚本之前；路由变化也由它处理。",
        ],
        r#"
<script src="https://YOUR-WXSIGN/static/wxsign.js"></script>
<script>
  wxsign.watch({
    appid: 'YOUR-APPID',
    onError: (error) => console.error(error.code, error.errMsg, error.help, error.debug),
  });
  wxsign.share({ title: 'Hello', desc: 'From my page', imgUrl: location.origin + '/icon.png' }).catch(() => {});
</script>
"#,
    ),
    (
        "module",
        ["As a module", "ES 模块"],
        [
            "An API is called after WeChat has accepted the signature, and only then.",
            "只有微信接受了签名，才能调用接口。",
        ],
        r#"
<script type="module">
  import { config } from 'https://YOUR-WXSIGN/static/wxsign.mjs';

  try {
    const { wx } = await config({ appid: 'YOUR-APPID', jsApiList: ['scanQRCode'] });
    wx.scanQRCode({ needResult: 1, success: ({ resultStr }) => console.log(resultStr) });
  } catch (error) {
    console.error(error.code, error.errMsg, error.help, error.debug);
  }
</script>
"#,
    ),
    (
        "vue",
        ["Vue 3", "Vue 3"],
        [
            "The file and its types beside your source; then in main.js before the router starts, and in a page.",
            "先把文件及其类型放到源码旁，再写在 main.js 中（路由启动之前）以及页面里。",
        ],
        r#"
// curl -sO https://YOUR-WXSIGN/static/wxsign.mjs -O https://YOUR-WXSIGN/static/wxsign.d.mts

// main.js
import { watch } from './wxsign.mjs';

watch({
  appid: 'YOUR-APPID',
  endpoint: 'https://YOUR-WXSIGN/jsapi/signature',
  jsApiList: ['scanQRCode'],
  onError: (error) => console.error(error.code, error.debug),
});
createApp(App).use(router).mount('#app');

// Cart.vue, <script setup>
import { ready, share } from './wxsign.mjs';

share({ title: 'Cart', imgUrl: location.origin + '/icon.png' }).catch(() => {});
const scan = async () => (await ready()).wx.scanQRCode({ needResult: 1 });
"#,
    ),
    (
        "react",
        ["React", "React"],
        [
            "In main.jsx outside every component, and in a page.",
            "写在 main.jsx 中（组件之外）以及页面里。",
        ],
        r#"
// curl -sO https://YOUR-WXSIGN/static/wxsign.mjs -O https://YOUR-WXSIGN/static/wxsign.d.mts

// main.jsx
import { watch } from './wxsign.mjs';

watch({
  appid: 'YOUR-APPID',
  endpoint: 'https://YOUR-WXSIGN/jsapi/signature',
  onError: (error) => console.error(error.code, error.debug),
});

// Cart.jsx
import { useEffect } from 'react';
import { share } from './wxsign.mjs';

export function Cart() {
  useEffect(() => {
    share({ title: 'Cart', imgUrl: location.origin + '/icon.png' }).catch(() => {});
  }, []);
  return <main>Cart</main>;
}
"#,
    ),
    (
        "uni-app",
        ["uni-app", "uni-app"],
        [
            "For H5 only, in App.vue; pages call share in onShow, between the same two lines.",
            "仅用于 H5，写在 App.vue 中；页面在 onShow 里调用 share，同样放在条件编译之间。",
        ],
        r#"
// curl -sO https://YOUR-WXSIGN/static/wxsign.mjs -O https://YOUR-WXSIGN/static/wxsign.d.mts

// #ifdef H5
import { watch } from '@/common/wxsign.mjs';

watch({
  appid: 'YOUR-APPID',
  endpoint: 'https://YOUR-WXSIGN/jsapi/signature',
  onError: (error) => console.error(error.code, error.debug),
});
// #endif
"#,
    ),
    (
        "without",
        ["Without the helper", "不用 wxsign.js"],
        [
            "For a single address: what changes the route has to do this again.",
            "只适用于一个网址：路由变化后需要重新执行。",
        ],
        r#"
<script src="https://res.wx.qq.com/open/js/jweixin-1.6.0.js"></script>
<script>
  const page = location.href.split('#')[0];
  fetch('https://YOUR-WXSIGN/jsapi/signature?appid=YOUR-APPID&url=' + encodeURIComponent(page))
    .then((response) => response.json())
    .then(({ appId, timestamp, nonceStr, signature }) => {
      let failed = false;
      wx.error(({ errMsg }) => { failed = true; console.error(errMsg); });
      // It comes after a failure too.
      wx.ready(() => {
        if (failed) return;
        wx.updateAppMessageShareData({
          title: 'Hello', desc: 'From my page', link: page, imgUrl: location.origin + '/icon.png',
        });
      });
      wx.config({ appId, timestamp, nonceStr, signature, jsApiList: ['updateAppMessageShareData'] });
    });
</script>
"#,
    ),
    (
        "coupons",
        ["Coupons", "卡券"],
        [
            "Of an account with wx_card = true. A cardExt gives its coupon to whoever has it: your back end has it made, for the one visitor whom it is for. Each answer is good once.",
            "账号须设置 wx_card = true。拿到 cardExt 的人就能领走卡券，因此应由您的后端为特定用户请求签名。每个签名只能使用一次。",
        ],
        r#"
// Back end, with a client key of the scope ticket:
// curl https://YOUR-WXSIGN/v1/accounts/YOUR-APPID/card-ext -H 'Authorization: Bearer wxk_…' -d '{"cards": [{"card_id": "p…"}]}'

// Page, with addCard and chooseCard in the jsApiList of wx.config. What the back end got is what addCard wants.
async function take() {
  const { cardList } = await (await fetch('/coupon', { method: 'POST' })).json();
  wx.addCard({ cardList, success: (taken) => console.log(taken.cardList) });
}

// The visitor chooses from his own coupons: no key, a new answer each time.
async function choose() {
  const url = 'https://YOUR-WXSIGN/jsapi/card-sign?appid=YOUR-APPID&cardType=GROUPON';
  const choice = await (await fetch(url)).json();
  wx.chooseCard({ ...choice, success: (chosen) => console.log(chosen.cardList) });
}
"#,
    ),
];

/// For WeCom (<https://developer.work.weixin.qq.com/document/path/94313>).
const OF_WECOM: [Template; 2] = [
    (
        "wecom",
        ["WeCom, two script tags", "企业微信：两个 script 标签"],
        [
            "First wx.config for the corporation, then wx.agentConfig for the app: each has a signature of its own, and one does not do for the other (42012).",
            "先用 wx.config 注入企业的身份，再用 wx.agentConfig 注入应用的身份：两者的签名不同，不能互换（否则报 42012）。",
        ],
        r#"
<script src="https://res.wx.qq.com/open/js/jweixin-1.2.0.js"></script>
<script src="https://open.work.weixin.qq.com/wwopen/js/jwxwork-1.0.0.js"></script>
<script type="module">
  const url = encodeURIComponent(location.href.split('#')[0]);
  const signed = async (what) => {
    const answer = await fetch(`https://YOUR-WXSIGN/jsapi/${what}?appid=YOUR-APPID&url=${url}`);
    if (!answer.ok) throw new Error((await answer.json()).detail);
    return answer.json();
  };
  const jsApiList = ['selectExternalContact'];

  const config = await signed('signature');
  await new Promise((ready, error) => {
    wx.ready(ready);
    wx.error(error);
    wx.config({ beta: true, ...config, jsApiList });
  });
  const agentConfig = await signed('agent-signature');
  await new Promise((success, fail) => wx.agentConfig({ ...agentConfig, jsApiList, success, fail }));
  wx.invoke('selectExternalContact', { filterType: 0 }, (result) => console.log(result));
</script>
"#,
    ),
    (
        "wecom-jssdk",
        ["WeCom, @wecom/jssdk", "企业微信：@wecom/jssdk"],
        [
            "The package asks for a signature when it needs one, and for the address that this client counts.",
            "由这个包在需要时请求签名，并给出当前客户端认可的 URL。",
        ],
        r#"
// npm install @wecom/jssdk
import * as ww from '@wecom/jssdk';

const [corpId, agentId] = 'YOUR-APPID'.split('-');
const signed = (what) => async (url) => {
  const query = new URLSearchParams({ appid: 'YOUR-APPID', url });
  const answer = await fetch(`https://YOUR-WXSIGN/jsapi/${what}?${query}`);
  if (!answer.ok) throw new Error((await answer.json()).detail);
  return answer.json();
};

ww.register({
  corpId,
  agentId,
  jsApiList: ['selectExternalContact'],
  getConfigSignature: signed('signature'),
  getAgentConfigSignature: signed('agent-signature'),
});
"#,
    ),
];

#[cfg(test)]
mod tests {
    use super::snippets;

    #[test]
    fn nothing_is_left_to_be_filled_in() {
        let address = "https://sign.example.com";
        for appid in ["wx0123456789abcdef", "ww0123456789abcdef-1000002"] {
            for snippet in snippets(address, &appid.parse().unwrap()) {
                let code = &snippet.code;
                assert!(!code.contains("YOUR"), "{code}");
                assert!(code.contains(address), "{code}");
                assert!(code.contains(appid), "{code}");
            }
        }
    }
}
