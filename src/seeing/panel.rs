//! Panels, and where they stand on a board. Grafana's JSON, by its schema 39.

use serde_json::{Value, json};

/// Grafana's grid.
const WIDTH: u32 = 24;
/// The data source is the reader's choice.
const DATASOURCE: &str = "${datasource}";
/// What Grafana 10.4 and 11 write; a newer one brings it up to date as it loads it.
pub const SCHEMA: u32 = 39;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Count,
    /// From 0 to 1.
    Share,
    Seconds,
    Bytes,
    Cores,
    PerSecond,
    Days,
    /// Yes (1) or no (0).
    Flag,
    /// An instant, in milliseconds since 1970.
    Instant,
}

impl Unit {
    const fn word(self) -> &'static str {
        match self {
            Self::Count => "short",
            Self::Share => "percentunit",
            Self::Seconds => "s",
            Self::Bytes => "bytes",
            Self::Cores => "suffix: 核",
            Self::PerSecond => "suffix: 次/秒",
            Self::Days => "suffix: 天",
            Self::Flag => "bool_yes_no",
            Self::Instant => "dateTimeAsIso",
        }
    }
}

/// How a panel shows what it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The newest value, large.
    Figure,
    /// Values over time.
    Lines,
    /// The same, one on top of the other.
    Stack,
    /// The newest values as bars, one per series.
    Bars,
}

/// From which value on people should look, and from which on they must.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bounds {
    None,
    /// High is bad.
    Above(f64, f64),
    /// Low is bad.
    Below(f64, f64),
}

#[derive(Clone, Debug)]
pub struct Query {
    pub expression: String,
    /// Grafana's pattern of a legend.
    pub legend: String,
}

#[derive(Clone, Debug)]
pub struct Panel {
    pub shape: Shape,
    pub title: &'static str,
    pub description: &'static str,
    pub unit: Unit,
    pub size: (u32, u32),
    pub bounds: Bounds,
    pub queries: Vec<Query>,
}

impl Panel {
    pub fn new(shape: Shape, title: &'static str, unit: Unit, description: &'static str) -> Self {
        let size = match shape {
            Shape::Figure => (4, 4),
            Shape::Lines | Shape::Stack | Shape::Bars => (12, 8),
        };
        Self { shape, title, description, unit, size, bounds: Bounds::None, queries: Vec::new() }
    }

    #[must_use]
    pub fn query(mut self, legend: &str, expression: String) -> Self {
        self.queries.push(Query { expression, legend: legend.to_owned() });
        self
    }

    #[must_use]
    pub const fn bounds(mut self, bounds: Bounds) -> Self {
        self.bounds = bounds;
        self
    }

    #[must_use]
    pub const fn wide(mut self) -> Self {
        self.size.0 = WIDTH;
        self
    }

    #[must_use]
    pub const fn third(mut self) -> Self {
        self.size.0 = 8;
        self
    }

