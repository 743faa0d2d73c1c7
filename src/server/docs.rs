//! `/docs`: the document of [`super::openapi`] as a page, written out on the server; and
//! `/docs/frontend`.

mod frontend;
mod snippets;

use askama::Template;
use axum::extract::Extension;
use axum::response::{IntoResponse, Response};
use form_urlencoded::byte_serialize;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use serde_json::{Map, Value};

use super::Audience;
use super::openapi::DOCUMENT;
use super::own_address::OwnAddress;
use super::problem::{Code, Problem};

pub(super) use frontend::page as frontend;

/// Nothing runs here.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; \
    base-uri 'none'; frame-ancestors 'none'; form-action 'none'";

/// What stands for a key in the examples.
const A_KEY: &str = "wxk_YOUR_KEY";

#[derive(Template)]
#[template(path = "docs.html")]
struct Docs {
    version: &'static str,
    /// Whether `/docs/frontend` is at the same address.
    for_pages: bool,
    intro: Prose,
    groups: Vec<Group>,
}

/// The operations of one audience.
struct Group {
    name: String,
    about: Prose,
    operations: Vec<Operation>,
}

struct Operation {
    id: String,
    method: String,
    path: String,
    summary: Prose,
    about: Prose,
    /// What the key must be allowed to do.
    scope: Option<String>,
    parameters: Vec<Field>,
    body: Vec<Field>,
    answers: Vec<Answer>,
    curl: String,
}

struct Field {
    name: String,
    kind: String,
    place: String,
    required: bool,
    about: Prose,
}

struct Answer {
    status: String,
    good: bool,
    about: Prose,
    example: String,
}

/// A text and whether it is code, in turns.
type Prose = Vec<(bool, String)>;

/// `GET /docs`
pub(super) async fn page(
    Extension(audience): Extension<Audience>,
    OwnAddress(address): OwnAddress,
) -> Result<Response, Problem> {
    let docs = Docs::of(&DOCUMENT, &address, audience == Audience::Everyone);
    let html = docs
        .render()
        .map_err(|error| Problem::new(Code::InternalError, error.to_string()))?;
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, PAGE_POLICY),
        (CACHE_CONTROL, "no-cache"),
    ];
    Ok((headers, html).into_response())
}

impl Docs {
    fn of(document: &Value, address: &str, for_pages: bool) -> Self {
        let groups = list(&document["tags"]).iter().map(|tag| Group {
            name: text(&tag["name"]),
            about: prose(&tag["description"]),
            operations: operations(document, &tag["name"], address),
        });
        Self {
            version: env!("CARGO_PKG_VERSION"),
            for_pages,
            intro: prose(&document["info"]["description"]),
            groups: groups.collect(),
        }
    }
}

fn operations(document: &Value, tag: &Value, address: &str) -> Vec<Operation> {
    let mut found = Vec::new();
    for (path, item) in members(&document["paths"]) {
        for (method, operation) in members(item) {
            if list(&operation["tags"]).contains(tag) {
                found.push(Operation::of(document, path, method, operation, address));
            }
        }
    }
    found
}

impl Operation {
    fn of(document: &Value, path: &str, method: &str, says: &Value, address: &str) -> Self {
        let body = &says["requestBody"]["content"]["application/json"]["schema"];
        let parameters = list(&says["parameters"]).iter().map(|parameter| Field {
            name: text(&parameter["name"]),
            kind: kind(&parameter["schema"]),
            place: text(&parameter["in"]),
            required: parameter["required"] == true,
            about: prose(&parameter["description"]),
        });
        let answers = members(&says["responses"]).map(|(status, answer)| {
            let content = members(&answer["content"])
                .next()
                .map(|(_, content)| content);
            let shown = content.map(|content| match content.get("example") {
                Some(example) => example.clone(),
                None => example(document, &content["schema"]),
            });
            Answer {
                status: status.clone(),
                good: !status.starts_with(['4', '5']),
                about: prose(&answer["description"]),
                example: shown.map(|shown| shape(&shown)).unwrap_or_default(),
            }
        });
        let security = says["security"][0].as_object();
        let scopes = security.and_then(|security| security.values().next());
        Self {
            id: text(&says["operationId"]),
            method: method.to_uppercase(),
            path: path.to_owned(),
            summary: prose(&says["summary"]),
            about: prose(&says["description"]),
            scope: scopes.map(|scopes| text(&scopes[0])),
            parameters: parameters.collect(),
            body: fields(document, body),
            answers: answers.collect(),
            curl: curl(document, path, method, says, address),
        }
    }
}

