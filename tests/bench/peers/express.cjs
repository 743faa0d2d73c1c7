// The peer with express and co-wechat-api.
const express = require('express');
const WechatAPI = require('co-wechat-api');

const { APPID, TICKET, PORT } = process.env;
const ticket = { ticket: TICKET, expireTime: Date.now() + 7200 * 1000 };
const api = new WechatAPI(APPID, 'secret');
api.registerTicketHandle(async () => ticket, async () => {});

const app = express();
app.get('/jsapi/signature', async (request, response) => {
  const url = request.query.url.split('#')[0];
  response.json({ ...(await api.getJsConfig({ debug: false, jsApiList: [], url })), url });
});

app.listen(Number(PORT), '127.0.0.1');