    fn json(&self, id: usize, x: u32, y: u32) -> Value {
        let instant = matches!(self.shape, Shape::Figure | Shape::Bars);
        let targets: Vec<_> = self
            .queries
            .iter()
            .enumerate()
            .map(|(n, query)| {
                json!({
                    "refId": reference(n), "expr": query.expression, "legendFormat": query.legend,
                    "datasource": {"type": "prometheus", "uid": DATASOURCE},
                    "editorMode": "code", "instant": instant, "range": !instant,
                })
            })
            .collect();
        let mut defaults = json!({
            "unit": self.unit.word(), "color": {"mode": if self.bounds == Bounds::None { "palette-classic" } else { "thresholds" }},
            "thresholds": {"mode": "absolute", "steps": self.steps()}, "mappings": [],
        });
        if self.unit != Unit::Instant {
            defaults["min"] = json!(0);
        }
        if self.unit == Unit::Share {
            defaults["max"] = json!(1);
        }
        let (kind, options) = match self.shape {
            Shape::Figure => (
                "stat",
                json!({"reduceOptions": reduce(), "colorMode": "background_solid", "graphMode": "none",
                "justifyMode": "auto", "textMode": "auto", "orientation": "auto"}),
            ),
            Shape::Bars => (
                "bargauge",
                json!({"reduceOptions": reduce(), "displayMode": "basic", "orientation": "horizontal",
                "showUnfilled": true, "valueMode": "color", "minVizHeight": 10, "minVizWidth": 0}),
            ),
            Shape::Lines | Shape::Stack => (
                "timeseries",
                json!({
                "legend": {"showLegend": true, "displayMode": "list", "placement": "bottom", "calcs": []},
                "tooltip": {"mode": "multi", "sort": "desc"}}),
            ),
        };
        if kind == "timeseries" {
            let stacked = self.shape == Shape::Stack;
            defaults["color"] = json!({"mode": "palette-classic"});
            defaults["custom"] = json!({
                "drawStyle": "line", "lineWidth": 1, "fillOpacity": if stacked { 40 } else { 5 }, "showPoints": "never",
                "spanNulls": false, "stacking": {"mode": if stacked { "normal" } else { "none" }, "group": "A"},
                "thresholdsStyle": {"mode": if self.bounds == Bounds::None { "off" } else { "dashed" }},
            });
        }
        json!({
            "id": id, "type": kind, "title": self.title, "description": self.description,
            "datasource": {"type": "prometheus", "uid": DATASOURCE},
            "gridPos": {"x": x, "y": y, "w": self.size.0, "h": self.size.1},
            "fieldConfig": {"defaults": defaults, "overrides": []}, "options": options, "targets": targets,
        })
    }

    fn steps(&self) -> Value {
        let step = |color: &str, value: Option<f64>| json!({"color": color, "value": value});
        match self.bounds {
            Bounds::None => json!([step("blue", None)]),
            Bounds::Above(look, act) => {
                json!([step("green", None), step("orange", Some(look)), step("red", Some(act))])
            }
            Bounds::Below(look, act) => {
                json!([step("red", None), step("orange", Some(act)), step("green", Some(look))])
            }
        }
    }
}

fn reduce() -> Value {
    json!({"calcs": ["lastNotNull"], "fields": "", "values": false})
}

/// A, B, … Z, A1, B1, …
fn reference(n: usize) -> String {
    let letter = char::from(b'A' + u8::try_from(n % 26).unwrap_or_default());
    if n < 26 { letter.to_string() } else { format!("{letter}{}", n / 26) }
}

/// One page of Grafana.
#[derive(Clone, Debug)]
pub struct Board {
    /// Also its file's name.
    pub uid: &'static str,
    pub title: &'static str,
    pub description: &'static str,
    /// A heading, and the panels under it.
    pub rows: Vec<(&'static str, Vec<Panel>)>,
}

impl Board {
    /// The panels stand side by side as long as there is room.
    pub fn json(&self) -> Value {
        let (mut panels, mut y) = (Vec::new(), 0);
        for (heading, row) in &self.rows {
            let id = panels.len() + 1;
            panels.push(json!({"id": id, "type": "row", "title": heading, "collapsed": false, "panels": [],
                "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1}}));
            y += 1;
            let (mut x, mut height) = (0, 0);
            for panel in row {
                if x + panel.size.0 > WIDTH {
                    (x, y, height) = (0, y + height, 0);
                }
                panels.push(panel.json(panels.len() + 1, x, y));
                x += panel.size.0;
                height = height.max(panel.size.1);
            }
            y += height;
        }
        json!({
            "uid": format!("jiyue-{}", self.uid), "title": self.title, "description": self.description,
            "tags": ["jiyue"], "timezone": "browser", "editable": false, "graphTooltip": 1, "schemaVersion": SCHEMA,
            "version": 1, "refresh": "30s", "time": {"from": "now-24h", "to": "now"}, "timepicker": {}, "fiscalYearStartMonth": 0,
            "annotations": {"list": []},
            "links": [{"type": "dashboards", "title": "集约", "tags": ["jiyue"], "asDropdown": false, "includeVars": true,
                "keepTime": true, "targetBlank": false, "icon": "external link", "tooltip": "", "url": ""}],
            "templating": {"list": [{"type": "datasource", "name": "datasource", "label": "数据源", "query": "prometheus",
                "hide": 0, "multi": false, "includeAll": false, "refresh": 1, "regex": "", "options": [], "current": {},
                "skipUrlSync": false}]},
            "panels": panels,
        })
    }
}
