// What a page with the classic script may write; compiled only, for its types.
/// <reference path="./wxsign.d.ts" />

const end = wxsign.watch({
  jsApiList: ['updateAppMessageShareData', 'updateTimelineShareData', 'scanQRCode'],
  openTagList: ['wx-open-launch-weapp'],
  onConfig: ({ wx, url }) => wx.scanQRCode({ needResult: 1, success: () => console.log(url) }),
  onError: ({ code, errMsg, help, debug }) => console.error(code, errMsg, help, debug),
});
wxsign.ready().then(({ config }) => config.signature.length);
wxsign.share({ title: 'Hello', desc: 'From my page', imgUrl: 'https://example.com/icon.png' }).then(end);
