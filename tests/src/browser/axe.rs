//! What every page must hold for people who see little, use no mouse or read on a small screen:
//! WCAG 2.2 AA as far as axe-core can tell, in both themes, and nothing wider than the screen.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use fantoccini::wd::WebDriverCompatibleCommand;
use serde_json::{Value, json};
use url::Url;
use xtask::command;

use super::{Device, Visit};

/// Where `cargo xtask setup tests` puts it.
const AXE: &str = "target/tools/axe-4.14.1/axe.min.js";

/// Runs the rules of WCAG up to 2.2 AA and gives what is broken, as lines.
const RUN: &str = r"
const done = arguments[arguments.length - 1];
axe.run(document, {
  runOnly: { type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] },
  rules: { 'target-size': { enabled: true } },
  resultTypes: ['violations'],
}).then(
  (result) => done(result.passes.length < 10 ? ['axe looked at next to nothing'] : result.violations.flatMap((one) => one.nodes.map((node) =>
    `${one.id}: ${node.target.join(' ')}: ${node.failureSummary}`))),
  (failure) => done([`axe did not run: ${failure}`]),
);
";

/// Sizes and structure that axe does not measure.
const MEASURE: &str = "
const root = document.documentElement;
const inputs = [...document.querySelectorAll('input:not([type=hidden])')];
return [root.scrollWidth, root.clientWidth, document.querySelectorAll('h1').length,
  inputs.length, inputs.filter((input) => input.labels.length > 0).length];
";

/// A theme that the browser asks pages for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    Light,
    Dark,
}

impl Theme {
    pub const ALL: [Self; 2] = [Self::Light, Self::Dark];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

/// A command of Chromium's own protocol, through chromedriver.
#[derive(Debug)]
struct Chromium {
    command: &'static str,
    parameters: Value,
}

impl WebDriverCompatibleCommand for Chromium {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, url::ParseError> {
        let session = session.unwrap_or_default();
        base.join(&format!("session/{session}/goog/cdp/execute"))
    }

    fn method_and_body(&self, _: &Url) -> (http::Method, Option<String>) {
        let body = json!({ "cmd": self.command, "params": self.parameters });
        (http::Method::POST, Some(body.to_string()))
    }
}

impl Visit {
    /// Sends the browser a command of its own protocol.
    pub async fn chromium(&self, command: &'static str, parameters: Value) -> Result<Value> {
        let sent = self.client.issue_cmd(Chromium {
            command,
            parameters,
        });
        sent.await.with_context(|| format!("{command} failed"))
    }

    /// From now on pages come in this theme.
    pub async fn wear(&self, theme: Theme) -> Result<()> {
        let feature = json!({ "name": "prefers-color-scheme", "value": theme.name() });
        // Changes of colour are checked when they are over.
        let still = json!({ "name": "prefers-reduced-motion", "value": "reduce" });
        let features = json!({ "features": [feature, still] });
        self.chromium("Emulation.setEmulatedMedia", features)
            .await
            .map(drop)
    }

    /// A page that came while scripts were forbidden stays as it is when they may run again: its own
    /// never start.
    pub(super) async fn let_scripts_run(&self, run: bool) -> Result<()> {
        let off = json!({ "value": !run });
        self.chromium("Emulation.setScriptExecutionDisabled", off)
            .await
            .map(drop)
    }

    /// Fails with everything that axe finds on the page as it is.
    pub async fn examine(&self, name: &str) -> Result<()> {
        if self.runs_scripts() {
            return self.run_axe(name).await;
        }
        self.let_scripts_run(true).await?;
        let found = self.run_axe(name).await;
        self.let_scripts_run(false).await?;
        found
    }

    async fn run_axe(&self, name: &str) -> Result<()> {
        let script = fs::read_to_string(command::root().join(AXE));
        let script = script.context("no axe-core; see `cargo xtask setup tests`")?;
        self.client.execute(&script, Vec::new()).await?;
        let found = self.client.execute_async(RUN, Vec::new()).await?;
        let lines = found.as_array().context("axe said nothing")?;
        let lines: Vec<&str> = lines.iter().filter_map(Value::as_str).collect();
        ensure!(lines.is_empty(), "{name}: {}", lines.join("\n"));
        Ok(())
    }

    /// Nothing is wider than the screen, there is one first heading, every field has a label.
    pub(super) async fn measure(&self, name: &str) -> Result<()> {
        let measured = self.client.execute(MEASURE, Vec::new()).await?;
        let number = |at| measured.get(at).and_then(Value::as_u64).unwrap_or(0);
        ensure!(
            number(0) <= number(1),
            "{name}: wider than the screen: {measured}"
        );
        ensure!(number(2) == 1, "{name}: a page has one h1: {measured}");
        ensure!(
            number(3) == number(4),
            "{name}: an input without a label: {measured}"
        );
        Ok(())
    }

    /// Makes the window as high as this, or as high as it was for 0.
    pub(super) async fn size(&self, height: u64) -> Result<()> {
        let metrics = match (self.device, height) {
            (Device::Phone, height) => {
                let height = if height == 0 { 640 } else { height };
                json!({ "width": 320, "height": height, "deviceScaleFactor": 2, "mobile": true })
            }
            (_, 0) => {
                let clear = self.chromium("Emulation.clearDeviceMetricsOverride", json!({}));
                return clear.await.map(drop);
            }
            (_, height) => {
                json!({ "width": 1280, "height": height, "deviceScaleFactor": 1, "mobile": false })
            }
        };
        let sized = self.chromium("Emulation.setDeviceMetricsOverride", metrics);
        sized.await.map(drop)
    }

    /// A desktop's page at 200 % and 400 %: as if the window had a half and a quarter of its width.
    pub(super) async fn enlarge(&self, name: &str) -> Result<()> {
        if self.device == Device::Phone {
            return Ok(());
        }
        for width in [640, 320] {
            let metrics =
                json!({ "width": width, "height": 450, "deviceScaleFactor": 0, "mobile": false });
            self.chromium("Emulation.setDeviceMetricsOverride", metrics)
                .await?;
            self.measure(&format!("{name} at {width} pixels")).await?;
        }
        self.size(0).await
    }
}
