// The peer with fastify.
const { createHash, randomBytes } = require('node:crypto');
const app = require('fastify')();

const { APPID, TICKET, PORT } = process.env;
const schema = {
  response: {
    200: {
      type: 'object',
      properties: {
        appId: { type: 'string' },
        timestamp: { type: 'integer' },
        nonceStr: { type: 'string' },
        signature: { type: 'string' },
        url: { type: 'string' },
      },
    },
  },
};

app.get('/jsapi/signature', { schema }, async (request) => {
  const url = request.query.url.split('#')[0];
  const nonceStr = randomBytes(8).toString('hex');
  const timestamp = Math.floor(Date.now() / 1000);
  const text = `jsapi_ticket=${TICKET}&noncestr=${nonceStr}&timestamp=${timestamp}&url=${url}`;
  const signature = createHash('sha1').update(text).digest('hex');
  return { appId: APPID, timestamp, nonceStr, signature, url };
});

app.listen({ host: '127.0.0.1', port: Number(PORT) });
