// co-wechat-api as a back end uses it, with its host set and nothing else.
//
//   node co-wechat-api.cjs BASE_URL APPID CLIENT_KEY
//
// Reads commands, a line each, and answers each with a line of JSON:
//
//   token      fetches a token
//   sign URL   what wx.config gets on the page URL
//   call N     N calls at once, and how they ended by errcode; 0 is success
'use strict';

const path = require('node:path');
const readline = require('node:readline');

const installed = path.join(__dirname, '../.cache/co-wechat-api-3.11.0/node_modules/co-wechat-api');
const WechatAPI = require(installed);

// The SDK itself knows no end: while its token is refused it asks for another one.
const DEADLINE_MS = 20_000;

const [base, appid, key] = process.argv.slice(2);
const api = new WechatAPI(appid, key);
api.prefix = `${base}/cgi-bin/`;

const commands = {
  async token() {
    await api.getAccessToken();
    return { errcode: 0 };
  },
  async sign(url) {
    const config = await api.getJsConfig({ jsApiList: ['scanQRCode'], url });
    return { errcode: 0, config };
  },
  async call(count) {
    const calls = Array.from({ length: Number(count) }, () => api.getIp());
    const ended = {};
    for (const { value, reason } of await Promise.allSettled(calls)) {
      const errcode = value?.ip_list ? 0 : refusal(reason).errcode;
      ended[errcode] = (ended[errcode] ?? 0) + 1;
    }
    return { ended };
  },
};

// What is no answer of WeChat's has no code.
function refusal(error) {
  return { errcode: error?.code ?? null, errmsg: error?.message };
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [command, argument] = line.split(' ');
    const deadline = setTimeout(() => {
      console.error(`no end of ${command} within ${DEADLINE_MS} ms`);
      process.exit(1);
    }, DEADLINE_MS);
    const answer = await commands[command](argument).catch(refusal);
    clearTimeout(deadline);
    console.log(JSON.stringify(answer));
  }
}

main();
