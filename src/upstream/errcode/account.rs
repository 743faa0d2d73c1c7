//! AppID, AppSecret and what the account may do.

use super::Seen::{Everywhere, WhereTokensAreIssued};
use super::{Row, page, row_of};
use crate::upstream::Class::{Credentials, Unknown};

pub(super) const ROWS: &[Row] = &[
    row_of(
        (40001, WhereTokensAreIssued, Credentials),
        ["微信不接受这个 AppSecret", "WeChat refused the AppSecret"],
        [
            "AppSecret 有误，或者它属于另一个 AppID",
            "the AppSecret is wrong, or it belongs to another AppID",
        ],
        [
            "在公众平台「设置与开发 > 开发接口管理」核对 AppID，重新复制 AppSecret；没有保存原值就重置AppSecret，再更新到这里",
            "compare the AppID with WeChat's console (设置与开发 > 开发接口管理) and take the \
             AppSecret from there: copy it again, or reset it (重置AppSecret) if it was not kept",
        ],
        page::TOKEN,
    ),
    row_of(
        (40013, WhereTokensAreIssued, Credentials),
        ["微信不认识这个 AppID", "WeChat does not know the AppID"],
        [
            "AppID 有误；AppID 区分大小写",
            "no account has this AppID; upper and lower case matter",
        ],
        [
            "在公众平台「设置与开发 > 开发接口管理」重新复制 AppID",
            "copy it again from WeChat's console (设置与开发 > 开发接口管理)",
        ],
        page::TOKEN,
    ),
    row_of(
        (40013, Everywhere, Credentials),
        [
            "AppID 与 access_token 不符",
            "the AppID is not that of the access_token",
        ],
        [
            "请求里的 AppID 有误，或者 access_token 属于另一个账号",
            "the AppID in the call is wrong, or the access_token belongs to another account",
        ],
        [
            "在公众平台「设置与开发 > 开发接口管理」核对 AppID",
            "compare the AppID with WeChat's console (设置与开发 > 开发接口管理)",
        ],
        page::QUOTAS,
    ),
    row_of(
        (40125, Everywhere, Credentials),
        ["微信不接受这个 AppSecret", "WeChat refused the AppSecret"],
        [
            "AppSecret 有误，常见原因是复制不完整，或者有人已在公众平台重置过它",
            "the AppSecret is wrong: most often it was copied in part, or somebody has reset it in \
             WeChat's console",
        ],
        [
            "在公众平台「设置与开发 > 开发接口管理」重新复制 AppSecret；没有保存原值就重置AppSecret，再更新到这里",
            "copy it again, or reset it in WeChat's console (设置与开发 > 开发接口管理 > \
             重置AppSecret) and put the new one here",
        ],
        page::TOKEN,
    ),
    row_of(
        (40243, Everywhere, Credentials),
        ["AppSecret 已被冻结", "the AppSecret is frozen"],
        [
            "管理员在公众平台冻结了 AppSecret；冻结操作约 10 分钟后生效",
            "an administrator froze the AppSecret in WeChat's console; that takes effect about 10 \
             minutes later",
        ],
        [
            "请管理员在公众平台「设置与开发 > 开发接口管理」解冻 AppSecret，并等待约 10 分钟；之后会自动恢复",
            "have an administrator unfreeze it in WeChat's console (设置与开发 > 开发接口管理) and \
             allow about 10 minutes; it is tried again by itself",
        ],
        page::TROUBLE,
    ),
    row_of(
        (48001, Everywhere, Credentials),
        [
            "账号没有这个接口的权限",
            "the account does not have this API",
        ],
        [
            "账号类型不支持这个接口，或者账号未认证",
            "accounts of its type do not have the API, or the account is not verified",
        ],
        [
            "在公众平台查看账号的「接口权限」；未认证的账号先完成微信认证",
            "look up the account's API permissions (接口权限) in WeChat's console; verify the \
             account (微信认证) if it is not, or check its type",
        ],
        page::TROUBLE,
    ),
    row_of(
        (48004, Everywhere, Credentials),
        ["接口被封禁", "WeChat has blocked this API for the account"],
        [
            "账号有违规行为，微信封禁了它的这个接口",
            "the account broke WeChat's rules, and WeChat took this API away from it",
        ],
        [
            "登录 mp.weixin.qq.com 查看站内通知，按其中的说明处理",
            "read the notice in WeChat's console (mp.weixin.qq.com) and do what it says",
        ],
        page::TROUBLE,
    ),
    row_of(
        (50004, Everywhere, Credentials),
        [
            "账号被禁止使用 access_token",
            "WeChat has forbidden the account to fetch tokens",
        ],
        [
            "可能是账号受到了处罚",
            "most likely the account is being punished",
        ],
        [
            "登录 mp.weixin.qq.com 查看站内通知，按其中的说明处理",
            "read the notice in WeChat's console (mp.weixin.qq.com) and do what it says",
        ],
        page::TROUBLE,
    ),
    row_of(
        (50007, Everywhere, Credentials),
        ["账号已被冻结", "the account is frozen"],
        [
            "微信或账号主体冻结了这个账号",
            "WeChat or the account's owner has frozen it",
        ],
        [
            "登录 mp.weixin.qq.com 查看站内通知，按其中的说明处理",
            "read the notice in WeChat's console (mp.weixin.qq.com) and do what it says",
        ],
        page::ERRCODES,
    ),
    row_of(
        (61024, Everywhere, Unknown),
        [
            "必须使用第三方平台的 token",
            "a token of a third-party platform is asked for",
        ],
        [
            "这个账号或接口要求由第三方平台代为调用",
            "this account or API is called through a third-party platform (第三方平台)",
        ],
        [
            "wxsign 不支持第三方平台：改用账号自己的 AppID 和 AppSecret，或由该第三方平台调用",
            "wxsign is no third-party platform: use the account's own AppID and AppSecret, or have \
             the platform make the call",
        ],
        page::ERRCODES,
    ),
];