/// A command line that asks for the operation, with what must be given.
fn curl(document: &Value, path: &str, method: &str, says: &Value, address: &str) -> String {
    let (mut path, mut query) = (path.to_owned(), String::new());
    for parameter in list(&says["parameters"]) {
        let given = match parameter.get("example") {
            Some(example) => example.clone(),
            None => example(document, &parameter["schema"]),
        };
        let (name, given) = (text(&parameter["name"]), text(&given));
        match parameter["in"].as_str() {
            Some("path") => path = path.replace(&format!("{{{name}}}"), &given),
            Some("query") if parameter["required"] == true => {
                let (mark, given) = (if query.is_empty() { '?' } else { '&' }, given.as_bytes());
                query.push(mark);
                query.extend([&name, "="]);
                query.extend(byte_serialize(given));
            }
            _ => {}
        }
    }
    let body = &says["requestBody"]["content"]["application/json"]["schema"];
    let mut line = "curl".to_owned();
    if method != "get" && body.is_null() {
        line.extend([" -X ", &method.to_uppercase()]);
    }
    line.extend([" '", address, &path, &query, "'"]);
    if says.get("security").is_some() {
        line.extend([" \\\n  -H 'Authorization: Bearer ", A_KEY, "'"]);
    }
    if !body.is_null() {
        let example = example(document, body).to_string();
        line.extend([" \\\n  -H 'Content-Type: application/json'"]);
        line.extend([" \\\n  -d '", &example, "'"]);
    }
    line
}

/// The schema itself, where `schema` refers to one.
fn resolved<'d>(document: &'d Value, schema: &'d Value) -> &'d Value {
    let target = schema["$ref"].as_str().and_then(|to| to.strip_prefix('#'));
    target.and_then(|to| document.pointer(to)).unwrap_or(schema)
}

/// The schemas that `schema` is made of: all of them, or those of which one holds.
fn parts(schema: &Value) -> impl Iterator<Item = &Value> {
    let lists = ["allOf", "oneOf", "anyOf"].map(|how| list(&schema[how]));
    lists.into_iter().flatten()
}

fn fields(document: &Value, schema: &Value) -> Vec<Field> {
    let schema = resolved(document, schema);
    let mut found: Vec<Field> = Vec::new();
    for part in parts(schema) {
        for field in fields(document, part) {
            match found.iter_mut().find(|known| known.name == field.name) {
                Some(known) => known.required &= field.required,
                None => found.push(field),
            }
        }
    }
    let own = members(&schema["properties"]).map(|(name, property)| Field {
        name: name.clone(),
        kind: kind(property),
        place: String::new(),
        required: list(&schema["required"]).contains(&Value::from(name.as_str())),
        about: prose(&property["description"]),
    });
    found.extend(own);
    found
}

/// An example for `schema`, put together from those of its members.
fn example(document: &Value, schema: &Value) -> Value {
    let schema = resolved(document, schema);
    if let Some(example) = schema.get("example") {
        return example.clone();
    }
    let mut whole = Map::new();
    for part in list(&schema["allOf"]) {
        if let Value::Object(members) = example(document, part) {
            whole.extend(members);
        }
    }
    let mut choices = parts(schema).filter(|part| part["type"] != "null");
    if let (true, Some(choice)) = (whole.is_empty(), choices.next()) {
        return example(document, choice);
    }
    for (name, property) in members(&schema["properties"]) {
        whole.insert(name.clone(), example(document, property));
    }
    match (whole.is_empty(), schema.get("items"), schema.get("default")) {
        (false, ..) => Value::Object(whole),
        (_, Some(items), _) => Value::from(vec![example(document, items)]),
        (.., Some(default)) => default.clone(),
        _ => Value::Null,
    }
}

/// The type of a value, in a word.
fn kind(schema: &Value) -> String {
    let named = match &schema["type"] {
        Value::String(one) => one.as_str(),
        several => {
            let mut several = list(several).iter().filter_map(Value::as_str);
            several.find(|one| *one != "null").unwrap_or("object")
        }
    };
    named.to_owned()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A value as a reader likes to see it: a text as it is.
fn shape(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => format!("{other:#}"),
    }
}

/// Reads the only mark-up that descriptions have, code between backticks.
fn prose(value: &Value) -> Prose {
    let text = value.as_str().unwrap_or_default();
    let pieces = text.split('`').map(str::to_owned);
    pieces
        .enumerate()
        .map(|(index, piece)| (index % 2 == 1, piece))
        .collect()
}
