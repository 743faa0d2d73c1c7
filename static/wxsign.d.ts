/*
 * WeChat's JS-SDK in a page, configured with a signature from wxsign: the types of wxsign.mjs
 * (import) and of wxsign.js (window.wxsign).
 *
 * Needs what every WeChat of the last years has: ES2018, fetch, URL. Loading it reads the address
 * of the page and does nothing else; on a server it does nothing at all. It must be loaded before
 * the route changes for the first time, because iOS goes on comparing with that address.
 */

export as namespace wxsign;

/**
 * Configures the JS-SDK for this page, once. It resolves when WeChat has accepted the signature,
 * and only then; else it rejects with a {@link WxsignError}.
 *
 * On `invalid signature` it tries the other addresses that the client may mean: those of
 * `realAuthUrl`, then that at which the page was entered, then the current one. If none is
 * accepted it has wxsign check its ticket, and tries a last time. The SDK has room for one
 * `wx.error` handler, which this takes.
 */
export function config(options?: Options): Promise<Configured>;

/**
 * Configures the JS-SDK for this page and again after each change of the route that needs it
 * (history, hash, back-forward cache). Stands for all routes of a single-page application: call it
 * once, at the start. It asks for the calls that {@link share} makes, whatever else is listed. A
 * second call ends the first. Returns what ends it: what WeChat has not been asked by then, it is
 * not asked any more.
 */
export function watch(options?: WatchOptions): () => void;

/**
 * Sets what a reader shares, for chats and Moments, and sets it again after each configuration.
 * Waits for a `config` or `watch`. With `config`, call it before that ends, or list the share calls
 * in its `jsApiList`, so that they are asked for.
 */
export function share(data: ShareData): Promise<Answer[]>;

/** The newest configuration: of the present route, where `watch` is on; the first one to come, where none has been. */
export function ready(): Promise<Configured>;

/** The address at which the page was entered, without its fragment; '' on a server. */
export const landing: string;

export interface Options {
  /** The APIs that the page will call; left out: the calls that {@link share} makes. */
  jsApiList?: readonly string[];
  /**
   * The open tags that it holds. WeChat allows them to the one address that was signed, so with any
   * iOS is configured again for each route too, and gets the present address signed first. Where
   * it refuses that because it compares with the address at which the page was entered, that one
   * is signed, from then on at once.
   */
  openTagList?: readonly string[];
  /** Which account, when wxsign has several. */
  appid?: string;
  /**
   * Where to ask for a signature. Default: `/jsapi/signature` of the wxsign that the script is
   * from; of the page's own host, when it is a copy that is not at `/static/`.
   */
  endpoint?: string;
  /** The address to try first. Default: the one that this client compares with. */
  url?: string;
  /** The SDK, when the page has it already but not as `window.wx`. */
  sdk?: Sdk;
  /** Milliseconds for each phase. Default: 5000. */
  timeout?: number;
  /** Options of `fetch()`, for an endpoint of your own in front of wxsign. */
  fetch?: RequestInit;
  /** Gives the signature of an address, instead of asking `endpoint`. */
  sign?(url: string): Signature | Promise<Signature>;
  /** The SDK alerts every answer. */
  debug?: boolean;
  /** Is told of `sdk`, `signature`, `config` and `answer`. */
  onStep?(name: string, data: any): void;
}

export interface WatchOptions extends Options {
  /** Called after each configuration that WeChat has accepted and no newer one has replaced. */
  onConfig?(result: Configured): void;
  /** Called when one failed. Default: `console.error`. */
  onError?(error: WxsignError): void;
}

/** The answer of wxsign to a page. */
export interface Signature {
  appId: string;
  /** Seconds. */
  timestamp: number | string;
  nonceStr: string;
  signature: string;
}

export interface Configured {
  /** The SDK. */
  wx: Sdk;
  /** What `wx.config` got. */
  config: Signature & { debug: boolean; jsApiList: string[]; openTagList: string[] };
  /** The address that was signed. */
  url: string;
}

export interface ShareData {
  title: string;
  /** Not shown in Moments. */
  desc?: string;
  /** Default: the address of the page when it is shared, its fragment included. */
  link?: string;
  imgUrl: string;
}

/** What the SDK answers. */
export interface Answer {
  errMsg: string;
  [more: string]: any;
}

/** `window.wx`: each API takes one object. */
export interface Sdk {
  config(settings: object): void;
  ready(callback: () => void): void;
  error(callback: (answer: Answer) => void): void;
  [api: string]: (options?: any) => any;
}

export type Code =
  | 'not_in_wechat'
  | 'sdk_unreachable'
  | 'network'
  | 'signature_refused'
  | 'timeout'
  | 'invalid_signature'
  | 'invalid_url_domain'
  | 'config_failed'
  | 'share_failed';

export interface WxsignError extends Error {
  code: Code;
  /** WeChat's words, or ''. */
  errMsg: string;
  /** What to do. */
  help: string;
  /**
   * A link to wxsign's page that explains this refusal. Where wxsign keeps its console to an address
   * of its own, the page says how to go on there.
   */
  debug?: string;
  /** wxsign's refusal: `application/problem+json`. */
  problem?: { status: number; code?: string; detail?: string };
  /** What took too long: `sdk`, `signature`, `bridge`, `config` or `share`. */
  phase?: string;
  /** WeChat's answer. */
  result?: Answer;
}
