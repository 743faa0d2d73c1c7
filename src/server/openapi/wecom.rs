//! What the document says of questions and answers about WeCom apps.
#![expect(dead_code, reason = "only the document knows them")]

use utoipa::{IntoParams, ToSchema};

use super::super::backend::Reading;
use super::super::dropin::Refusal;

/// A ticket for `wx.agentConfig` as it is read.
#[derive(ToSchema)]
pub(in super::super) struct AgentTicket {
    #[schema(example = "SIMULATED-TICKET")]
    agent_ticket: String,
    #[serde(flatten)]
    reading: Reading<'static>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(in super::super) struct WeComTokenQuery {
    /// The CorpID, where the key is for one app of it alone; else the name of the app.
    #[param(
        pattern = "^w[wx][0-9a-f]{16}(-(0|[1-9][0-9]{0,8}))?$",
        example = "ww0123456789abcdef-1000002"
    )]
    corpid: String,
    /// The client key of wxsign, never the Secret of the app.
    #[param(example = "wxk_YOUR_KEY")]
    corpsecret: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(in super::super) struct WeComTicketQuery {
    /// The token that wxsign handed out.
    #[param(example = "SIMULATED-TOKEN")]
    access_token: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(in super::super) struct AgentTicketQuery {
    /// The token that wxsign handed out.
    #[param(example = "SIMULATED-TOKEN")]
    access_token: String,
    #[param(pattern = "^agent_config$", example = "agent_config")]
    r#type: String,
}

/// The token of WeCom, or why there is none.
#[derive(ToSchema)]
#[serde(untagged)]
pub(in super::super) enum WeComTokenAnswer {
    Token(WeComToken),
    Refusal(Refusal),
}

#[derive(ToSchema)]
pub(in super::super) struct WeComToken {
    #[schema(example = 0)]
    errcode: i64,
    #[schema(example = "ok")]
    errmsg: String,
    #[schema(example = "SIMULATED-TOKEN")]
    access_token: String,
    /// Seconds of life that are left.
    #[schema(example = 7140)]
    expires_in: u64,
}
