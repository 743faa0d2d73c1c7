//! Addresses and quotas.

use super::Seen::Everywhere;
use super::{Row, page, row_of};
use crate::upstream::Class::{Address, Quota, Unknown};

pub(super) const ROWS: &[Row] = &[
    row_of(
        (40164, Everywhere, Address),
        [
            "服务器的出口 IP 不在 IP白名单中",
            "the address of this server is not on the account's IP white list",
        ],
        [
            "微信只接受 IP白名单内的 IP 用 AppSecret 获取 access_token；新服务器、换了出口或用了代理之后，出口 IP 会变",
            "WeChat takes an AppSecret only from addresses on that list; a new machine, another \
             way out or a proxy changes the address",
        ],
        [
            "把 errmsg 中的 IP 加入公众平台「设置与开发 > 开发接口管理 > IP白名单」，最多约 10 分钟后生效，之后会自动恢复",
            "add the address named in errmsg to the IP white list in WeChat's console \
             (设置与开发 > 开发接口管理 > IP白名单); it takes effect within 10 minutes",
        ],
        page::TROUBLE,
    ),
    row_of(
        (61004, Everywhere, Address),
        [
            "微信不认识调用方的 IP",
            "WeChat does not know this server's address",
        ],
        [
            "服务器的出口 IP 没有登记在账号的 IP白名单中",
            "the address is not on the account's IP white list",
        ],
        [
            "把 errmsg 中的 IP 加入公众平台「设置与开发 > 开发接口管理 > IP白名单」（errmsg 可能隐去一部分，可在服务器上查出口 IP），最多约 10 分钟后生效",
            "add the address named in errmsg to the IP white list in WeChat's console \
             (设置与开发 > 开发接口管理 > IP白名单); where errmsg hides a part of it, look it up on \
             this machine; it takes effect within 10 minutes",
        ],
        page::TROUBLE,
    ),
    row_of(
        (89501, Everywhere, Address),
        [
            "这个 IP 正在等待管理员确认",
            "this address waits for an administrator's confirmation",
        ],
        [
            "微信发现从未用过的 IP，已向管理员发送模板消息，管理员还没有处理",
            "WeChat met the address for the first time and has sent the administrator a message, \
             which is not answered yet",
        ],
        [
            "请管理员在微信里打开这条消息并确认；确认后约 1 到 5 分钟自动恢复",
            "have the administrator open that message in WeChat and confirm; wxsign asks again \
             every 1 to 5 minutes",
        ],
        page::TOKEN,
    ),
    row_of(
        (89503, Everywhere, Address),
        [
            "这个 IP 需要管理员确认",
            "an administrator must confirm this server's address",
        ],
        [
            "微信发现从未用过的 IP，刚刚向管理员发送了模板消息",
            "WeChat met the address for the first time and has just sent the administrator a \
             message",
        ],
        [
            "请管理员在微信里打开这条消息并确认，不要点拒绝（拒绝一次停用 1 小时，两次 24 小时）；确认后约 1 到 5 分钟自动恢复",
            "have the administrator open that message in WeChat and confirm: a refusal blocks the \
             address for 1 hour, a second one for 24; wxsign asks again every 1 to 5 minutes",
        ],
        page::TOKEN,
    ),
    row_of(
        (89506, Everywhere, Address),
        [
            "这个 IP 被管理员拒绝了两次",
            "an administrator refused this server's address twice",
        ],
        [
            "被拒绝两次的 IP 在 24 小时内不能调用",
            "an address that was refused twice is blocked for 24 hours",
        ],
        [
            "等 24 小时，然后请管理员在微信里确认；急用时换一个已确认的出口 IP",
            "wait 24 hours and have the administrator confirm then; in a hurry, use another \
             address that is confirmed",
        ],
        page::TOKEN,
    ),
    row_of(
        (89507, Everywhere, Address),
        [
            "这个 IP 被管理员拒绝了一次",
            "an administrator refused this server's address",
        ],
        [
            "被拒绝一次的 IP 在 1 小时内不能调用",
            "an address that was refused once is blocked for 1 hour",
        ],
        [
            "等 1 小时，然后请管理员在微信里确认；再次拒绝会停用 24 小时",
            "wait 1 hour and have the administrator confirm then; another refusal blocks it for 24 \
             hours",
        ],
        page::TOKEN,
    ),
    row_of(
        (45009, Everywhere, Quota),
        [
            "接口的当日调用次数已用完",
            "the daily quota of this API is used up",
        ],
        [
            "有程序调用得过于频繁；同一 AppID 的所有程序共用这个限额",
            "some program calls too often; all programs with this AppID share the quota",
        ],
        [
            "北京时间 00:00 后限额恢复；找出频繁调用的程序，急用时在公众平台清零（每月 10 次）",
            "wait until 00:00 (UTC+8); find the program that fetches too often, or clear the quota \
             in WeChat's console (10 times a month)",
        ],
        page::QUOTAS,
    ),
    row_of(
        (45011, Everywhere, Quota),
        [
            "每分钟的调用次数已用完",
            "the quota of one minute is used up",
        ],
        [
            "这一分钟内调用得过于频繁",
            "there were too many calls in this minute",
        ],
        [
            "下一分钟会自动重试；若反复出现，找出频繁调用的程序",
            "it is tried again in the next minute; if it comes back, find the program that \
             calls so often",
        ],
        page::STABLE_TOKEN,
    ),
    row_of(
        (48006, Everywhere, Unknown),
        [
            "本月的清零次数已用完",
            "the quota cannot be cleared again this month",
        ],
        [
            "每个账号每月可以清零 10 次，公众平台和接口合计",
            "an account may clear its quotas 10 times a month, in WeChat's console and by the API \
             together",
        ],
        [
            "北京时间 00:00 后限额自行恢复",
            "wait until 00:00 (UTC+8), when quotas are renewed by themselves",
        ],
        page::QUOTAS,
    ),
];
