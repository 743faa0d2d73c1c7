//! The APIs that are simulated, by their paths.

/// The APIs that are simulated.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Endpoint {
    Token,
    StableToken,
    GetTicket,
    CallbackIp,
    ApiDomainIp,
    MenuGet,
    CallbackCheck,
    QuotaGet,
    QuotaClear,
    RidGet,
    ClearQuota,
    ClearQuotaV2,
    MediaUpload,
    CustomSend,
    GetToken,
    GetJsapiTicket,
    TicketGet,
}

/// The path of uploads: of their bodies only the beginning is looked at.
pub(super) const MEDIA_UPLOAD: &str = "/cgi-bin/media/upload";

const PATHS: [(&str, Endpoint); 17] = [
    ("/cgi-bin/token", Endpoint::Token),
    ("/cgi-bin/stable_token", Endpoint::StableToken),
    ("/cgi-bin/ticket/getticket", Endpoint::GetTicket),
    ("/cgi-bin/getcallbackip", Endpoint::CallbackIp),
    ("/cgi-bin/get_api_domain_ip", Endpoint::ApiDomainIp),
    ("/cgi-bin/menu/get", Endpoint::MenuGet),
    ("/cgi-bin/callback/check", Endpoint::CallbackCheck),
    ("/cgi-bin/openapi/quota/get", Endpoint::QuotaGet),
    ("/cgi-bin/openapi/quota/clear", Endpoint::QuotaClear),
    ("/cgi-bin/openapi/rid/get", Endpoint::RidGet),
    ("/cgi-bin/clear_quota", Endpoint::ClearQuota),
    ("/cgi-bin/clear_quota/v2", Endpoint::ClearQuotaV2),
    (MEDIA_UPLOAD, Endpoint::MediaUpload),
    ("/cgi-bin/message/custom/send", Endpoint::CustomSend),
    ("/cgi-bin/gettoken", Endpoint::GetToken),
    ("/cgi-bin/get_jsapi_ticket", Endpoint::GetJsapiTicket),
    ("/cgi-bin/ticket/get", Endpoint::TicketGet),
];

impl Endpoint {
    pub(super) fn at(path: &str) -> Option<Self> {
        PATHS
            .iter()
            .find(|(known, _)| *known == path)
            .map(|(_, endpoint)| *endpoint)
    }

    pub(super) const fn wants_post(self) -> bool {
        !matches!(
            self,
            Self::Token | Self::GetTicket | Self::CallbackIp | Self::ApiDomainIp | Self::MenuGet
        ) && !self.is_wecoms()
    }

    /// Whether WeCom alone has it.
    pub(super) const fn is_wecoms(self) -> bool {
        matches!(
            self,
            Self::GetToken | Self::GetJsapiTicket | Self::TicketGet
        )
    }

    /// Whether WeCom has it.
    pub(super) const fn is_at_wecom(self) -> bool {
        self.is_wecoms()
            || matches!(
                self,
                Self::CallbackIp | Self::ApiDomainIp | Self::MediaUpload
            )
    }
}
