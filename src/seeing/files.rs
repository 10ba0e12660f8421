//! The files that rules and boards are kept in: for a plain Prometheus and Grafana in `dashboards/`, for a cluster in
//! `manifests/overlays/monitoring/`.

use super::{boards, rules};
use serde_json::{Map, Value, json};

/// A path below the folder that is asked for, and what stands there.
#[derive(Clone, Debug)]
pub struct File {
    pub path: String,
    pub text: String,
}

/// Why a file cannot be written down. Data of our own making always can.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    #[error("a board is no JSON")]
    Json(#[from] serde_json::Error),
    #[error("a rule is no YAML")]
    Yaml(#[from] serde_saphyr::ser::Error),
}

/// Where dashboards lie beside a Grafana that reads them from a folder.
const FOLDER: &str = "/var/lib/grafana/dashboards/jiyue";

/// All of them.
pub fn files() -> Result<Vec<File>, FilesError> {
    let mut files = Vec::new();
    let mut data = Map::new();
    for board in boards::all() {
        let (name, text) = (format!("{}.json", board.uid), serde_json::to_string_pretty(&board.json())? + "\n");
        data.insert(name.clone(), json!(text));
        files.push(File { path: format!("grafana/{name}"), text });
    }
    let mut yaml = |path: &str, value: &Value| -> Result<(), FilesError> {
        files.push(File { path: path.to_owned(), text: serde_saphyr::to_string(value)? });
        Ok(())
    };
    yaml("rules.yaml", &rules::document())?;
    yaml("provisioning/dashboards/jiyue.yaml", &provider())?;
    yaml("provisioning/datasources/jiyue.yaml", &datasource())?;
    yaml("kubernetes/prometheus-rule.yaml", &prometheus_rule())?;
    yaml("kubernetes/dashboards.yaml", &config_map(&data))?;
    Ok(files)
}

fn provider() -> Value {
    json!({"apiVersion": 1, "providers": [{
        "name": "jiyue", "folder": "集约", "type": "file", "disableDeletion": true, "allowUiUpdates": false,
        "updateIntervalSeconds": 60, "options": {"path": FOLDER},
    }]})
}

fn datasource() -> Value {
    json!({"apiVersion": 1, "datasources": [{
        "name": "Prometheus", "type": "prometheus", "access": "proxy", "url": "http://127.0.0.1:9090", "isDefault": true,
    }]})
}

fn prometheus_rule() -> Value {
    json!({
        "apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule",
        "metadata": {"name": "jiyue"}, "spec": rules::document(),
    })
}

/// As the usual sidecar of a Grafana in a cluster looks for it.
fn config_map(data: &Map<String, Value>) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "jiyue-dashboards", "labels": {"grafana_dashboard": "1"}}, "data": data,
    })
}
