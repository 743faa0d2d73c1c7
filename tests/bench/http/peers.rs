//! How others do it: a few lines each, in `tests/bench/peers`, with a ticket that stays the same.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::server::Server;
use crate::subjects::{EXPRESS, FASTIFY, GO, NGINX};

/// What they are told beside the port: their account and the ticket.
pub(crate) const APPID: &str = "wx0000000000000000";
pub(crate) const TICKET: &str =
    "sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg";

struct Peer {
    program: PathBuf,
    source: Option<PathBuf>,
    /// What has to be there; for Node, where its packages are.
    needs: Vec<PathBuf>,
}

impl Peer {
    fn of(name: &str) -> Self {
        let source = |file: &str| Some(here("tests/bench/peers").join(file));
        let modules = |package: &str| here("tests/.cache").join(package).join("node_modules");
        match name {
            GO => Self {
                program: here("tests/.cache/signature-go"),
                source: None,
                needs: vec![here("tests/.cache/signature-go")],
            },
            NGINX => Self {
                program: "/usr/sbin/nginx".into(),
                source: source("nginx.conf"),
                needs: vec!["/usr/lib/nginx/modules/ngx_http_lua_module.so".into()],
            },
            FASTIFY => Self {
                program: "node".into(),
                source: source("fastify.cjs"),
                needs: vec![modules("fastify-5.12.8")],
            },
            EXPRESS => Self {
                program: "node".into(),
                source: source("express.cjs"),
                needs: vec![modules("express-5.3.0"), modules("co-wechat-api-3.11.0")],
            },
            _ => Self {
                program: here("tests/.cache/fastapi-0.165.0/bin/python"),
                source: source("fastapi_wechatpy.py"),
                needs: vec![here("tests/.cache/fastapi-0.165.0/whole")],
            },
        }
    }

    fn complete(&self, command: &mut Command, directory: &Path, address: SocketAddr) {
        let port = address.port().to_string();
        command
            .env("APPID", APPID)
            .env("TICKET", TICKET)
            .env("PORT", &port)
            .env("NODE_ENV", "production")
            .env("NODE_PATH", std::env::join_paths(&self.needs).unwrap());
        match &self.source {
            Some(file) if file.ends_with("nginx.conf") => {
                let text = fs::read_to_string(file).unwrap().replace("PORT", &port);
                fs::write(directory.join("nginx.conf"), text).unwrap();
                command.arg("-p").arg(directory).args(["-c", "nginx.conf"]);
            }
            Some(file) => {
                command.arg(file);
            }
            None => {}
        }
    }
}

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A peer that is asked for `target`, if it is installed.
pub(crate) fn peer(name: &str, target: &str) -> Option<Server> {
    let peer = Peer::of(name);
    if !peer.needs.iter().all(|path| path.exists()) {
        println!("{name} is not installed and left out; tests/run bench installs it");
        return None;
    }
    let complete = |command: &mut Command, directory: &Path, address| {
        peer.complete(command, directory, address)
    };
    Some(Server::new("none", &peer.program, target, complete))
}
