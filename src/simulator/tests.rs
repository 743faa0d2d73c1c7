//! The simulator against the contract: how WeChat behaves as far as that is known.
//!
//! A [`World`] is a simulator with one account at a round time, called as WeChat would be.
//! `world.at(s)` moves it to `s` seconds after its start; nothing sleeps.

mod faults;
mod http;
mod preverify;
mod refusals;
mod timelines;
mod wecom;

use std::time::Duration;

use serde_json::Value;

use super::*;

/// An even hour, so that a ticket's period begins with it; 06:00 in China.
const START: i64 = 1_699_999_200;
const SECRET: &str = "0123456789abcdef0123456789abcdef";

struct World {
    simulator: Simulator,
    appid: AppId,
}

impl World {
    fn new() -> Self {
        let clock = Clock::following_tokio(Timestamp::from_secs(START));
        let world = Self {
            simulator: Simulator::new(clock, 7),
            appid: "wx0123456789abcdef".parse().unwrap(),
        };
        world.simulator.add_app(App {
            domains: vec!["h5.example.com".to_owned(), "shop.example.org".to_owned()],
            ..App::new(world.appid.clone(), Secret::new(SECRET))
        });
        world
    }

    fn with(self, turn: impl FnOnce(&mut Knobs)) -> Self {
        self.turn(turn);
        self
    }

    fn turn(&self, turn: impl FnOnce(&mut Knobs)) {
        let change = |app: &mut App| turn(&mut app.knobs);
        self.simulator.change_app(&self.appid, change).unwrap();
    }

    fn at(&self, seconds: i64) -> &Self {
        let target = Timestamp::from_secs(START + seconds);
        self.simulator.advance(target.since(self.simulator.now()));
        self
    }

    fn reply(&self, method: &str, target: &str, body: &str) -> Reply {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        self.simulator.call(&Request {
            method,
            path,
            query,
            body: body.as_bytes(),
            client_ip: "118.190.42.90".parse().unwrap(),
        })
    }

    fn get(&self, target: &str) -> Value {
        serde_json::from_slice(&self.reply("GET", target, "").body).unwrap()
    }

    fn post(&self, target: &str, body: &Value) -> Value {
        serde_json::from_slice(&self.reply("POST", target, &body.to_string()).body).unwrap()
    }

    fn classic(&self) -> Value {
        self.get(&self.classic_target())
    }

    fn classic_target(&self) -> String {
        format!(
            "/cgi-bin/token?grant_type=client_credential&appid={}&secret={SECRET}",
            self.appid
        )
    }

    fn token(&self) -> String {
        text(&self.classic()["access_token"])
    }

    fn stable(&self, force: bool) -> (String, i64) {
        let answer = self.post("/cgi-bin/stable_token", &self.stable_body(force));
        let expires_in = answer["expires_in"].as_i64().unwrap();
        (text(&answer["access_token"]), expires_in)
    }

    fn stable_body(&self, force: bool) -> Value {
        serde_json::json!({
            "grant_type": "client_credential", "appid": self.appid, "secret": SECRET,
            "force_refresh": force,
        })
    }

    fn ticket(&self, token: &str) -> (String, i64) {
        let answer = self.get(&format!(
            "/cgi-bin/ticket/getticket?access_token={token}&type=jsapi"
        ));
        let expires_in = answer["expires_in"].as_i64().unwrap();
        (text(&answer["ticket"]), expires_in)
    }

    /// The errcode that a call with `token` meets; 0 when it is accepted.
    fn probe(&self, token: &str) -> i64 {
        errcode(&self.get(&format!("/cgi-bin/getcallbackip?access_token={token}")))
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn errcode(answer: &Value) -> i64 {
    answer
        .get("errcode")
        .map_or(0, |code| code.as_i64().unwrap())
}
