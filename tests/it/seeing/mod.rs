//! Rules and boards: kept as the program writes them, read by other people's parsers, tried by Prometheus itself.

mod expressions;
mod files;
mod looks;
mod promtool;
mod real;
mod status;
mod top;

use serde_json::Value;

/// A board's panels, with the heading rows left out.
fn panels(board: &Value) -> impl Iterator<Item = &Value> {
    board["panels"].as_array().expect("panels").iter().filter(|panel| panel["type"] != "row")
}

/// What a board asks for: panel's title, expression, legend.
fn queries(board: &Value) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    panels(board)
        .flat_map(|panel| {
            let targets = panel["targets"].as_array().expect("targets").iter();
            targets.map(|target| (text(&panel["title"]), text(&target["expr"]), text(&target["legendFormat"])))
        })
        .collect()
}
